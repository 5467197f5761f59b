"""A sheet of evenly spaced thumbnails: a whole video at a glance."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from stemo.errors import OutputError
from stemo.output import text
from stemo.output.palette import INK, QUIET
from stemo.output.pending import Pending, write_png
from stemo.records import Image

GAP = 8  # pixels between and around thumbnails


class ContactSheet:
    """A PNG at ``path`` of ``rows`` x ``cols`` thumbnails, ``width`` pixels wide each, with their times.

    It does not need to know how many pictures come: it keeps every k-th, and doubles k when it holds four times as
    many as it needs, so memory stays constant. Raises :class:`OutputError` when the place is taken or unwritable.
    """

    def __init__(self, path: Path, rows: int = 3, cols: int = 4, *, width: int = 480, overwrite: bool = False) -> None:
        self.path = Path(path)
        self._rows, self._cols, self._width = rows, cols, width
        self._pending = Pending(self.path, overwrite=overwrite)
        self._kept: list[tuple[Image, float]] = []
        self._every, self._seen = 1, 0

    def add(self, image: Image, time: float) -> None:
        """Offer one picture (h w 3), shown at ``time`` seconds."""
        if self._seen % self._every == 0:
            self._kept.append((self._shrink(image), time))
            if len(self._kept) >= 4 * self._rows * self._cols:
                self._kept, self._every = self._kept[::2], 2 * self._every
        self._seen += 1

    def close(self) -> Path:
        """Write the sheet and return its path. Raises :class:`OutputError` when no picture was offered."""
        if not self._kept:
            self.abort()
            raise OutputError(f"contact sheet {str(self.path)!r} is empty: expected pictures, got none. Check --start.")
        return write_png(self._pending, self._sheet())

    def abort(self) -> None:
        """Leave nothing behind."""
        self._pending.discard()

    def _shrink(self, image: Image) -> Image:
        height = max(1, round(image.shape[0] * self._width / image.shape[1]))
        way = cv2.INTER_AREA if self._width < image.shape[1] else cv2.INTER_CUBIC
        return np.ascontiguousarray(cv2.resize(image, (self._width, height), interpolation=way), dtype=np.uint8)

    def _sheet(self) -> Image:
        places = min(self._rows * self._cols, len(self._kept))
        chosen = [self._kept[index] for index in np.linspace(0, len(self._kept) - 1, places).round().astype(int)]
        cols = min(self._cols, places)
        rows = -(-places // cols)
        tall = max(image.shape[0] for image, _ in chosen)
        sheet = np.full((rows * (tall + GAP) + GAP, cols * (self._width + GAP) + GAP, 3), INK, np.uint8)
        for place, (image, time) in enumerate(chosen):
            y = GAP + place // cols * (tall + GAP)
            x = GAP + place % cols * (self._width + GAP)
            tile = sheet[y : y + image.shape[0], x : x + self._width]
            tile[:] = image
            size = max(10, round(self._width / 34))
            text.write(tile, clock(time), size * 0.6, tile.shape[0] - size * 1.1, size, QUIET, shadow=True)
        return sheet


def clock(time: float) -> str:
    """``time`` seconds as ``m:ss.s``, or ``h:mm:ss.s`` from an hour on."""
    tenths = round(time * 10)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    lead = f"{hours}:{minutes:02d}" if hours else f"{minutes}"
    return f"{lead}:{rest / 10:04.1f}"
