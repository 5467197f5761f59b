"""The networks inside MediaPipe's landmarker file, each run by itself: in LiteRT, or in OpenVINO where that is faster.

On x86 processors OpenVINO takes three quarters of LiteRT's time for networks of convolutions, and says the same to a
few thousandths of a pixel. On other processors LiteRT is at home, and it runs what is no convolution faster everywhere.
"""

from __future__ import annotations

import contextlib
import tempfile
import zipfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from stemo.chatter import quiet, silence_openvino
from stemo.faces.landmarks import unloadable
from stemo.processors import is_x86
from stemo.records import Array

OPTIONS = {
    "PERFORMANCE_HINT": "LATENCY",
    "NUM_STREAMS": 1,
    "ENABLE_CPU_PINNING": False,  # the system may move it to where nothing else runs
    "INFERENCE_PRECISION_HINT": "f32",  # some processors would take 16 bits, and say something else
}


class InnerNetwork(Protocol):
    """One network; one thread at a time may ask it. ``shape``: of what it takes.

    It answers soonest where it is given the same array again and again, with other values in it.
    """

    shape: tuple[int, ...]

    def __call__(self, values: Array) -> list[Array]:
        """What the network says of ``values``, of the shape that it has as its input: arrays of the caller's own."""
        ...


def open_network(model: bytes, *, convolutions: bool, threads: int = 1) -> InnerNetwork:
    """The network in ``model``, a TFLite file, in what runs it fastest; ``convolutions``: it consists of them.

    Raises ValueError for another ``model``.
    """
    network = _in_openvino(model, threads) if convolutions and openvino_is_faster() else None
    network = network or LiteRt(model, threads)
    # the first run prepares, and may log
    network(np.zeros(network.shape, np.float32))
    return network


def openvino_is_faster() -> bool:
    """Whether this is a processor on which OpenVINO outruns LiteRT, and OpenVINO loads."""
    return is_x86() and _core() is not None


class LiteRt:
    """A network in LiteRT. Raises ValueError for another ``model``."""

    def __init__(self, model: bytes, threads: int = 1) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self._native: Any = Interpreter(model_content=model, num_threads=threads)
        self._native.allocate_tensors()
        (given,) = self._native.get_input_details()
        self.shape: tuple[int, ...] = tuple(given["shape"].tolist())
        self._input = given["index"]
        self._outputs = [output["index"] for output in self._native.get_output_details()]

    def __call__(self, values: Array) -> list[Array]:
        """See :class:`InnerNetwork`."""
        self._native.set_tensor(self._input, values)
        self._native.invoke()
        return [self._native.get_tensor(output) for output in self._outputs]


class Openvino:
    """A network in OpenVINO, for one picture at a time.

    Raises RuntimeError for another ``model``, OSError where there is no place for temporary files, and ImportError
    where OpenVINO does not load.
    """

    def __init__(self, model: bytes, threads: int = 1) -> None:
        core = _core()
        if core is None:
            raise ImportError("OpenVINO does not load")
        # it reads such files by their path only
        with tempfile.TemporaryDirectory(prefix="stemo_", ignore_cleanup_errors=True) as folder:
            path = Path(folder) / "network.tflite"
            path.write_bytes(model)
            read = core.read_model(path)
        self.shape: tuple[int, ...] = (1, *(size.get_length() for size in read.input(0).partial_shape[1:]))
        # a batch of any size would cost a third more
        read.reshape(self.shape)
        compiled = core.compile_model(read, "CPU", {**OPTIONS, "INFERENCE_NUM_THREADS": threads})
        self._native: Any = compiled.create_infer_request()
        self._given: Array | None = None

    def __call__(self, values: Array) -> list[Array]:
        """See :class:`InnerNetwork`."""
        if values is not self._given:
            self._give(values)
        return list(self._native.infer().values())

    def _give(self, values: Array) -> None:
        """Let the network read ``values`` where they are, whatever they are by then."""
        from openvino import Tensor

        self._native.set_input_tensor(Tensor(np.ascontiguousarray(values, np.float32), shared_memory=True))
        self._given = values if values.flags.c_contiguous and values.dtype == np.float32 else None


@contextlib.contextmanager
def inner_parts(model: Path) -> Iterator[zipfile.ZipFile]:
    """The parts of MediaPipe's ``face_landmarker.task`` while they are loaded, without chatter on stderr.

    Raises WeightsError where they cannot be.
    """
    try:
        with zipfile.ZipFile(model) as parts, quiet():
            yield parts
    except (RuntimeError, ValueError, OSError, KeyError, IndexError, zipfile.BadZipFile) as error:
        raise unloadable(model, error) from error


def _in_openvino(model: bytes, threads: int) -> Openvino | None:
    """``None`` where LiteRT must do, which also has the better words for what is no network at all."""
    try:
        return Openvino(model, threads)
    except (OSError, RuntimeError):
        return None


@cache
def _core() -> Any | None:
    """OpenVINO, one for the process; ``None`` where it is not there or does not load."""
    silence_openvino()
    try:
        from openvino import Core

        return Core()
    except (ImportError, RuntimeError, OSError):
        return None
