"""The library's front door: build the stages once, read videos and pictures with them."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Generator, Iterable, Iterator, Sequence
from functools import cached_property, partial
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import numpy as np
import torch

from stemo.capture import open_source
from stemo.capture.source import LARGEST
from stemo.errors import ConfigError
from stemo.faces.analyzer import FaceAnalyzer
from stemo.faces.geometry import landmark_features
from stemo.insight.smoothing import Ema, MovingAverage
from stemo.network.checkpoint import WeightFacts, given_or_shipped
from stemo.network.engine import engine_name, wants_twin
from stemo.network.exported import ExportedNetwork, ExportedStream, is_exported, open_weights
from stemo.network.int8 import FACTS, Twin, find_twin
from stemo.network.streaming import Observation, StreamReader
from stemo.pipeline import Pipeline, Scene
from stemo.processors import available_processors
from stemo.records import Affect, Face, Frame, FrameResult, Image, Reading, State

CPU_BACKENDS = ("onnx", "int8")
MOST_THREADS = 4  # that networks as small as these gain by


class Recognizer:
    """Reads facial expression in videos and pictures.

    ``weights`` is a safetensors file with its JSON beside it, or a step or still that ``--export onnx`` wrote
    (``None``: the shipped ones), ``device`` one of auto, cpu, cuda, cuda:N and mps, ``backend`` one of auto, torch,
    onnx (faster on CPUs) and int8 (faster still); these two run on CPUs alone, so device auto is the CPU with them.
    ``faces`` is the most faces read per frame, ``smoothing`` the number of readings in the moving average (1 for none)
    and ``ema`` in (0, 1] its exponential alternative. ``landmarker`` is the path of MediaPipe's
    ``face_landmarker.task`` where the installed one shall not be used; ``detector`` is one of mediapipe, yunet and
    yolo, and ``face_weights`` the path of its weights. ``batch`` frames in a row are read at once, which is faster; a
    result then waits for up to so many frames.

    What :meth:`image` needs is made for the first picture and kept for the next ones: use it as a context manager, or
    :meth:`close` it, where it shall not be kept to the end.

    Raises :class:`stemo.StemoError` with one clear line for anything that cannot work.
    """

    def __init__(
        self,
        *,
        weights: Path | str | None = None,
        device: str = "auto",
        backend: str = "auto",
        faces: int = 4,
        smoothing: int = 5,
        ema: float | None = None,
        landmarker: Path | None = None,
        detector: str = "mediapipe",
        face_weights: Path | None = None,
        batch: int = 1,
    ) -> None:
        if batch < 1:
            raise ConfigError(
                f"batch {batch!r} is out of range: expected 1 or more frames, got {batch}. Pass --batch 1"
            )
        self.batch = batch
        self.device = choose_device(device, weights, backend)
        self._path = given_or_shipped(weights)
        self.network, self.facts = open_weights(self._path)
        self.faces = faces
        self.backend = backend
        self.analyzer = partial(
            FaceAnalyzer,
            faces,
            landmarker=landmarker,
            detector=detector,
            face_weights=face_weights,
            device=str(self.device),
        )
        self.smoother = partial(_smoother, smoothing, ema)
        self.smoother()  # settings out of range are an error here, not in the middle of a video
        self._stills: Stills | None = None
        self._turn = threading.Lock()  # of one picture at a time

    def video(self, source: Path | str, *, start: float | None = None, end: float | None = None) -> Iterator[Reading]:
        """Readings of a video file, image folder or stream address, frame by frame and face by face.

        A frame without a face gives one reading whose ``face`` is ``None``. ``start`` and ``end`` are seconds.
        """
        with open_source(source, start=start, end=end) as frames:
            for result in self.results(frames):
                yield from result.readings

    def image(self, image: Image) -> list[Reading]:
        """The faces of one RGB picture (h w 3) uint8, each read as if it stood still; empty without a face.

        Nothing is remembered from one picture to the next. Threads that ask at the same time take turns.
        """
        if image.ndim != 3 or image.shape[-1] != 3 or image.dtype != np.uint8:
            raise ConfigError(
                f"image {image.shape!r} {image.dtype} has another layout: expected uint8 (height, width, 3) in RGB."
            )
        if max(image.shape) > LARGEST:
            raise ConfigError(
                f"image {image.shape!r} is too large: expected at most {LARGEST} pixels a side, got "
                f"{max(image.shape)}. Scale it down."
            )
        frame = Frame(0, 0.0, np.ascontiguousarray(image))
        with self._turn, contextlib.closing(self._still().results([frame], overlapped=False)) as results:
            return [reading for result in results for reading in result.faces]

    def close(self) -> None:
        """Frees what :meth:`image` has kept; another picture makes it anew. Closing twice is fine."""
        with self._turn:
            kept, self._stills = self._stills, None
            if kept is not None:
                kept.analyzer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def results(
        self, frames: Iterable[Frame], *, scene: Scene | None = None, overlapped: bool = True
    ) -> Generator[FrameResult, None, None]:
        """Results of any iterable of frames of one stream, with tracks and buffers of its own."""
        with self.stages(scene) as pipeline:
            yield from pipeline.results(frames, overlapped=overlapped)

    @contextlib.contextmanager
    def stages(self, scene: Scene | None = None, *, in_turn: bool = False) -> Iterator[Pipeline]:
        """The stages for one stream, loaded and warm, so that its first frame takes no longer than the others.

        ``in_turn``: no two of them will work at the same time, so each gets the processors that the ``scene`` leaves.
        """
        threads = turn_threads(scene is not None) if in_turn else None
        reader = self._reader(threads)
        with self.analyzer(threads=threads or 1) as analyzer:
            yield Pipeline(analyzer, reader, self.smoother(), scene, self.batch)

    def stream(self, backend: str, threads: int | None = None) -> StreamReader:
        """What reads one stream's faces, run by ``backend``. Raises :class:`ConfigError` where that cannot be.

        ``threads`` are those of ONNX Runtime for the network's own graphs where no other stage works meanwhile
        (``None``: half the processors, beside the others).
        """
        if isinstance(self.network, ExportedNetwork):
            self.network.check(backend, self.device)
            return ExportedStream(self.network)
        twin = self._twin if wants_twin(backend, self.device) else None
        return StreamReader(self.network, self.facts.preprocessing, self.device, backend, twin, threads)

    def _still(self) -> Pipeline:
        """The stages for one picture, which know nothing of the one before."""
        if self._stills is None:
            reader = self._reader()
            self._stills = Stills(self.analyzer(video=False), reader, reader.state())
        self._stills.reader.restore(self._stills.blank)
        return Pipeline(self._stills.analyzer, self._stills.reader, self.smoother())

    def _reader(self, threads: int | None = None) -> FaceReader:
        """What reads one stream's faces, warm."""
        stream = self.stream(self.backend, threads)
        stream.warm_up()
        return FaceReader(stream, self.facts)

    @property
    def engine(self) -> str:
        """What runs the network here: torch, onnx, int8, or "file" for an exported one."""
        if isinstance(self.network, ExportedNetwork):
            return "file"
        has_twin = FACTS in self.facts.metrics
        return engine_name(self.network, self.facts.preprocessing, self.device, self.backend, has_twin=has_twin)

    @cached_property
    def _twin(self) -> Twin | None:
        return find_twin(self._path, self.facts)  # ten megabytes to read and to hash


class FaceReader:
    """The network behind the pipeline's :class:`stemo.pipeline.Reader`: faces in, affects out."""

    def __init__(self, stream: StreamReader, facts: WeightFacts) -> None:
        self.stream = stream
        self.labels = facts.labels

    def read_all(self, frames: Sequence[tuple[Sequence[Face], float]]) -> list[list[Affect]]:
        """Read the faces of frames in a row, each with its time in seconds; in their order."""
        seen = [([observe(face) for face in faces], time) for faces, time in frames]
        return [
            [Affect(tuple(probabilities), valence, arousal, self.labels) for probabilities, valence, arousal in values]
            for values in self.stream.read_all(seen)
        ]

    def state(self) -> State:
        """What the network has cached of each face."""
        return self.stream.state()

    def restore(self, state: State) -> None:
        """Go on from :meth:`state`."""
        self.stream.restore(state)


class Stills(NamedTuple):
    """What reads single pictures, and the state of a reader that has seen nothing."""

    analyzer: FaceAnalyzer
    reader: FaceReader
    blank: State


def turn_threads(scene: bool) -> int:
    """Threads for each of stages that work one after the other, the objects of a ``scene`` found beside them."""
    return max(1, min(available_processors() - scene, MOST_THREADS))


def choose_device(name: str, weights: Path | str | None = None, backend: str = "auto") -> torch.device:
    """auto, cpu, cuda, cuda:N or mps -> a device that is there.

    auto is the CPU for an ONNX file of ``weights`` and for a ``backend`` that runs nowhere else.
    Raises :class:`ConfigError` otherwise.
    """
    if name == "auto" and (is_exported(weights) or backend in CPU_BACKENDS):
        return torch.device("cpu")
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    present = {
        "cpu": True,
        "mps": torch.backends.mps.is_available(),
        "cuda": torch.cuda.is_available(),
        **{f"cuda:{number}": True for number in range(torch.cuda.device_count())},
    }
    if not present.get(name, False):
        available = ", ".join(["auto", *(key for key, there in present.items() if there)])
        raise ConfigError(
            f"device {name!r} is not available: expected one of {available}, got {name!r}. Use --device auto."
        )
    return torch.device(name)


def observe(face: Face) -> Observation:
    """A face with its crop, as the network takes it."""
    assert face.crop is not None
    features = None
    if face.landmarks is not None and face.blendshapes is not None and face.pose is not None:
        # a mesh that is not finite counts as none: the network has a learned answer to that
        with contextlib.suppress(ValueError):
            features = torch.from_numpy(landmark_features(face.landmarks, face.blendshapes, face.pose))
    return Observation(face.track_id, torch.from_numpy(face.crop), features)


def _smoother(smoothing: int, ema: float | None) -> MovingAverage | Ema:
    return MovingAverage(smoothing) if ema is None else Ema(ema)
