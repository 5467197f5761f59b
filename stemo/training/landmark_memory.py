"""Landmark features of tight pictures, each different picture read once: stills of an evaluation, then sequences."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from types import TracebackType

import numpy as np

from stemo.faces.landmarks import Landmarker
from stemo.records import Image
from stemo.training.labels import FloatArray
from stemo.training.landmark_cache import still_features


class LandmarkMemory:
    """Reads with a ``landmarker`` for stills and closes it; use it as a context manager."""

    def __init__(self, landmarker: Landmarker) -> None:
        self._landmarker = landmarker
        self._known: dict[bytes, FloatArray] = {}

    def features(self, images: Iterable[Image]) -> FloatArray:
        """Features (n 205) of pictures (h w 3) uint8, at least one; nan where none are found."""
        return np.stack([self._one(image) for image in images])

    def _one(self, image: Image) -> FloatArray:
        key = hashlib.sha256(repr(image.shape).encode() + image.tobytes()).digest()
        if key not in self._known:
            self._known[key] = still_features(self._landmarker, image)
        return self._known[key]

    def __enter__(self) -> LandmarkMemory:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._landmarker.close()
