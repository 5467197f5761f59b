"""What runs the network: torch on any device, or ONNX Runtime, which is faster on CPUs, most of all in 8 bits.

All have the two methods that streaming needs. ONNX Runtime gets the graphs of ``export.py`` and this network's own
parameters, or the graphs of its 8-bit twin.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from stemo.errors import ConfigError
from stemo.network.export import GRAPHS, PICTURE
from stemo.network.folding import folded
from stemo.network.int8 import Twin, has_instructions
from stemo.network.model import CLIP_LENGTH, FaceNetwork, FrameFeatures, Network, Prediction
from stemo.network.preprocessing import Preprocessing
from stemo.processors import available_processors, processor_groups, staying_on

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

BACKENDS = ("auto", "torch", "onnx", "int8")
SEEN = ("temporal.squeeze.", "temporal.norm.", "channel.squeeze.", "channel.norm.")
FRAME_PARTS = ("spatial.", "place.", "landmark.", *SEEN)  # beginnings of the names of its parameters
UNUSED = ("temperature",)  # by the graphs
Run = Callable[[Sequence[Tensor]], Sequence[Tensor]]  # inputs and outputs in the order of the file's


class Engine(Protocol):
    """Runs the two parts of a :class:`FaceNetwork` for inference; see there for the shapes."""

    def encode(self, frames: Tensor, landmarks: Tensor) -> Tensor: ...
    def read(self, tokens: Tensor) -> Prediction: ...


def make_engine(
    network: FaceNetwork,
    preprocessing: Preprocessing,
    device: torch.device,
    backend: str = "auto",
    twin: Twin | None = None,
    threads: int | None = None,
) -> Engine:
    """The engine for ``backend``, as :func:`engine_name` has it, on ``device``; raises ConfigError like it.

    ``threads`` are those of ONNX Runtime where no other stage works meanwhile (``None``: :func:`network_threads`,
    beside others).
    """
    name = engine_name(network, preprocessing, device, backend, has_twin=twin is not None)
    if name == "torch":
        return TorchEngine(network, device, gray=preprocessing.gray)
    assert isinstance(network, Network)
    return OnnxEngine(network, threads, twin if name == "int8" else None)


def engine_name(
    network: FaceNetwork, preprocessing: Preprocessing, device: torch.device, backend: str = "auto", *, has_twin: bool
) -> str:
    """What ``backend`` comes to: torch, onnx, or int8 (the twin of this network, where it ``has_twin``).

    On a CPU auto is int8 where there is a twin and the processor has the instructions for it, else onnx where that can
    be. Raises :class:`ConfigError` for an unknown backend, or for one that cannot run this network on this device.
    """
    if backend not in BACKENDS:
        raise ConfigError(f"backend {backend!r} is unknown: expected one of {', '.join(BACKENDS)}, got {backend!r}.")
    hindrance = _hindrance(network, preprocessing, device)
    if backend == "int8" and not has_twin and not hindrance:
        hindrance = "these weights have no 8-bit twin: expected one beside them, got none."
    if backend in ("onnx", "int8") and hindrance:
        raise ConfigError(f"backend {backend!r} cannot be used: {hindrance} Use --backend torch.")
    if backend == "torch" or hindrance:
        return "torch"
    return "int8" if has_twin and wants_twin(backend, device) else "onnx"


def wants_twin(backend: str, device: torch.device) -> bool:
    """Whether ``backend`` runs the 8-bit twin on ``device``, where a network has one."""
    return device.type == "cpu" and (backend == "int8" or (backend == "auto" and has_instructions()))


def network_threads() -> int:
    """Half the processors: the other half finds faces, draws and encodes meanwhile."""
    return max(1, available_processors() // 2)


class TorchEngine:
    """PyTorch on any ``device``; a frame's convolutions run in ``precision``, where there is one.

    That is float16 on GPUs, float32 on CPUs. What 16 frames say together is always read in float32: it is a tenth of
    the work. ``gray`` says that all pictures will be.
    """

    def __init__(
        self, network: FaceNetwork, device: torch.device, precision: torch.dtype | None = None, *, gray: bool = False
    ) -> None:
        lean = folded(network, gray=gray)
        # torch accepts a memory format here, its own annotations do not know
        self._network = lean.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._device = device
        self._precision = precision or (None if device.type == "cpu" else torch.float16)

    def encode(self, frames: Tensor, landmarks: Tensor) -> Tensor:
        """(n c h w), (n 205) -> the token of each frame, float32."""
        if self._precision is None:
            return self._network.encode(frames, landmarks)
        frames = frames.contiguous(memory_format=torch.channels_last)
        with torch.autocast(self._device.type, self._precision):
            features = self._network.encode_frames(frames, landmarks)
        return self._network.tokens(FrameFeatures(*(part.float() for part in features)))

    def read(self, tokens: Tensor) -> Prediction:
        """(b t c) -> the newest frame's prediction."""
        return self._network.read(tokens)


class OnnxEngine:
    """ONNX Runtime on the CPU, for the architecture stemo with gray 128-pixel input, any size and any class set.

    With a ``twin`` its graphs are run instead of the network; ``threads`` are as :func:`session_options` has them.
    """

    def __init__(self, network: Network, threads: int | None = None, twin: Twin | None = None) -> None:
        self._network = network.eval()
        self._clip = None
        if twin:
            self._frame, self._clip = (_open(graph, {}, threads) for graph in (twin.frame, twin.clip))
            return
        network = folded(network, gray=True)
        frame, clip = _parameters(network)
        self._frame = _open(_graph(network, "frame"), frame, threads)
        # the number of classes is part of a graph, so another one is read by torch: a tenth of the work
        if network.classes == 7:
            self._clip = _open(_graph(network, "clip"), clip, threads)

    def encode(self, frames: Tensor, landmarks: Tensor) -> Tensor:
        """(n 1 128 128), (n 205) -> the token of each frame (n c)."""
        (tokens,) = self._frame((frames, landmarks))
        return tokens

    def read(self, tokens: Tensor) -> Prediction:
        """(b 16 c) -> the newest frame's prediction."""
        if self._clip is None:
            return self._network.read(tokens)
        return Prediction(*self._clip((tokens,)))


def _hindrance(network: FaceNetwork, preprocessing: Preprocessing, device: torch.device) -> str:
    """Why ONNX Runtime cannot run this; empty where it can."""
    if device.type != "cpu":
        return f"it runs on the CPU here: expected device cpu, got {device}. Use --device cpu. For {device.type}:"
    if not isinstance(network, Network):
        return "its graphs are for the architecture stemo, and these weights have another."
    if not preprocessing.gray or preprocessing.input_size != PICTURE[-1] or network.length != CLIP_LENGTH:
        return "its graphs are for gray 128-pixel faces and 16 frames, and these weights expect another input."
    try:
        import onnxruntime  # noqa: F401
    except ImportError:
        return "the package is missing: pip install onnxruntime."
    return ""


def _parameters(network: Network) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The values of the frame part and of the clip part of ``network``, by their names in the graphs."""
    frame: dict[str, Tensor] = {}
    clip: dict[str, Tensor] = {}
    for name, value in network.state_dict().items():
        if name not in UNUSED and not name.endswith("num_batches_tracked"):
            part = frame if name.startswith(FRAME_PARTS) else clip
            part[f"network.{name}"] = value.detach().cpu()
    return frame, clip


def session_options(threads: int | None = None) -> Any:
    """How ONNX Runtime runs a network: on so many ``threads``, with the processors for itself meanwhile.

    ``None``: on :func:`network_threads`, beside the other stages.
    """
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads or network_threads()
    # to wake a sleeping thread takes as long as a small layer; but where other stages work, one that waits awake would
    # take their processors, and so it would between two frames
    options.add_session_config_entry("session.intra_op.allow_spinning", "1" if threads else "0")
    options.add_session_config_entry("session.force_spinning_stop", "1")
    if others := processor_groups(threads or 1)[1:]:
        options.add_session_config_entry("session.intra_op_thread_affinities", _affinities(others))
    if not has_instructions():
        # such an x86 processor adds products of 8-bit numbers in 16 bits, where they overflow; this way takes twice
        # as long where it does not, and nothing else heeds it
        options.add_session_config_entry("session.x64quantprecision", "1")
    return options


def _affinities(groups: Sequence[Sequence[int]]) -> str:
    """The processors of each thread but the first, as ONNX Runtime counts them: from one."""
    return ";".join(",".join(str(processor + 1) for processor in group) for group in groups)


def _graph(network: Network, part: str) -> bytes:
    return (GRAPHS / f"{network.size}_{part}.onnx").read_bytes()


def session_run(session: InferenceSession) -> Run:
    """The session as a function of tensors."""
    names = [given.name for given in session.get_inputs()]

    def run(inputs: Sequence[Tensor]) -> Sequence[Tensor]:
        given = {name: value.contiguous().numpy() for name, value in zip(names, inputs, strict=True)}
        return [torch.from_numpy(value) for value in session.run(None, given)]

    return run


def _open(graph: bytes, values: dict[str, Tensor], threads: int | None) -> Run:
    import onnxruntime as ort

    options = session_options(threads)
    given = {key: ort.OrtValue.ortvalue_from_numpy(value.contiguous().numpy()) for key, value in values.items()}
    options.add_external_initializers(list(given), list(given.values()))
    run = session_run(ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"]))
    groups = processor_groups(threads or 1)
    return _staying(run, groups[0]) if groups else run


def _staying(run: Run, processors: Sequence[int]) -> Run:
    """``run`` by a thread that stays on ``processors`` meanwhile, away from those that help it."""

    def stay_and_run(inputs: Sequence[Tensor]) -> Sequence[Tensor]:
        with staying_on(processors):
            return run(inputs)

    return stay_and_run
