"""Encoding beside the drawing, not in its way."""

from __future__ import annotations

import queue
import threading
from typing import Protocol

from stemo.records import Image, State

WAITING = 8  # pictures that may wait for the encoder of a camera: enough for a hitch, little memory
PIXELS = 1 << 26  # that may wait, 200 MB: eight pictures of 4K, two of 8K


class Film(Protocol):
    """Takes pictures (h w 3) with their times in seconds: :class:`stemo.output.video.VideoWriter` and the like."""

    def write(self, image: Image, time: float) -> None: ...
    def close(self, *, keep: bool = False) -> None: ...
    def abort(self) -> None: ...


class ResumableFilm(Film, Protocol):
    """One that another can go on from: :class:`stemo.output.pieces.PiecedVideo`."""

    def state(self) -> State: ...
    def restore(self, state: State) -> None: ...


class Background:
    """A film whose pictures go to another ``film`` on a thread of its own.

    Every picture is kept: where the encoder falls ``waiting`` pictures behind, of large ones as many as have ``pixels``
    (one at least), :meth:`write` waits for it, and for the first picture always. What it raises comes out of the next
    :meth:`write`, or of :meth:`close`.
    """

    def __init__(self, film: Film, waiting: int = 2, pixels: int = PIXELS) -> None:
        self._film = film
        self._pixels = pixels
        self._queue: queue.Queue[tuple[Image, float] | None] = queue.Queue(waiting)
        self._error: Exception | None = None
        self._begun = self._ended = False
        self._thread = threading.Thread(target=self._work, name="stemo-encoder", daemon=True)
        self._thread.start()

    def write(self, image: Image, time: float) -> None:
        """Keep one picture (h w 3), which must not change any more, shown from ``time`` on (seconds)."""
        self._check()
        if self._begun:
            self._queue.put((image, time))
        else:
            self._begin(image, time)

    def close(self, *, keep: bool = False) -> None:
        """Encode what still waits, and finish the file as ``film`` does. May be called twice."""
        self._end()
        try:
            self._check()
        except BaseException:
            self._film.abort()
            raise
        self._film.close(keep=keep)

    def abort(self) -> None:
        """Leave no file."""
        self._end()
        self._film.abort()

    def _begin(self, image: Image, time: float) -> None:
        """An encoder that cannot even begin is said before anything else is written."""
        self._begun = True
        height, width = image.shape[:2]
        self._queue.maxsize = max(1, min(self._queue.maxsize, self._pixels // (height * width)))
        self._queue.put((image, time))
        self._queue.join()
        self._check()

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
                    self._film.write(*item)
                except Exception as error:  # noqa: BLE001 - raised again by the next call
                    self._error = error  # the rest is taken and dropped, so that nobody waits for a dead encoder
            self._queue.task_done()


class ResumableBackground(Background):
    """The same for a film that can be resumed: its state is that after every picture written so far."""

    def __init__(self, film: ResumableFilm) -> None:
        super().__init__(film)
        self._resumable = film

    def state(self) -> State:
        """The state of ``film``, once nothing waits for the encoder."""
        self._queue.join()
        self._check()
        return self._resumable.state()

    def restore(self, state: State) -> None:
        """Go on from :meth:`state`; before the first picture."""
        self._resumable.restore(state)
