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

from stemo.records import Affect, Box, Face, Frame, FrameResult, Reading, SceneObject, State

T = TypeVar("T")
DEPTH = 4  # frames that may wait between two stages
AHEAD = 2  # frames decoded ahead: enough to have one always, and those of large pictures weigh
CHECKPOINT = 256  # frames between two places where a run can be resumed; no batch goes across one
PIXELS = 1 << 27  # that may be under way, 400 MB: more than the other limits allow up to 4K, five frames of 8K


class Resumable(Protocol):
    """Remembers something from frame to frame; another one of its kind goes on with that as if it were the same."""

    def state(self) -> State: ...
    def restore(self, state: State) -> None: ...


class Analyzer(Resumable, Protocol):
    """Stage 2: finds the faces of frame after frame, and describes those it found; only finding remembers anything.

    One thread describes the faces of a frame while another finds those of the next.
    """

    def find(self, frame: Frame) -> list[Face]: ...
    def describe(self, frame: Frame, faces: Sequence[Face]) -> list[Face]: ...


class Reader(Resumable, Protocol):
    """Stage 3: reads the faces of frames in a row (faces and seconds of each); several at once cost less."""

    def read_all(self, frames: Sequence[tuple[Sequence[Face], float]]) -> list[list[Affect]]: ...


class Smoother(Resumable, Protocol):
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
class Found:
    """What the first thread hands to the second: a frame with its faces, and a state where there is to be one."""

    frame: Frame
    faces: list[Face]
    objects: tuple[SceneObject, ...]
    state: State | None


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Stages 2 to 4 in their order, over any iterable of frames; overlapped, ``batch`` frames are read at once.

    Of large pictures fewer are under way, and read at once: about as many as have ``pixels``, and half of that.
    """

    analyzer: Analyzer
    reader: Reader
    smoother: Smoother
    scene: Scene | None = None
    batch: int = 1
    pixels: int = PIXELS

    def results(
        self, frames: Iterable[Frame], *, overlapped: bool = True, resumable: bool = False
    ) -> Generator[FrameResult, None, None]:
        """One result per frame, in order. Overlapped, the stages work on neighbouring frames at the same time.

        Both ways give the same results. Exceptions of a stage come out here, after the results before them.
        ``resumable`` puts the :attr:`FrameResult.state` into that of every :data:`CHECKPOINT`-th frame, for
        :meth:`restore`.
        """
        if not overlapped:
            yield from self._read(self._find(frames, resumable), 1)
            return
        room = Room(self.pixels)
        with (
            Overlap(room.admitted(frames), AHEAD) as decoded,
            Overlap(self._find(decoded, resumable)) as found,
            Overlap(self._read(found, self.batch)) as results,
            room,  # the first to be left, or the decoder would wait for it for ever
        ):
            yield from room.left(results)

    def restore(self, state: State) -> None:
        """Go on as the pipeline that gave ``state`` with a frame: that frame must be the next one."""
        self.analyzer.restore(state["analyzer"])
        self.reader.restore(state["reader"])
        self.smoother.restore(state["smoother"])

    def _find(self, frames: Iterable[Frame], resumable: bool) -> Iterator[Found]:
        for place, frame in enumerate(frames):
            checkpoint = resumable and place > 0 and frame.index % CHECKPOINT == 0
            state = {"analyzer": self.analyzer.state()} if checkpoint else None
            objects = self.scene.update(frame) if self.scene else ()
            yield Found(frame, self.analyzer.find(frame), objects, state)

    def _read(self, found: Iterable[Found], batch: int) -> Iterator[FrameResult]:
        rate = Rate()
        for group in groups(found, batch, self.pixels // 2):
            state = group[0].state
            if state is not None:
                state = {**state, "reader": self.reader.state(), "smoother": self.smoother.state()}
            faces = [self.analyzer.describe(item.frame, item.faces) for item in group]
            read = self.reader.read_all([(seen, item.frame.time) for seen, item in zip(faces, group, strict=True)])
            for item, seen, affects in zip(group, faces, read, strict=True):
                frame = item.frame
                readings = tuple(self._reading(frame, *pair) for pair in zip(seen, affects, strict=True))
                readings = readings or (Reading(frame.index, frame.time),)
                yield FrameResult(frame, readings, item.objects, rate.tick(), state if item is group[0] else None)
            group.clear()  # its pictures are not kept while the next ones are waited for

    def _reading(self, frame: Frame, face: Face, raw: Affect) -> Reading:
        smoothed = self.smoother.update(face.track_id, raw, frame.time)
        box = self.smoother.update_box(face.track_id, face.box, frame.time)
        # the crop has served its purpose; results must stay light
        return Reading(frame.index, frame.time, replace(face, box=box, crop=None), raw, smoothed)


def groups(found: Iterable[Found], most: int, pixels: int = PIXELS) -> Iterator[list[Found]]:
    """Frames in lists of up to ``most``, of large pictures only until they have ``pixels``.

    A checkpoint begins a new one, so that a resumed run has the same lists. What came before an exception comes before
    it here too.
    """
    group: list[Found] = []
    try:
        for item in found:
            if group and item.frame.index % CHECKPOINT == 0:
                yield group
                group = []
            group.append(item)
            if len(group) == most or sum(_pixels(item.frame) for item in group) >= pixels:
                yield group
                group = []
    except GeneratorExit:
        return
    except BaseException:
        if group:
            yield group
        raise
    if group:
        yield group


def deliver(results: Iterable[FrameResult], sinks: Sequence[Sink], *, begun: bool = False) -> None:
    """Give every result to every sink, then close them.

    An input that ends early, or an interruption, still closes the sinks: what was computed is kept. Where a sink
    itself fails, the others are closed and the failed one aborted. Where not one frame got through, all are aborted,
    unless the sinks have ``begun`` with frames of an earlier run.
    """
    complete, started, failed = False, begun, None
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


class Room:
    """Lets frames in while those under way have fewer than ``pixels``, one always; leaving it lets nobody wait."""

    def __init__(self, pixels: int) -> None:
        self._pixels, self._taken, self._open = pixels, 0, True
        self._changed = threading.Condition()

    def __enter__(self) -> Room:
        return self

    def __exit__(self, *exception: object) -> None:
        with self._changed:
            self._open = False
            self._changed.notify_all()

    def admitted(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """The ``frames``, each asked for once there is room for it."""
        for frame in frames:
            with self._changed:
                self._taken += _pixels(frame)
            yield frame
            with self._changed:
                self._changed.wait_for(lambda: self._taken < self._pixels or not self._open)
            if not self._open:
                return

    def left(self, results: Iterable[FrameResult]) -> Iterator[FrameResult]:
        """The ``results``; asking for the next one makes room."""
        for result in results:
            yield result
            with self._changed:
                self._taken -= _pixels(result.frame)
                self._changed.notify_all()


def _pixels(frame: Frame) -> int:
    height, width = frame.image.shape[:2]
    return height * width


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
        """Count one frame; 0 until a quarter of a second has passed, as the first come in bursts."""
        now = time.monotonic()
        self.times = [moment for moment in self.times if now - moment < 1.0] + [now]
        passed = now - self.times[0]
        return (len(self.times) - 1) / passed if passed > 0.25 else 0.0
