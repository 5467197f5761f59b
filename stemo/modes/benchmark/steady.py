"""``--benchmark CLIP --frames N``: whether memory and speed stay as they are over a long stream.

The clip is played again and again, its clock running on, so every thousand frames are the same work.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from stemo.capture import open_source
from stemo.config import RecognitionSettings
from stemo.errors import ConfigError
from stemo.modes.benchmark.clips import make_clip
from stemo.modes.benchmark.memory import memory, peak_memory, told_mb
from stemo.modes.benchmark.output import Output, Say
from stemo.modes.benchmark.run import describe_machine
from stemo.modes.video import make_recognizer
from stemo.output.background import Background
from stemo.output.hud import Hud
from stemo.output.sinks import RowSink, VideoSink
from stemo.output.video import VideoWriter
from stemo.output.writers import WRITERS
from stemo.pipeline import Sink, deliver
from stemo.processors import share_processors
from stemo.recognizer import Recognizer
from stemo.records import Frame, FrameResult

EARLY = 1000  # frames after which memory is looked at for the first time
GROWTH = 50.0  # MB that the peak of memory may grow from then on, not quite
DRIFT = 0.05  # share by which the pace at the end may differ from that at the start
MADE = (640, 360)


def run_steady(
    clips: Sequence[str], frames: int, output: Output | None, settings: RecognitionSettings, say: Say
) -> int:
    """Read ``frames`` frames of a looped clip (a made one without any) into video and all data formats; returns 0.

    Raises :class:`ConfigError` for more than one clip, and for fewer frames than there is something to compare in.
    """
    if len(clips) > 1:
        raise ConfigError(f"clips {list(clips)!r} are too many: expected one to loop with --frames, got {len(clips)}.")
    share_processors()
    with TemporaryDirectory(prefix="stemo_benchmark_") as name:
        folder = Path(name)
        clip = Path(clips[0]) if clips else make_clip(folder / "made.mp4", *MADE)
        with open_source(str(clip)) as source:
            length = sum(1 for _ in source)
        window = length * math.ceil(EARLY / length)
        if frames < length + 2 * window:
            raise ConfigError(
                f"frames {frames!r} are too few: expected {length + 2 * window} or more for a clip of {length} "
                f"(one round to warm up, two windows of {window} to compare), got {frames}."
            )
        facts: dict[str, Any] = {"machine": describe_machine(settings, say), "clip": clip.name}
        steady = measure(clip, frames, make_recognizer(settings), folder)
    figures = steady.figures(length, window)
    for line in told(clip, figures):
        say(line)
    if output:
        output.write_facts({**facts, **figures, "ms_by_thousand": steady.by_thousand()}, say)
    return 0


@dataclass(frozen=True, slots=True)
class Looped:
    """The first ``count`` frames of a clip that begins anew where it ends; index and time run on."""

    clip: Path
    count: int

    def __iter__(self) -> Iterator[Frame]:
        index, begin = 0, 0.0
        while index < self.count:
            with open_source(str(self.clip)) as source:
                last, step = begin, float(1 / source.info.fps)
                for frame in islice(source, self.count - index):
                    step = begin + frame.time - last or step
                    last = begin + frame.time
                    yield replace(frame, index=index, time=last)
                    index += 1
            begin = last + step


@dataclass(slots=True)
class Steady:
    """When each result came, in seconds, and the memory on the way, in MB."""

    moments: list[float] = field(default_factory=list)
    memory: dict[int, tuple[float, float]] = field(default_factory=dict)

    def watch(self, results: Iterable[FrameResult]) -> Iterator[FrameResult]:
        """The ``results``; what they take is noted."""
        for result in results:
            self.moments.append(time.perf_counter())
            yield result
            if len(self.moments) % EARLY == 0:
                self.memory[len(self.moments)] = memory(), peak_memory()
        self.memory[len(self.moments)] = memory(), peak_memory()

    def figures(self, length: int, window: int) -> dict[str, Any]:
        """Memory early and at the end; milliseconds per frame in the first and the last ``window``.

        The first begins behind the first round of ``length`` frames.
        """
        frames = len(self.moments)
        first = self._pace(length, length + window)
        last = self._pace(frames - 1 - window, frames - 1)
        early, end = self.memory[EARLY], self.memory[frames]
        return {
            "frames": frames,
            "window": window,
            "memory_mb": {str(EARLY): early[0], str(frames): end[0]},
            "peak_memory_mb": {str(EARLY): early[1], str(frames): end[1]},
            "memory_mb_by_thousand": [now for now, _ in self.memory.values()],
            "peak_growth_mb": end[1] - early[1],
            "first_ms": first,
            "last_ms": last,
            "ratio": last / first,
            "memory_verdict": "unknown" if math.isnan(end[1]) else _verdict(end[1] - early[1] < GROWTH),
            "pace_verdict": _verdict(abs(last / first - 1) <= DRIFT),
        }

    def by_thousand(self) -> list[float]:
        """Milliseconds per frame of each whole thousand, in order."""
        starts = range(0, len(self.moments) - EARLY, EARLY)
        return [self._pace(start, start + EARLY) for start in starts]

    def _pace(self, start: int, end: int) -> float:
        return (self.moments[end] - self.moments[start]) / (end - start) * 1e3


def measure(clip: Path, frames: int, recognizer: Recognizer, folder: Path) -> Steady:
    """Read the looped ``clip`` into annotated video and every data format, in ``folder``."""
    steady, target = Steady(), folder / "steady.mp4"
    with open_source(str(clip)) as source:
        info = source.info
    sinks: list[Sink] = [
        VideoSink(Background(VideoWriter(target, info.width, info.height, info.fps, overwrite=True)), Hud()),
        RowSink(target, list(WRITERS), overwrite=True, labels=recognizer.facts.labels),
    ]
    with recognizer.stages() as pipeline, closing(pipeline.results(Looped(clip, frames))) as results:
        deliver(steady.watch(results), sinks)
    return steady


def told(clip: Path, figures: dict[str, Any]) -> Iterator[str]:
    """The figures as lines for the terminal."""
    frames, window = figures["frames"], figures["window"]
    early, end = figures["peak_memory_mb"].values()
    yield f"{clip.name}, looped to {frames} frames; annotated video, {', '.join(WRITERS)}"
    yield f"  peak memory   {_course(early, end, frames)}"
    early, end = figures["memory_mb"].values()
    yield f"  memory        {_course(early, end, frames)}"
    yield (
        f"  per frame     {figures['first_ms']:.2f} ms in the first {window} (behind one round), "
        f"{figures['last_ms']:.2f} ms in the last {window}: ratio {figures['ratio']:.3f}"
    )
    yield (
        f"  bounds        memory {figures['memory_verdict']} (peak grows under {GROWTH:.0f} MB), "
        f"pace {figures['pace_verdict']} (differs by {DRIFT:.0%} at most)"
    )


def _verdict(within: bool) -> str:
    return "within" if within else "over"


def _course(early: float, end: float, frames: int) -> str:
    return f"{told_mb(early)} at {EARLY} frames, {told_mb(end)} at {frames}: {told_mb(end - early, '+.1f')}"
