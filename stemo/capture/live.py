"""Live reading: the newest frame wins, and no queue ever grows.

A thread reads the source into a mailbox with one slot. A frame that nobody fetched in time is replaced by the next and
counted as dropped, so the delay between the world and the reading stays below one frame however slow the reader is.
"""

from __future__ import annotations

import atexit
import threading
import time
from collections.abc import Iterator

from stemo.capture.source import Closing, Source, SourceInfo
from stemo.records import Frame

JOIN = 5.0  # seconds to wait for a source that is stuck in a read; its thread then ends, and closes it, on its own
LONGEST = 12.0  # seconds that the program's end waits for that: Linux gives a camera's read up after ten


def latest(source: Source, *, realtime: bool) -> Latest:
    """Read ``source`` in the background, giving always its newest frame; takes over closing it.

    With ``realtime`` frames become available at the pace of their own times, so that a file can stand in for a
    camera. Give ``False`` for sources that are live already.
    """
    return Latest(source, realtime=realtime)


class Latest(Closing):
    """The newest frame of a source, for one reader; see :func:`latest`.

    Iterating waits for a frame newer than the last one given; it ends after the source's last frame, and raises there
    what the source raised. Frame indices stay the source's own, so a jump shows what was dropped. ``arrived`` is the
    moment (:func:`time.monotonic`) at which the frame given last became available.
    """

    def __init__(self, source: Source, *, realtime: bool) -> None:
        self.info: SourceInfo = source.info
        self.dropped = 0
        self.arrived = 0.0
        self._source, self._realtime = source, realtime
        self._slot: Frame | None = None
        self._slot_filled = 0.0
        self._error: BaseException | None = None
        self._ended = False
        self._stop = threading.Event()
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._read, name="stemo-capture", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[Frame]:
        while (frame := self._take()) is not None:
            yield frame
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    def wait(self, timeout: float) -> bool:
        """Wait at most ``timeout`` seconds; whether there is a frame now, or the end."""
        with self._changed:
            return self._changed.wait_for(lambda: self._slot is not None or self._ended, timeout)

    def close(self, patience: float | None = None) -> None:
        """Stop reading and close the source; a reader that still waits gets the end.

        A source that is stuck in a read is waited for ``patience`` seconds (``None``: :data:`JOIN`).
        """
        self._stop.set()
        self._finish()
        if self._thread is threading.current_thread():
            return
        self._thread.join(JOIN if patience is None else patience)
        if self._thread.is_alive():
            # a thread that comes back from native code while Python goes would abort the program
            atexit.register(self._thread.join, LONGEST)

    def _take(self) -> Frame | None:
        """Wait for the newest frame; ``None`` at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._slot is not None or self._ended)
            frame, self._slot = self._slot, None
            self.arrived = self._slot_filled
            return None if self._stop.is_set() else frame

    def _read(self) -> None:
        """The thread: it alone touches the source, so it also closes it."""
        try:
            with self._source:
                begin: float | None = None
                for frame in self._source:
                    begin = time.monotonic() - frame.time if begin is None else begin
                    if self._stopped_before(begin + frame.time):
                        return
                    self._put(frame)
        except BaseException as error:  # noqa: BLE001 (the reader's thread raises it again)
            self._error = error
        finally:
            self._finish()

    def _stopped_before(self, due: float) -> bool:
        """Wait until ``due`` on the monotonic clock where the pace is the file's; whether it is time to stop."""
        return self._stop.wait(max(0.0, due - time.monotonic()) if self._realtime else 0.0)

    def _put(self, frame: Frame) -> None:
        with self._changed:
            self.dropped += self._slot is not None
            self._slot, self._slot_filled = frame, time.monotonic()
            self._changed.notify_all()

    def _finish(self) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify_all()
