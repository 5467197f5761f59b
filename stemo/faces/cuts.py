"""Noticing that the scene has changed from one frame to the next."""

from __future__ import annotations

import cv2
import numpy as np

from stemo.records import Array, Image, State

SIDE = 16
GRID = 64  # pixels of each side that are looked at, at least
DIFFERENT = 14.0  # mean absolute difference of gray thumbnails, of 255: dark scenes differ by as little as 24
FLAT = 3.0  # deviation, of 255, below which a thumbnail shows no scene: black, white, a covered lens
UNRELATED = 0.7  # correlation below which two thumbnails show different scenes


class CutDetector:
    """Compares small gray thumbnails of neighbouring frames; blank ones are passed over."""

    def __init__(self) -> None:
        self._before: Array | None = None
        self._blank = False  # whether blank frames came after it

    def update(self, image: Image) -> bool:
        """Whether ``image`` (h w 3) starts a new scene; ``False`` for the first one, unless blank frames came before.

        A blank frame, such as one of black, starts none, and leaves open whether the scene before it goes on.
        """
        now = thumbnail(image)
        if float(cv2.meanStdDev(now)[1].item()) < FLAT:
            self._blank = True
            return False
        before, blank = self._before, self._blank
        self._before, self._blank = now, False
        if before is None:
            return blank
        # scenes that fade to black and out of it are near each other in light
        return unrelated(before, now) if blank else different(before, now)

    def state(self) -> State:
        """The thumbnail of the last frame that was not blank, or ``None``, and whether blank ones came after it."""
        return {"before": self._before, "blank": self._blank}

    def restore(self, state: State) -> None:
        """Go on from :meth:`state`."""
        self._before, self._blank = state["before"], state["blank"]


def thumbnail(image: Image) -> Array:
    """The picture (h w 3) as gray (16 16) float32 in [0, 255]."""
    # pixels of a coarse grid are enough, and cost the same at 360p and 4K
    step_y, step_x = max(image.shape[0] // GRID, 1), max(image.shape[1] // GRID, 1)
    gray = np.asarray(cv2.cvtColor(image[::step_y], cv2.COLOR_RGB2GRAY))
    coarse = np.ascontiguousarray(gray[:, ::step_x])
    return cv2.resize(coarse, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)


def different(before: Array, now: Array) -> bool:
    """Whether two thumbnails show different scenes: far apart and of another structure (a flash keeps its own)."""
    return cv2.norm(now, before, cv2.NORM_L1) / now.size >= DIFFERENT and unrelated(before, now)


def unrelated(before: Array, now: Array) -> bool:
    """Whether two thumbnails are of another structure, whatever their light."""
    one, other = before - before.mean(), now - now.mean()
    scale = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float((one * other).sum()) < UNRELATED * max(scale, 1e-6)
