"""``facex``: OpenCV's Haar cascade, then a network of 2.6 MB in TensorFlow Lite; everything as it is by default."""

from __future__ import annotations

from importlib import import_module
from typing import Any


class Reader:
    """Faces by the one classifier of a ``PoolManager``, without its thread pool."""

    def __init__(self) -> None:
        self._facex = import_module("facex").PoolManager(pool_size=1).get_classifier()

    def read(self, picture: Any) -> list[tuple[list[float], dict[str, float]]]:
        """The faces of a BGR picture: box (left, top, width, height) in pixels, shares by emotion."""
        found = self._facex.predict(picture)
        return [([float(side) for side in face["bbox"]], _plain(face["emot"])) for face in found]

    def guess(self, face: Any) -> str:
        """The emotion of a cropped face: its network on the gray crop, as after detection."""
        gray = import_module("cv2").cvtColor(face, 7)  # cv2.COLOR_RGB2GRAY
        shares = _plain(self._facex.detect_emotion(gray))
        return max(shares, key=lambda name: shares[name])


def _plain(shares: dict[str, Any]) -> dict[str, float]:
    return {name: float(share) for name, share in shares.items()}
