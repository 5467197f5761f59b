"""What every source of frames has in common."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol, Self

import numpy as np

from stemo.errors import InputError
from stemo.records import Frame, Image

LARGEST = 32_766  # pixels a side: MediaPipe ends the whole process, without a word, where a picture has more


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What is known about a source before it is read.

    ``width`` and ``height`` are pixels as displayed, after rotation, and hold for every frame. ``fps`` is the average
    rate: time never comes from it. ``frames`` and ``duration`` (seconds) tell what is to be expected between ``start``
    and ``end``, as the container declares it, and are ``None`` where nobody knows. ``origin`` is what was taken off
    the stream's own timestamps, in seconds: 0 except where the clock starts anywhere (MPEG-TS, live streams). Add it
    to find a frame's sound in the same file. Raises :class:`InputError` for a side of more than :data:`LARGEST`.
    """

    name: str
    kind: str  # video, image, folder, stream or camera
    width: int
    height: int
    fps: Fraction
    frames: int | None = None
    duration: float | None = None
    has_audio: bool = False
    origin: float = 0.0

    def __post_init__(self) -> None:
        if max(self.width, self.height) > LARGEST:
            raise InputError(
                f"{self.kind} {self.name!r} is too large: expected at most {LARGEST} pixels a side, "
                f"got {self.width}x{self.height}. Scale it down."
            )


class Source(Protocol):
    """One pass over the frames of something, in order; a context manager that closes it."""

    @property
    def info(self) -> SourceInfo:
        """Size, rate and expected length."""
        ...

    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames; a source that breaks off raises :class:`TruncatedError` after the last good one."""
        ...

    def close(self) -> None:
        """Release the file or device; may be called twice."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *exception: object) -> None: ...


class Recording(Source, Protocol):
    """A source that can be read again, and then from any place on."""

    def skip(self, count: int) -> None:
        """Leave out the first ``count`` frames; the others keep index and time. For a source not yet iterated."""
        ...


class Closing:
    """Makes a context manager of anything with a ``close``."""

    def close(self) -> None:
        """Release what is held; may be called twice."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


LATEST = 1e9  # seconds, thirty years: FFmpeg's clock of microseconds has no room for what is far beyond
TOLERANCE = 1e-6  # seconds: a time typed in decimals finds the frame whose PTS is that time in binary


def before(time: float, limit: float | None) -> bool:
    """Whether ``time`` lies before ``limit`` (never before an absent one)."""
    return limit is not None and time < limit - TOLERANCE


def within(time: float, start: float | None, end: float | None) -> bool:
    """Whether ``start <= time < end``; an absent limit admits everything."""
    return not before(time, start) and (end is None or before(time, end))


def check_range(start: float | None, end: float | None) -> None:
    """Raise :class:`InputError` for seconds between which nothing can lie; ``None`` is no limit."""
    if start is not None and not 0 <= start <= LATEST:
        raise InputError(
            f"start {start!r} is not a place in a video: expected seconds >= 0 and at most {LATEST:.0e}, got {start!r}."
        )
    if end is not None and not (start or 0.0) < end < math.inf:
        raise InputError(
            f"end {end!r} leaves nothing to read, or is none: expected seconds after the start ({start or 0.0:g}), "
            f"got {end!r}. To read up to the end, leave it out."
        )


def fit(image: Image, width: int, height: int) -> Image:
    """Scale ``image`` (h w 3) into ``(height width 3)``, keeping its proportions; what remains is black."""
    rows, columns = image.shape[:2]
    if (rows, columns) == (height, width):
        return image
    import cv2

    scale = min(width / columns, height / rows)
    inner = (max(1, round(columns * scale)), max(1, round(rows * scale)))
    scaled = cv2.resize(image, inner, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    canvas = np.zeros((height, width, 3), np.uint8)
    left, top = (width - inner[0]) // 2, (height - inner[1]) // 2
    canvas[top : top + inner[1], left : left + inner[0]] = scaled
    return canvas
