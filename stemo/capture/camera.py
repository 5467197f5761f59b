"""A camera of this machine, read with OpenCV."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction

import numpy as np

from stemo.capture.source import Closing, SourceInfo, fit
from stemo.errors import InputError, TruncatedError
from stemo.records import Frame, Image

FALLBACK_RATE = Fraction(30)
PATIENCE = 9.0  # seconds that a camera may stall before it counts as gone: as long as its faces keep their ids
RETRY = 0.05  # seconds between two questions to a camera that stalls


class Camera(Closing):
    """The frames of camera ``index`` (0 is the first); time is seconds since the first frame, when each arrived.

    Wrap it in :func:`stemo.capture.latest`, or the driver's queue makes every slow moment a lasting delay.
    A camera that stalls may come back within :data:`PATIENCE`; pictures of another size are fitted into the first.
    Raises :class:`InputError` where there is no such camera or it gives no picture.
    """

    def __init__(self, index: int = 0) -> None:
        import cv2

        with _quiet():
            self._device = cv2.VideoCapture(index)
            self._first = self._read() if self._device.isOpened() else None
        self._name, self._begin = f"camera {index}", time.monotonic()
        if self._first is None:
            self.close()
            raise InputError(
                f"camera {index} cannot be opened: expected a camera that gives pictures, got none. "
                "Plug one in, close programs that use it, or give another index with --camera."
            )
        height, width = self._first.shape[:2]
        rate = self._device.get(cv2.CAP_PROP_FPS)
        fps = Fraction(rate).limit_denominator(1001) if 1 <= rate <= 1000 else FALLBACK_RATE
        self.info = SourceInfo(self._name, "camera", width, height, fps)

    def __iter__(self) -> Iterator[Frame]:
        index, image = 0, self._first
        while image is not None:
            fitted = fit(image, self.info.width, self.info.height)
            yield Frame(index, time.monotonic() - self._begin if index else 0.0, fitted)
            index, image = index + 1, self._next()
        raise TruncatedError(
            f"{self._name} stopped: expected another picture, got none after {index}. Check its plug and try again."
        )

    def close(self) -> None:
        """Hand the camera back to the system."""
        self._device.release()

    def _next(self) -> Image | None:
        """The next picture, or ``None`` where none comes for :data:`PATIENCE` seconds."""
        given_up = time.monotonic() + PATIENCE
        while (image := self._read()) is None and time.monotonic() < given_up:
            time.sleep(RETRY)
        return image

    def _read(self) -> Image | None:
        import cv2

        good, image = self._device.read()
        return np.ascontiguousarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), dtype=np.uint8) if good else None


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep OpenCV from listing on stderr every driver that it tried: one clear line of ours follows."""
    from cv2.utils import logging

    level = logging.getLogLevel()
    logging.setLogLevel(logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        logging.setLogLevel(level)
