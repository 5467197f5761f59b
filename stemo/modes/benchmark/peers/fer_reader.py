"""``fer``: OpenCV's Haar cascade, then a network of 58 thousand parameters; everything as it is by default."""

from __future__ import annotations

from importlib import import_module
from typing import Any


class Reader:
    """Faces by ``FER.detect_emotions``."""

    def __init__(self) -> None:
        make = import_module("fer.fer").FER
        self._fer = make()
        # a cropped face is its own box: nothing around it to take in
        self._cropped = make(offsets=(0, 0))

    def read(self, picture: Any) -> list[tuple[list[float], dict[str, float]]]:
        """The faces of a BGR picture: box (left, top, width, height) in pixels, shares by emotion."""
        found = self._fer.detect_emotions(picture)
        return [([float(side) for side in face["box"]], face["emotions"]) for face in found]

    def guess(self, face: Any) -> str:
        """The emotion of a cropped face: its network on the crop, resized and scaled as after detection."""
        height, width = face.shape[:2]
        (read,) = self._cropped.detect_emotions(face[..., ::-1].copy(), [(0, 0, width, height)])
        return max(read["emotions"], key=read["emotions"].get)
