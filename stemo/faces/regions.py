"""Boxes and square windows of a picture: overlap, merging, and looking closer at a part."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from stemo.records import Box, Face, Image

WINDOW = 384  # side of a zoomed window in pixels: twice the landmarker's input, of which a face fills half


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """A square part of a picture, resized; ``scale`` and the corner lead from its pixels back to the picture's."""

    image: Image
    scale: float
    left: float
    top: float

    def back(self, face: Face) -> Face:
        """A face seen in the window, in pixels of the whole picture."""
        return moved(face, self.scale, self.left, self.top)


def iou(one: Box, other: Box) -> float:
    """Shared area over joint area of two boxes, in [0, 1]."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(width, 0.0) * max(height, 0.0)
    return shared / max(area(one) + area(other) - shared, 1e-9)


def area(box: Box) -> float:
    """The area of a box in square pixels; 0 for an empty one."""
    return max(box[2] - box[0], 0.0) * max(box[3] - box[1], 0.0)


def centre(box: Box) -> tuple[float, float]:
    """The middle of a box."""
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def same_face(one: Box, other: Box) -> bool:
    """Whether two boxes show one face: they overlap well, or one holds most of the other."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(width, 0.0) * max(height, 0.0)
    return iou(one, other) > 0.35 or shared > 0.7 * max(min(area(one), area(other)), 1e-9)


def merge(faces: Sequence[Face]) -> list[Face]:
    """One face for each that was seen several times: those with landmarks go first, then the better score."""
    kept: list[Face] = []
    for face in sorted(faces, key=lambda face: (face.landmarks is None, -face.score)):
        if not any(same_face(face.box, other.box) for other in kept):
            kept.append(face)
    return kept


def closest(faces: Sequence[Face], box: Box, *, least: float) -> Face | None:
    """The face overlapping ``box`` most, if its IoU is at least ``least``."""
    best = max(faces, key=lambda face: iou(face.box, box), default=None)
    return best if best is not None and iou(best.box, box) >= least else None


def nearest(faces: Sequence[Face], box: Box) -> Face | None:
    """The face of about the size of ``box`` whose middle is nearest to its own, however far that is."""
    alike = [face for face in faces if 0.45 < area(face.box) / max(area(box), 1e-9) < 2.2]
    return min(alike, key=lambda face: math.dist(centre(face.box), centre(box)), default=None)


def zoom(image: Image, box: Box, *, factor: float = 2.0) -> Window:
    """The square window around ``box``, ``factor`` times its longer side; the picture's border is repeated outside."""
    side = max(round(max(box[2] - box[0], box[3] - box[1]) * factor), 8)
    left, top = (round(middle - side / 2) for middle in centre(box))
    part = _padded(image, left, top, side)
    quality = cv2.INTER_AREA if side > WINDOW else cv2.INTER_CUBIC
    resized = cv2.resize(part, (WINDOW, WINDOW), interpolation=quality)
    return Window(np.asarray(resized, np.uint8), side / WINDOW, left, top)


def moved(face: Face, scale: float, shift_x: float, shift_y: float) -> Face:
    """The same face in other pixel coordinates: ``scale`` times the old ones, then shifted."""
    left, top, right, bottom = face.box
    box = (left * scale + shift_x, top * scale + shift_y, right * scale + shift_x, bottom * scale + shift_y)
    if face.landmarks is None:
        return replace(face, box=box)
    landmarks = face.landmarks * np.float32(scale) + np.array([shift_x, shift_y, 0.0], np.float32)
    return replace(face, box=box, landmarks=landmarks.astype(np.float32))


def _padded(image: Image, left: int, top: int, side: int) -> Image:
    height, width = image.shape[:2]
    # a window wholly outside still shows the nearest row or column
    x1, y1 = min(max(left, 0), width - 1), min(max(top, 0), height - 1)
    x2, y2 = max(min(left + side, width), x1 + 1), max(min(top + side, height), y1 + 1)
    edges = (max(y1 - top, 0), max(top + side - y2, 0), max(x1 - left, 0), max(left + side - x2, 0))
    part = image[y1:y2, x1:x2]
    if any(edges):
        part = cv2.copyMakeBorder(part, *edges, cv2.BORDER_REPLICATE)
    return np.asarray(part[:side, :side], np.uint8)
