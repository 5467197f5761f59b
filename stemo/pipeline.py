"""The way of the data, on one screen: frames -> faces -> affect -> smoothed readings -> sinks.

The stages are given as plain objects with one method each, so any of them can be a fake.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeVar

from stemo.records import Affect, Box, Face, Frame, FrameResult, Reading, SceneObject

T = TypeVar("T")
DEPTH = 4  # frames that may wait between two stages


class Analyzer(Protocol):
    """Stage 2: finds and aligns the faces of a frame."""

    def analyze(self, frame: Frame) -> list[Face]: ...


class Reader(Protocol):
    """Stage 3: reads the faces of a frame."""

    def read(self, faces: Sequence[Face], time: float) -> list[Affect]: ...


class Smoother(Protocol):
    """Stage 4: steadies readings and boxes."""

    def update(self, track_id: int, affect: Affect, time: float) -> Affect: ...
    def update_box(self, track_id: int, box: Box, time: float) -> Box: ...


class Scene(Protocol):
    """Objects of the scene, from a detector that never holds a frame up."""

    def update(self, frame: Frame) -> tuple[SceneObject, ...]: ...


class Sink(Protocol):
    """Stage 5: takes every frame's result; ``close`` keeps what was written, ``abort`` does not."""

    def write(self, result: FrameResult) -> None: ...
    def close(self, *, complete: bool = True) -> None: ...
    def abort(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Stages 2 to 4 in their order, over any iterable of frames."""

    analyzer: Analyzer
    reader: Reader
    smoother: Smoother
    scene: Scene | None = None

    def results(self, frames: Iterable[Frame], *, overlapped: bool = True) -> Generator[FrameResult, None, None]:
        """One result per frame, in order. Overlapped, the stages work on neighbouring frames at the same time.

        Both ways give the same results. Exceptions of a stage come out here, after the results before them.
        """
        if not overlapped:
            yield from self._read(self._find(frames))
            return
        with Overlap(self._find(frames)) as found, Overlap(self._read(found)) as results:
            yield from results

    def _find(self, frames: Iterable[Frame]) -> Iterator[tuple[Frame, list[Face], tuple[SceneObject, ...]]]:
        for frame in frames:
            objects = self.scene.update(frame) if self.scene else ()
            yield frame, self.analyzer.analyze(frame), objects

    def _read(self, found: Iterable[tuple[Frame, list[Face], tuple[SceneObject, ...]]]) -> Iterator[FrameResult]:
        rate = Rate()
        for frame, faces, objects in found:
            affects = self.reader.read(faces, frame.time)
            readings = [self._reading(frame, *pair) for pair in zip(faces, affects, strict=True)]
            yield FrameResult(frame, tuple(readings) or (Reading(frame.index, frame.time),), objects, rate.tick())

    def _reading(self, frame: Frame, face: Face, raw: Affect) -> Reading:
        smoothed = self.smoother.update(face.track_id, raw, frame.time)
        box = self.smoother.update_box(face.track_id, face.box, frame.time)
        # the crop has served its purpose; results must stay light
        return Reading(frame.index, frame.time, replace(face, box=box, crop=None), raw, smoothed)


def deliver(results: Iterable[FrameResult], sinks: Sequence[Sink]) -> None:
    """Give every result to every sink, then close them.

    An input that ends early, or an interruption, still closes the sinks: what was computed is kept. Where a sink
    itself fails, the others are closed and the failed one aborted. Where not one frame got through, all are aborted.
    """
    complete, started, failed = False, False, None
    try:
        for result in results:
            for sink in sinks:
                failed = sink
                sink.write(result)
            started, failed = True, None
        complete = True
    finally:
        _finish(sinks, failed, complete, keep=complete or started)


def _finish(sinks: Sequence[Sink], failed: Sink | None, complete: bool, *, keep: bool) -> None:
    problems: list[Exception] = []
    for sink in sinks:
        try:
            if sink is failed or not keep:
                sink.abort()
            else:
                sink.close(complete=complete)
        except Exception as problem:  # noqa: BLE001 - every sink gets its chance before the first problem is raised
            problems.append(problem)
    if problems and failed is None:
        raise problems[0]


class Overlap(Iterable[T]):
    """Runs an iterable on a thread of its own, at most ``depth`` items ahead; a context manager that stops it."""

    def __init__(self, items: Iterable[T], depth: int = DEPTH) -> None:
        self._items = items
        self._queue: queue.Queue[tuple[str, T | BaseException | None]] = queue.Queue(depth)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="stemo-stage", daemon=True)

    def __enter__(self) -> Overlap[T]:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop.set()
        while self._thread.is_alive():
            self._drain()
            self._thread.join(0.01)

    def __iter__(self) -> Iterator[T]:
        while True:
            kind, item = self._queue.get()
            if kind == "error":
                assert isinstance(item, BaseException)
                raise item
            if kind == "end":
                return
            yield item  # type: ignore[misc]

    def _work(self) -> None:
        try:
            for item in self._items:
                if not self._put(("item", item)):
                    return
            self._put(("end", None))
        except BaseException as error:  # noqa: BLE001 - raised again by the reader
            self._put(("error", error))

    def _put(self, entry: tuple[str, T | BaseException | None]) -> bool:
        while not self._stop.is_set():
            try:
                self._queue.put(entry, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False

    def _drain(self) -> None:
        while not self._queue.empty():
            self._queue.get_nowait()


@dataclass(slots=True)
class Rate:
    """Frames per second over about the last second, for display."""

    times: list[float] = field(default_factory=list)

    def tick(self) -> float:
        """Count one frame; 0 until there are two."""
        now = time.monotonic()
        self.times = [moment for moment in self.times if now - moment < 1.0] + [now]
        passed = now - self.times[0]
        return (len(self.times) - 1) / passed if passed > 0 else 0.0
