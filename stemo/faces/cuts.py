"""Noticing that the scene has changed from one frame to the next."""

from __future__ import annotations

import cv2
import numpy as np

from stemo.records import Array, Image, State

SIDE = 16
GRID = 64  # pixels of each side that are looked at, at least
DIFFERENT = 14.0  # mean absolute difference of gray thumbnails, of 255: dark scenes differ by as little as 24
UNRELATED = 0.7  # correlation below which two thumbnails show different scenes


class CutDetector:
    """Compares small gray thumbnails of neighbouring frames."""

    def __init__(self) -> None:
        self._before: Array | None = None

    def update(self, image: Image) -> bool:
        """Whether ``image`` (h w 3) starts a new scene; ``False`` for the first one."""
        now = thumbnail(image)
        before, self._before = self._before, now
        return before is not None and different(before, now)

    def state(self) -> State:
        """The thumbnail of the frame before, or ``None``."""
        return {"before": self._before}

    def restore(self, state: State) -> None:
        """Go on from :meth:`state`."""
        self._before = state["before"]


def thumbnail(image: Image) -> Array:
    """The picture (h w 3) as gray (16 16) float32 in [0, 255]."""
    # pixels of a coarse grid are enough, and cost the same at 360p and 4K
    step_y, step_x = max(image.shape[0] // GRID, 1), max(image.shape[1] // GRID, 1)
    coarse = np.ascontiguousarray(image[::step_y, ::step_x])
    gray = cv2.cvtColor(coarse, cv2.COLOR_RGB2GRAY)
    return cv2.resize(gray, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)


def different(before: Array, now: Array) -> bool:
    """Whether two thumbnails show different scenes: far apart and of another structure (a flash keeps its own)."""
    if float(np.abs(now - before).mean()) < DIFFERENT:
        return False
    one, other = before - before.mean(), now - now.mean()
    scale = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float((one * other).sum()) < UNRELATED * max(scale, 1e-6)
