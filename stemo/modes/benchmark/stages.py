"""What each stage takes, one after the other on one thread, and what the whole takes when they overlap."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import ParamSpec, TypeVar

from stemo.capture import Recording, open_source
from stemo.config import RecognitionSettings
from stemo.errors import InputError
from stemo.modes.video import open_writer
from stemo.output.background import Background
from stemo.output.hud import Hud
from stemo.output.sinks import RowSink, VideoSink
from stemo.pipeline import Smoother, deliver
from stemo.recognizer import Recognizer
from stemo.records import Affect, Face, Frame, FrameResult, Reading

T = TypeVar("T")
P = ParamSpec("P")
WARM_UP = 20  # frames that are read before the clock starts
LEAST = WARM_UP + 5  # frames of a clip: of fewer there is next to nothing to time
STAGES = ("decode", "find faces", "describe faces", "network", "smooth", "draw", "encode", "rows")


@dataclass(slots=True)
class Timings:
    """Milliseconds per frame by stage, of every frame after the warm-up."""

    spent: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in STAGES})

    def timed(self, name: str, work: Callable[P, T], *given: P.args, **named: P.kwargs) -> T:
        """What ``work`` returns for what it is ``given``; what it took counts for ``name``."""
        started = time.perf_counter()
        result = work(*given, **named)
        self.spent[name].append((time.perf_counter() - started) * 1e3)
        return result

    def medians(self) -> dict[str, float]:
        """Median milliseconds per frame of each stage, the warm-up left out where there is more."""
        measured = {name: values[WARM_UP:] or values for name, values in self.spent.items() if values}
        return {name: statistics.median(values) for name, values in measured.items()}


def check_length(clip: Path, settings: RecognitionSettings) -> None:
    """Raise :class:`InputError` for a clip, or the part of it between start and end, that is too short to time."""
    with _open(clip, settings) as source:
        frames = sum(1 for _ in islice(source, LEAST))
    if frames < LEAST:
        raise InputError(
            f"clip {str(clip)!r} is too short to measure: expected {LEAST} frames or more, got {frames}. "
            "Give a longer one, or more of it with --start and --end."
        )


def time_stages(clip: Path, recognizer: Recognizer, settings: RecognitionSettings, folder: Path) -> Timings:
    """Read ``clip`` stage by stage, annotated video and JSON written to ``folder``."""
    timings = Timings()
    with _open(clip, settings) as source, recognizer.stages() as pipeline:
        rows = RowSink(folder / "stages.mp4", ["json"], overwrite=True)
        hud, writer = Hud(), open_writer(source, folder / "stages.mp4", settings, True)
        smoother = recognizer.smoother()
        frames = iter(source)
        while (frame := timings.timed("decode", next, frames, None)) is not None:
            found = timings.timed("find faces", pipeline.analyzer.find, frame)
            faces = timings.timed("describe faces", pipeline.analyzer.describe, frame, found)
            (affects,) = timings.timed("network", pipeline.reader.read_all, [(faces, frame.time)])
            readings = timings.timed("smooth", _smoothed, frame, faces, affects, smoother)
            result = FrameResult(frame, readings or (Reading(frame.index, frame.time),), (), 0.0)
            drawn = timings.timed("draw", hud.draw, result)
            timings.timed("encode", writer.write, drawn, frame.time)
            timings.timed("rows", rows.write, result)
        writer.close()
        rows.close()
    return timings


def _open(clip: Path, settings: RecognitionSettings) -> Recording:
    return open_source(str(clip), start=settings.start, end=settings.end)


def _smoothed(
    frame: Frame, faces: Sequence[Face], affects: Sequence[Affect], smoother: Smoother
) -> tuple[Reading, ...]:
    pairs = zip(faces, affects, strict=True)
    return tuple(
        Reading(frame.index, frame.time, face, raw, smoother.update(face.track_id, raw, frame.time))
        for face, raw in pairs
    )


def time_whole(clip: Path, recognizer: Recognizer, settings: RecognitionSettings, folder: Path) -> float:
    """Frames per second of the overlapped pipeline over ``clip``, annotated video and JSON written to ``folder``.

    As ``--video`` works; loading and the warm-up are left out, finishing the files is not.
    """
    with _open(clip, settings) as source, recognizer.stages() as pipeline:
        sinks = [
            VideoSink(Background(open_writer(source, folder / "whole.mp4", settings, True)), Hud()),
            RowSink(folder / "whole.mp4", ["json"], overwrite=True),
        ]
        clock = Clock()
        with closing(pipeline.results(source)) as results:
            deliver(clock.after(WARM_UP, results), sinks)
        return clock.rate()


@dataclass(slots=True)
class Clock:
    """Counts what passes after a warm-up, and for how long."""

    started: float = 0.0
    count: int = 0

    def after(self, skipped: int, items: Iterable[T]) -> Iterator[T]:
        """The ``items``; the clock starts behind the first ``skipped``."""
        for place, item in enumerate(items):
            if place == skipped:
                self.started = time.perf_counter()
            self.count += place >= skipped
            yield item

    def rate(self) -> float:
        """Items per second up to now; 0 where none passed."""
        return self.count / (time.perf_counter() - self.started) if self.count else 0.0
