"""Stand-ins that tests use instead of mocks: they are small, real implementations."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Self, cast

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.video.stream import VideoStream

from stemo.capture import SourceInfo
from stemo.errors import OutputError
from stemo.insight.smoothing import MovingAverage
from stemo.pipeline import Pipeline, Scene
from stemo.records import EMOTIONS, Affect, Face, Frame, FrameResult, Image, State

BITS = 12  # a stamped index counts to 4095
TICKS = 60_000  # per second, the clock of made videos


class ArraySource:
    """A :class:`stemo.capture.Source` over images in memory; raises ``error`` after the last one if given."""

    def __init__(
        self,
        images: Sequence[Image],
        *,
        fps: Fraction | int = 25,
        times: Sequence[float] | None = None,
        error: BaseException | None = None,
    ) -> None:
        height, width = images[0].shape[:2]
        fps = Fraction(fps)
        self.info = SourceInfo("array", "video", width, height, fps, len(images), float(len(images) / fps))
        self.closed = 0
        self._images, self._error = images, error
        self._times = times or [float(index / fps) for index in range(len(images))]

    def __iter__(self) -> Iterator[Frame]:
        for index, (time, image) in enumerate(zip(self._times, self._images, strict=True)):
            yield Frame(index, time, image)
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        self.closed += 1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def stamp(index: int, width: int, height: int) -> Image:
    """An image (height width 3) that carries ``index`` as black and white columns; its top half is reddish."""
    bits = [(index >> bit) & 1 for bit in range(BITS)]
    columns = np.arange(width) * BITS // width
    row = np.where(np.array(bits)[columns] == 1, 235, 16).astype(np.uint8)
    image = np.repeat(np.repeat(row[None, :, None], height, axis=0), 3, axis=2)
    image[: height // 4] = (200, 40, 40)  # tells the top from the other three sides
    return np.ascontiguousarray(image)


def read_stamp(image: Image) -> int:
    """The index that :func:`stamp` put into ``image``, whatever its size now."""
    height, width = image.shape[:2]
    centers = ((np.arange(BITS) + 0.5) * width / BITS).astype(int)
    levels = image[int(height * 0.5) : int(height * 0.9), centers].mean(axis=(0, 2))
    return int(sum(1 << bit for bit in range(BITS) if levels[bit] > 128))


def is_upright(image: Image) -> bool:
    """Whether the red band of :func:`stamp` lies on top."""
    height, width = image.shape[:2]
    red, green, _ = image[height // 10, width // 2].astype(int)
    return red > 150 and green < 90


def make_video(
    path: Path,
    *,
    frames: int = 20,
    first: int = 0,
    width: int = 96,
    height: int = 64,
    fps: Fraction | int = 25,
    audio: bool = False,
    rotation: int = 0,
    pixel_aspect: Fraction | None = None,
    vfr_times: Sequence[float] | None = None,
    codec: str = "libx264",
    pixels: str = "yuv420p",
    between: str = "2",
    options: dict[str, str] | None = None,
) -> list[float]:
    """Encode stamped frames into ``path`` and return their times in seconds (ticks of 1/60000 s).

    ``rotation`` (90, 180 or 270) is what a player turns counter-clockwise: pictures are stored turned, so that they
    display upright at ``width`` x ``height``. ``options`` go to the container, such as
    ``{"movflags": "faststart"}``. Stamps begin at ``first``. ``between`` is how many B-frames H.264 may put in a row.
    """
    tick = 1 / Fraction(fps) if path.suffix == ".avi" else Fraction(1, TICKS)  # AVI counts frames
    ticks = [round(time / tick) for time in vfr_times or [index / Fraction(fps) for index in range(frames)]]
    with av.open(str(path), "w", options=options or {}) as container:
        stream = cast(VideoStream, container.add_stream(codec, rate=Fraction(fps)))
        stored = (height, width) if rotation in (90, 270) else (width, height)
        stream.width, stream.height, stream.pix_fmt = *stored, pixels
        stream.time_base = stream.codec_context.time_base = tick
        if codec == "libx264":
            stream.options = {"crf": "12", "g": "12", "bf": between, "preset": "veryfast"}
        if pixel_aspect:
            stream.codec_context.sample_aspect_ratio = pixel_aspect
        if rotation:
            stream.set_display_rotation(rotation)
        sound = container.add_stream("aac", rate=48_000) if audio else None
        for index, pts in enumerate(ticks):
            array = np.ascontiguousarray(np.rot90(stamp(first + index, width, height), -rotation // 90))
            frame = av.VideoFrame.from_ndarray(array, format="rgb24").reformat(format=pixels)
            frame.pts, frame.time_base = pts, tick
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if sound is not None:
            _encode_tone(container, sound, float(ticks[-1] * tick + 1 / Fraction(fps)))
    return [float(pts * tick) for pts in ticks]


def make_sound(path: Path, seconds: float = 0.5) -> None:
    """Encode a tone, and nothing to see, into ``path``."""
    with av.open(str(path), "w") as container:
        _encode_tone(container, container.add_stream("aac", rate=48_000), seconds)


def _encode_tone(container: OutputContainer, stream: AudioStream, seconds: float) -> None:
    samples = np.sin(2 * np.pi * 440 * np.arange(int(seconds * 48_000)) / 48_000).astype(np.float32) * 0.3
    for begin in range(0, len(samples), 1024):
        frame = av.AudioFrame.from_ndarray(samples[None, begin : begin + 1024], format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 48_000, begin, Fraction(1, 48_000)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


class FixedAnalyzer:
    """A :class:`stemo.pipeline.Analyzer`: ``count`` faces in every frame but those in ``empty``; fails at ``fails``."""

    def __init__(
        self, count: int = 1, *, empty: Sequence[int] = (), fails: tuple[int, Exception] | None = None
    ) -> None:
        self._count, self._empty, self._fails = count, set(empty), fails

    def find(self, frame: Frame) -> list[Face]:
        if self._fails is not None and frame.index == self._fails[0]:
            raise self._fails[1]
        if frame.index in self._empty:
            return []
        crop = np.full((224, 224, 3), frame.index % 256, np.uint8)
        return [
            Face((float(frame.index + track), 2.0, float(frame.index + track + 20), 30.0), 0.9, track, crop=crop)
            for track in range(1, self._count + 1)
        ]

    def describe(self, frame: Frame, faces: Sequence[Face]) -> list[Face]:
        return [replace(face, pose=(0.0, 0.0, float(frame.index))) for face in faces]

    def state(self) -> State:
        return {}

    def restore(self, state: State) -> None:
        assert state == {}


class FixedReader:
    """A :class:`stemo.pipeline.Reader` whose readings follow from time and track; fails at second ``fails``."""

    def __init__(self, *, fails: tuple[float, Exception] | None = None) -> None:
        self._fails = fails
        self.times: list[float] = []

    def read(self, faces: Sequence[Face], time: float) -> list[Affect]:
        if self._fails is not None and time >= self._fails[0]:
            raise self._fails[1]
        self.times.append(time)
        return [self.affect(face.track_id, time) for face in faces]

    def read_all(self, frames: Sequence[tuple[Sequence[Face], float]]) -> list[list[Affect]]:
        return [self.read(faces, time) for faces, time in frames]

    @staticmethod
    def affect(track_id: int, time: float) -> Affect:
        happy = 0.5 + 0.4 * float(np.sin(3 * time + track_id))
        rest = (1 - happy) / 6
        return Affect(tuple(happy if label == "Happy" else rest for label in EMOTIONS), happy - 0.5, happy)

    def state(self) -> State:
        return {}

    def restore(self, state: State) -> None:
        assert state == {}


class FixedRecognizer(FixedAnalyzer):
    """A :class:`stemo.recognizer.Recognizer` without models: the whole of a mode runs, in a fraction of a second.

    ``count`` faces are in every frame; ``meanwhile`` is called with each frame, in the thread that finds faces.
    """

    engine = "torch"

    def __init__(self, count: int = 1, *, meanwhile: Callable[[Frame], object] = lambda _frame: None) -> None:
        from stemo.network.checkpoint import WeightFacts

        super().__init__(count)
        self.facts, self.device = WeightFacts(name="fixed"), "cpu"
        self._meanwhile = meanwhile

    def find(self, frame: Frame) -> list[Face]:
        self._meanwhile(frame)
        return super().find(frame)

    @contextmanager
    def stages(self, scene: Scene | None = None, *, in_turn: bool = False) -> Iterator[Pipeline]:  # noqa: ARG002
        yield Pipeline(self, FixedReader(), MovingAverage(5), scene)


class CollectSink:
    """A :class:`stemo.pipeline.Sink` that keeps what it is given; ``fails`` at that frame, or when closed (-1)."""

    def __init__(self, *, fails: tuple[int, Exception] | None = None) -> None:
        self.results: list[FrameResult] = []
        self.closed: list[bool] = []
        self.aborted = 0
        self._fails = fails

    def write(self, result: FrameResult) -> None:
        if self._fails is not None and result.frame.index == self._fails[0]:
            raise self._fails[1]
        self.results.append(result)

    def close(self, *, complete: bool = True) -> None:
        self.closed.append(complete)
        if self._fails is not None and self._fails[0] == -1:
            raise self._fails[1]

    def abort(self) -> None:
        self.aborted += 1


class SlowFilm:
    """A :class:`stemo.output.background.Film` that writes only what its ``gate`` lets through; breaks at ``breaks``."""

    def __init__(self, breaks: int | None = None) -> None:
        self.gate: queue.Queue[None] = queue.Queue()
        self.times: list[float] = []
        self.ended = ""
        self._breaks = breaks

    def write(self, image: Image, time: float) -> None:  # noqa: ARG002
        self.gate.get(timeout=10)
        if len(self.times) == self._breaks:
            raise OutputError("disk full")
        self.times.append(time)

    def close(self, *, keep: bool = False) -> None:
        self.ended = "kept" if keep else "closed"

    def abort(self) -> None:
        self.ended = "aborted"

    def state(self) -> State:
        return {"times": list(self.times)}

    def restore(self, state: State) -> None:
        self.times = list(state["times"])
