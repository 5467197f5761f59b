"""Everything else in the picture, found in the background."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Protocol

from stemo.assets import locate
from stemo.errors import StemoError
from stemo.faces.yolo import Purpose, Yolo
from stemo.processors import available_processors
from stemo.records import Frame, Image, SceneObject

WORK = 24.0  # rest per work on one processor: an eleventh of two, were all of them used
OBJECTS = Purpose("object weights", "Check --object-weights, or run with --no-objects")


class Model(Protocol):
    """Anything that finds objects in a picture (h w 3), RGB uint8."""

    def detect(self, image: Image) -> tuple[SceneObject, ...]: ...


class ObjectDetector:
    """Shows every ``every``-th frame to ``model`` on a thread of its own; never makes the caller wait for it.

    A frame that comes while the model is busy or rests replaces the one waiting. After a picture the model rests for
    ``rest`` times as long as it worked (``None``: so long that faces are read at nine tenths of their speed at least).
    With ``background=False`` the model runs in the caller's thread instead, and results depend on the frames alone.
    Use it as a context manager, or close it.
    """

    def __init__(self, model: Model, *, every: int = 5, background: bool = True, rest: float | None = None) -> None:
        self._model, self._every = model, max(every, 1)
        self._rest = WORK / available_processors() if rest is None else rest
        self._seen: tuple[SceneObject, ...] = ()
        self._error: Exception | None = None
        self._waiting: Image | None = None
        self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._work, name="stemo-objects", daemon=True) if background else None
        if self._thread is not None:
            self._thread.start()

    @classmethod
    def create(cls, weights: Path | None = None, *, every: int = 5, background: bool = True) -> ObjectDetector:
        """A detector with ``weights`` that ultralytics loads (``None``: the published YOLOv8n).

        Raises WeightsError when they are missing or cannot be loaded; the caller may warn and go on without objects.
        """
        model = Yolo(locate("yolov8n") if weights is None else weights, OBJECTS)
        return cls(model, every=every, background=background)

    def update(self, frame: Frame) -> tuple[SceneObject, ...]:
        """The latest objects known, after handing ``frame`` on if it is its turn. Raises what the model raised."""
        if frame.index % self._every == 0:
            self._hand_over(frame.image)
        with self._changed:
            if self._error is not None:
                raise StemoError(
                    f"object detection {type(self._error).__name__!r} failed: expected objects, got {self._error}. "
                    "Run again with --no-objects"
                ) from self._error
            return self._seen

    def close(self) -> None:
        """Ends the thread, after the picture it is working on. Closing twice is fine."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()

    def __enter__(self) -> ObjectDetector:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _hand_over(self, image: Image) -> None:
        if self._thread is None:
            self._seen = self._model.detect(image)
            return
        with self._changed:
            self._waiting = image
            self._changed.notify_all()

    def _work(self) -> None:
        while (image := self._next()) is not None:
            started = time.monotonic()
            try:
                seen = self._model.detect(image)
            except (RuntimeError, ValueError, OSError, TypeError, AttributeError, KeyError, IndexError) as error:
                with self._changed:
                    self._error = error
                return
            with self._changed:
                self._seen = seen
                self._changed.wait_for(lambda: self._closed, self._rest * (time.monotonic() - started))

    def _next(self) -> Image | None:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._waiting is not None)
            image, self._waiting = self._waiting, None
            return None if self._closed else image
