"""A recording that is encoded beside the reading, not in its way."""

from __future__ import annotations

import queue
import threading
from typing import Protocol

from stemo.errors import StemoError
from stemo.records import Image

WAITING = 8  # pictures that may wait for the encoder: enough for a hitch, little memory


class Writer(Protocol):
    """What encodes, such as :class:`stemo.output.video.VideoWriter`."""

    def write(self, image: Image, time: float) -> None: ...
    def close(self, *, keep: bool = False) -> None: ...
    def abort(self) -> None: ...


class Recorder:
    """Gives pictures to ``writer`` on a thread of its own.

    Every picture is kept: where the encoder falls :data:`WAITING` pictures behind, :meth:`write` waits for it.
    What the writer raises comes out of the next :meth:`write`, or of :meth:`close`.
    """

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._queue: queue.Queue[tuple[Image, float] | None] = queue.Queue(WAITING)
        self._error: Exception | None = None
        self._ended = False
        self._thread = threading.Thread(target=self._work, name="stemo-recorder", daemon=True)
        self._thread.start()

    def write(self, image: Image, time: float) -> None:
        """Keep one picture (h w 3), shown at ``time`` seconds."""
        self._check()
        self._queue.put((image, time))

    def close(self) -> None:
        """Encode what still waits, and finish the file; without a picture none is left. May be called twice."""
        self._end()
        try:
            self._check()
        except BaseException:
            self._writer.abort()
            raise
        self._writer.close(keep=True)

    def abort(self) -> None:
        """Leave no file."""
        self._end()
        self._writer.abort()

    def _check(self) -> None:
        if self._error is not None:
            raise self._error

    def _end(self) -> None:
        if not self._ended:
            self._ended = True
            self._queue.put(None)
            self._thread.join()

    def _work(self) -> None:
        while (item := self._queue.get()) is not None:
            if self._error is None:
                try:
                    self._writer.write(*item)
                except (StemoError, OSError, ValueError, RuntimeError) as error:
                    self._error = error  # the rest is taken and dropped, so that nobody waits for a dead encoder
