"""The networks inside MediaPipe's landmarker file, each run by itself in LiteRT."""

from __future__ import annotations

import contextlib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from stemo.chatter import quiet
from stemo.faces.landmarks import unloadable
from stemo.records import Array


class InnerNetwork:
    """One LiteRT network on one thread: an array in, arrays of its own out. Raises ValueError for another ``model``."""

    def __init__(self, model: bytes) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self._native: Any = Interpreter(model_content=model, num_threads=1)
        self._native.allocate_tensors()
        (given,) = self._native.get_input_details()
        self._input = given["index"]
        self._outputs = [output["index"] for output in self._native.get_output_details()]
        # the first run prepares, and may log
        self(np.zeros(given["shape"], np.float32))

    def __call__(self, values: Array) -> list[Array]:
        """What the network says of ``values``, of the shape that it has as its input."""
        self._native.set_tensor(self._input, values)
        self._native.invoke()
        return [self._native.get_tensor(output) for output in self._outputs]


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
