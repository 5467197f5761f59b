"""From a face in a picture to the upright 224 x 224 crop that the network reads."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from stemo.faces.geometry import LEFT_EYE, RIGHT_EYE
from stemo.records import Array, Box, Image

CROP_SIZE = 224
NOSE_TIP, RIGHT_MOUTH, LEFT_MOUTH = 1, 61, 291
ANCHORS = np.array([*RIGHT_EYE, *LEFT_EYE, NOSE_TIP, RIGHT_MOUTH, LEFT_MOUTH])

Matrix = npt.NDArray[np.float64]

# Right eye, left eye, nose tip, right and left mouth corner, in [0, 1] of a FER2013 picture: the means over the 1,077
# nearly frontal (yaw within 15 degrees) of the 1,411 faces that stills.read_still found in 1,500 random pictures of
# FER+ train, mirrored and averaged so that the crop is symmetric.
TEMPLATE = np.array([[0.3176, 0.3874], [0.6824, 0.3874], [0.5, 0.6122], [0.3476, 0.7689], [0.6524, 0.7689]])
# The box around all 478 landmarks in the same pictures, made in the same way
FACE_BOX = (0.0813, 0.0786, 0.9187, 1.0106)


def align(image: Image, landmarks: Array | None, box: Box, size: int = CROP_SIZE) -> Image:
    """The crop (size size 3) uint8 of the face, framed as the faces that the network learned from.

    ``landmarks`` (478 3) in pixels of ``image`` turn it upright; without them ``box`` alone is used, and the crop keeps
    the picture's roll. Parts of the crop outside the picture repeat its border.
    """
    return warp(image, crop_matrix(landmarks, box) * (size / CROP_SIZE), size)


def crop_matrix(landmarks: Array | None, box: Box) -> Matrix:
    """The similarity (2 3) from picture to crop pixels that :func:`align` uses; its inverse leads back."""
    return from_box(box) if landmarks is None else from_landmarks(landmarks)


def anchors(landmarks: Array) -> Matrix:
    """Right eye, left eye, nose tip, right and left mouth corner (5 2) of a mesh (478 3)."""
    flat = landmarks[ANCHORS, :2].astype(np.float64)  # an eye's two corners, the other's, and the rest
    flat[[0, 2]] = (flat[[0, 2]] + flat[[1, 3]]) / 2
    return flat[[0, 2, 4, 5, 6]]


def from_landmarks(landmarks: Array) -> Matrix:
    """The similarity (2 3) from picture to crop pixels that lays the anchors of the mesh (478 3) on the template."""
    return similarity(anchors(landmarks), TEMPLATE * CROP_SIZE)


def from_box(box: Box) -> Matrix:
    """The scaling and shift (2 3) from picture to crop pixels that lays ``box`` where landmarks usually lie."""
    left, top, right, bottom = (side * CROP_SIZE for side in FACE_BOX)
    width, height = max(box[2] - box[0], 1.0), max(box[3] - box[1], 1.0)
    scale = math.sqrt((right - left) * (bottom - top) / (width * height))
    shift_x = (left + right) / 2 - scale * (box[0] + box[2]) / 2
    shift_y = (top + bottom) / 2 - scale * (box[1] + box[3]) / 2
    return np.array([[scale, 0.0, shift_x], [0.0, scale, shift_y]])


def similarity(source: Matrix, target: Matrix, *, rounds: int = 4) -> Matrix:
    """The rotation, scaling and shift (2 3) that best lays points ``source`` (n 2) on ``target`` (n 2).

    Least squares, with points that fit badly (a nose tip under yaw) weighing less from round to round.
    """
    # a similarity of the plane is w = turn * z + shift in complex numbers; Python's are faster than arrays of five
    points, goals = _complex(source), _complex(target)
    scale = max(0.05 * float(np.ptp(target, axis=0).max()), 1e-9)
    middle = sum(points) / len(points)
    points = [point - middle for point in points]
    sums = Sums(points, goals)
    turn, shift = sums.similarity([1.0] * len(points))
    for _ in range(rounds - 1):
        misses = [abs(turn * point + shift - goal) / scale for point, goal in zip(points, goals, strict=True)]
        turn, shift = sums.similarity([1.0 / (1.0 + miss * miss) for miss in misses])
    shift -= turn * middle
    return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])


def warp(image: Image, matrix: Matrix, size: int = CROP_SIZE) -> Image:
    """The picture (h w 3) under a similarity (2 3), as (size size 3); shrinking averages instead of skipping pixels."""
    factor = int(1 / max(math.hypot(matrix[0, 0], matrix[1, 0]), 1e-6))
    if factor > 1:
        image, matrix = _shrink(image, matrix, factor, size)
    crop = cv2.warpAffine(image, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(crop, np.uint8)


def _complex(points: Matrix) -> list[complex]:
    """(n 2) -> x + iy of each."""
    return [complex(x, y) for x, y in points.tolist()]


class Sums:
    """What the fits of ``goals`` to the same ``points``, around 0, with one weight after the other have in common."""

    def __init__(self, points: Sequence[complex], goals: Sequence[complex]) -> None:
        self._points, self._goals = points, goals
        self._squares = [point * point.conjugate() for point in points]
        self._products = [point.conjugate() * goal for point, goal in zip(points, goals, strict=True)]

    def similarity(self, weights: Sequence[float]) -> tuple[complex, complex]:
        """Turn (with scale) and shift that lay the points on the goals with the least weighted squares."""
        whole = sum(weights)
        centre, goal, square, product = (
            sum(map(operator.mul, weights, values)) / whole
            for values in (self._points, self._goals, self._squares, self._products)
        )
        spread = (square - centre * centre.conjugate()).real
        turn = (product - centre.conjugate() * goal) / max(spread, 1e-12)
        return turn, goal - turn * centre


def _shrink(image: Image, matrix: Matrix, factor: int, size: int) -> tuple[Image, Matrix]:
    """The part of the picture that the crop shows, averaged down by a whole ``factor`` (fast), and its new matrix."""
    left, top, right, bottom = _shown(matrix, size, image.shape[1], image.shape[0])
    width, height = max((right - left) // factor, 1), max((bottom - top) // factor, 1)
    part = image[top : top + height * factor, left : left + width * factor]
    small = cv2.resize(part, (width, height), interpolation=cv2.INTER_AREA)
    # pixel centres sit at half integers: x_part = (x_small + 0.5) * step - 0.5
    across, down = part.shape[1] / width, part.shape[0] / height
    x, y = across / 2 - 0.5 + left, down / 2 - 0.5 + top
    rows = [[a * across, b * down, a * x + b * y + shift] for a, b, shift in matrix.tolist()]
    return np.asarray(small, np.uint8), np.array(rows)


def _shown(matrix: Matrix, size: int, width: int, height: int) -> tuple[int, int, int, int]:
    """The part of a picture of ``width`` x ``height`` that a crop by ``matrix`` shows, with a margin, in pixels."""
    back = cv2.invertAffineTransform(matrix)
    (x, y), (a, c), (b, d) = back[:, 2].tolist(), *(back[:, :2] * size).T.tolist()
    margin = 2.0 / math.hypot(matrix[0, 0], matrix[1, 0]) + 2.0
    low_x, high_x = x + min(a, 0) + min(b, 0) - margin, x + max(a, 0) + max(b, 0) + margin
    low_y, high_y = y + min(c, 0) + min(d, 0) - margin, y + max(c, 0) + max(d, 0) + margin
    left, top = min(max(math.floor(low_x), 0), width - 1), min(max(math.floor(low_y), 0), height - 1)
    right, bottom = max(min(math.ceil(high_x), width), left + 1), max(min(math.ceil(high_y), height), top + 1)
    return left, top, right, bottom
