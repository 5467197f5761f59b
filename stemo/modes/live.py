"""Following a source live: the newest frame, when it came, when to stop."""

from __future__ import annotations

import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import TypeVar

from stemo.capture import Source, latest
from stemo.capture.source import Closing, before
from stemo.records import Frame, FrameResult

T = TypeVar("T")
GLANCE = 0.02  # seconds between two looks at the window while no frame comes
GRACE = 0.1  # seconds that a camera has to close, beside those in which its next frame is due


class Live(Closing):
    """The newest frames of ``source``, until ``stop`` is set; calls ``idle`` again and again while none comes.

    A file is played at its own pace from the moment it is iterated; a camera or stream is read at once, so that no
    old picture waits in its driver, and its clock and count begin with the first frame given. ``limits`` are the
    seconds on that clock at which to begin and to end.
    """

    def __init__(
        self,
        source: Source,
        stop: threading.Event,
        idle: Callable[[], None] = lambda: None,
        *,
        limits: tuple[float | None, float | None] = (None, None),
    ) -> None:
        self.info = source.info
        self.idle = idle
        self._source, self.stop = source, stop
        self._start, self._end = limits
        self._is_live = source.info.kind in ("camera", "stream")
        self._latest = latest(source, realtime=False) if self._is_live else None
        self._missed = 0  # frames that came before anybody was there to read them
        self._pace = float(1 / source.info.fps)  # seconds between the last two frames

    @property
    def dropped(self) -> int:
        """Frames replaced by newer ones since reading began."""
        return self._latest.dropped - self._missed if self._latest else 0

    @property
    def arrived(self) -> float:
        """When (:func:`time.monotonic`) the frame given last became available."""
        return self._latest.arrived if self._latest else 0.0

    def __iter__(self) -> Iterator[Frame]:
        self._latest = self._latest or latest(self._source, realtime=True)
        self._missed = self._latest.dropped if self._is_live else 0  # a file begins only now
        frames, first = iter(self._latest), None
        while not self.stop.is_set():
            if not self._latest.wait(GLANCE):
                self.idle()
                continue
            frame = self._fetched(frames)
            if frame is None:
                return
            first = first or frame
            counted = self._counted(frame, first)
            if self._end is not None and not before(counted.time, self._end):
                return
            if not before(counted.time, self._start):
                yield counted

    def close(self) -> None:
        """Stop reading and close the source.

        A camera or stream that stalls when ``stop`` is set is not waited for: stuck in a read, it closes on its own, at
        the latest when the program ends.
        """
        if self._latest is None:
            self._source.close()
        else:
            # one that does not stall has given another frame by then, and ends
            self._latest.close(self._pace + GRACE if self.stop.is_set() else None)

    def _fetched(self, frames: Iterator[Frame]) -> Frame | None:
        before = self.arrived
        frame = next(frames, None)
        self._pace = self.arrived - before if before else self._pace
        return frame

    def _counted(self, frame: Frame, first: Frame) -> Frame:
        if not self._is_live:
            return frame
        return Frame(frame.index - first.index, frame.time - first.time, frame.image)


class Meter:
    """How live it was: frames, rate, and milliseconds from a frame's arrival to its reading, in constant memory."""

    def __init__(self, live: Live) -> None:
        self.frames = 0
        self._live = live
        self._delays: Counter[int] = Counter()  # whole milliseconds
        self._begin = self._end = 0.0

    def watch(self, results: Iterable[FrameResult]) -> Iterator[FrameResult]:
        """Pass the results on, each measured at the moment it comes."""
        for result in results:
            self._end = time.monotonic()
            self._begin = self._begin or self._end
            self._delays[round((self._end - self._live.arrived) * 1000)] += 1
            self.frames += 1
            yield result

    def quantile(self, share: float) -> int:
        """The delay in milliseconds that ``share`` of the frames did not exceed; 0 without frames."""
        seen = 0
        for delay in sorted(self._delays):
            seen += self._delays[delay]
            if seen >= share * self.frames:
                return delay
        return 0

    def summary(self) -> str:
        """One line for the end."""
        passed = self._end - self._begin
        rate = (self.frames - 1) / passed if passed > 0 else 0.0
        return (
            f"{self.frames} frames read, {self._live.dropped} dropped, {rate:.1f} frames/s, "
            f"from arrival to reading {self.quantile(0.5)} ms (p50), {self.quantile(0.95)} ms (p95)"
        )


def until(stop: threading.Event, items: Iterable[T]) -> Iterator[T]:
    """``items`` until ``stop`` is set; then KeyboardInterrupt comes between two of them, never amid the work on one."""
    for item in items:
        if stop.is_set():
            raise KeyboardInterrupt
        yield item


@contextmanager
def stopping(stop: threading.Event) -> Iterator[None]:
    """Ctrl-C and a polite kill set ``stop`` instead of breaking in anywhere; a second Ctrl-C breaks in.

    A second polite kill does not: a service that ends asks a process and all that it has started, which it asks again.
    """

    def ask(number: int, _: object) -> None:
        if stop.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        stop.set()

    with _handling({signal.SIGINT: ask, signal.SIGTERM: ask}):
        yield


@contextmanager
def interrupting() -> Iterator[None]:
    """A polite kill breaks in as Ctrl-C does; what comes after it is not broken into by another."""

    def interrupt(*_: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise KeyboardInterrupt

    with _handling({signal.SIGTERM: interrupt}):
        yield


@contextmanager
def _handling(handlers: Mapping[signal.Signals, Callable[[int, FrameType | None], object]]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may handle signals
        return
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
