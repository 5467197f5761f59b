"""Drawn faces: a data set that needs no download, for smoke tests of a training. They teach nothing about people."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

from stemo.records import EMOTIONS, Image
from stemo.training.datasets import LabelledFace

SIDE = 48
PER_CLASS = {"train": 12, "valid": 4}
# curve of the mouth (down is negative), how open mouth and eyes are, slant of the brows
SHAPES: dict[str, tuple[float, float, float, float]] = {
    "Angry": (-0.6, 0.0, 0.5, 0.8),
    "Disgust": (-0.8, 0.3, 0.3, 0.4),
    "Fear": (-0.3, 0.6, 1.0, -0.6),
    "Happy": (1.0, 0.3, 0.6, 0.0),
    "Neutral": (0.0, 0.0, 0.6, 0.0),
    "Sad": (-0.8, 0.0, 0.4, -0.8),
    "Surprise": (0.0, 1.0, 1.0, -0.3),
}


def made_faces(seed: int = 0) -> Iterator[LabelledFace]:
    """A few drawn faces of every class, split into train and valid; the same for the same ``seed``."""
    rng = np.random.default_rng(seed)
    for split, count in PER_CLASS.items():
        for name in EMOTIONS:
            for place in range(count):
                person = f"{split}-{name}-{place}"
                yield LabelledFace(person, draw(name, rng), {name: 1.0}, name, split, person)


def draw(emotion: str, rng: np.random.Generator) -> Image:
    """A drawn face (48 48 3) with the emotion's shapes, a little different every time."""
    curve, opening, eyes, slant = np.array(SHAPES[emotion]) + rng.normal(0, 0.08, 4)
    canvas = np.full((SIDE, SIDE, 3), int(rng.integers(30, 90)), np.uint8)
    skin, ink = int(rng.integers(150, 220)), int(rng.integers(0, 50))
    cv2.ellipse(canvas, (24, 25), (17, 21), 0, 0, 360, (skin, skin, skin), -1, cv2.LINE_AA)
    for side in (-1, 1):
        x = 24 + 7 * side
        cv2.ellipse(canvas, (x, 20), (3, max(1, round(3 * eyes))), 0, 0, 360, (ink, ink, ink), -1, cv2.LINE_AA)
        tilt = -round(2.5 * slant) * side
        cv2.line(canvas, (x - 4, 14 - tilt), (x + 4, 14 + tilt), (ink, ink, ink), 1, cv2.LINE_AA)
    points = np.array([(24 + x, 35 + curve * (3 - x * x / 16)) for x in range(-7, 8)])
    cv2.polylines(canvas, [np.rint(points).astype(np.int32)], False, (ink, ink, ink), 1, cv2.LINE_AA)
    if opening > 0.15:
        cv2.ellipse(canvas, (24, 36), (4, max(1, round(5 * opening))), 0, 0, 360, (ink, ink, ink), -1, cv2.LINE_AA)
    noise = rng.normal(0, 4, canvas.shape)
    return np.clip(canvas + noise, 0, 255).astype(np.uint8)
