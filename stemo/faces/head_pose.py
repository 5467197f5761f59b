"""How a head is turned, from its landmarks: MediaPipe's estimate of the facial transformation.

The canonical head is laid on the landmarks by a weighted orthogonal Procrustes fit, after an estimate of how far from a
camera of 63 degrees' height of view it is; see MediaPipe's ``face_geometry/libs/geometry_pipeline.cc`` (Apache 2.0).
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from stemo.faces.landmarks import pose_angles
from stemo.records import Array

VIEW = math.radians(63)  # of the camera, from the picture's top to its bottom
POINTS = 468  # the landmarks that the canonical head has
VERTEX = 5  # numbers of each: x, y, z and two of its texture
VARINT, LONG, BYTES, SHORT = 0, 1, 2, 5  # kinds of fields in a protocol buffer

Matrix = npt.NDArray[np.float64]
Field = tuple[int, int | bytes]


class HeadPose:
    """The turn of heads; ``metadata`` is ``geometry_pipeline_metadata_landmarks.binarypb`` of MediaPipe's file.

    Raises ValueError, IndexError or KeyError for a ``metadata`` that is something else.
    """

    def __init__(self, metadata: bytes) -> None:
        vertices, basis = _parse(metadata)
        places = list(basis)
        self._places = places
        weights = np.array([basis[place] for place in places])
        self._weights = weights / weights.sum()
        head = vertices[places].T  # (3 n)
        flat = head - (head @ self._weights)[:, None]
        self._flat = flat.T
        self._spread = float((flat * head * self._weights).sum())

    def __call__(self, landmarks: Array, width: int, height: int) -> tuple[float, float, float] | None:
        """Degrees (yaw, pitch, roll), see :func:`pose_angles`, of ``landmarks`` (478 3) in a picture of that size.

        ``None`` where the landmarks are too odd for a pose.
        """
        screen, depth = _on_screen(landmarks[:POINTS].astype(np.float64), width, height, self._places)
        try:
            first = self._scale(_mirrored(screen))
            second = self._scale(_mirrored(_in_space(screen, depth, first)))
            rotation, _ = self._fit(_mirrored(_in_space(screen, depth, first * second)))
        except np.linalg.LinAlgError:
            return None
        angles = pose_angles(rotation)
        return angles if np.isfinite(angles).all() else None

    def _scale(self, points: Matrix) -> float:
        return self._fit(points)[1]

    def _fit(self, points: Matrix) -> tuple[Matrix, float]:
        """The rotation (3 3) and scale that lay the canonical head on ``points`` (3 n) with the least squares."""
        left, sizes, right = np.linalg.svd((points * self._weights) @ self._flat)
        rotation = left @ right
        if np.linalg.det(rotation) < 0:
            left[:, 2] *= -1
            sizes[2] *= -1
            rotation = left @ right
        # the sizes' sum is that of the rotated head times the points
        return rotation, float(sizes.sum()) / self._spread


def _on_screen(landmarks: Matrix, width: int, height: int, places: list[int]) -> tuple[Matrix, float]:
    """The chosen landmarks (3 n) on the camera's near plane, one unit away, and the mean depth of all."""
    high = 2 * math.tan(VIEW / 2)
    unit = high / height
    screen = landmarks[places] * unit
    screen[:, 0] -= width * unit / 2
    screen[:, 1] = high / 2 - screen[:, 1]
    return screen.T, float(landmarks[:, 2].mean()) * unit


def _in_space(screen: Matrix, depth: float, scale: float) -> Matrix:
    """Points of the near plane (3 n) where they are in front of the camera, if a head is ``scale`` times its size."""
    away = (screen[2] - depth + 1) / scale
    return np.stack([screen[0] * away, screen[1] * away, away])


def _mirrored(points: Matrix) -> Matrix:
    """From a left-handed space to a right-handed one."""
    return points * np.array([[1.0], [1.0], [-1.0]])


def _parse(metadata: bytes) -> tuple[Matrix, dict[int, float]]:
    """The canonical head's vertices (468 3), and the weights of the landmarks that expressions hardly move."""
    mesh, basis = b"", {}
    for number, value in _fields(metadata):
        if number == 1 and isinstance(value, bytes):
            mesh = value
        if number == 2 and isinstance(value, bytes):
            parts = dict(_fields(value))
            basis[int(parts.get(1, 0))] = _float(parts[2])
    numbers = [_float(value) for number, value in _fields(mesh) if number == 3]
    vertices = np.array(numbers).reshape(POINTS, VERTEX)[:, :3]
    if not basis:
        raise ValueError("expected weights of landmarks, got none")
    return vertices, basis


def _float(value: int | bytes) -> float:
    assert isinstance(value, bytes)
    return float(np.frombuffer(value, "<f4")[0])


def _fields(message: bytes) -> Iterator[Field]:
    """Number and value of each field of a protocol buffer: integers, or the bytes of anything else."""
    place = 0
    while place < len(message):
        key, place = _varint(message, place)
        kind = key & 7
        if kind == VARINT:
            value, place = _varint(message, place)
            yield key >> 3, value
            continue
        if kind == BYTES:
            size, place = _varint(message, place)
        elif kind in (LONG, SHORT):
            size = 8 if kind == LONG else 4
        else:
            raise ValueError(f"expected a protocol buffer, got a field of kind {kind}")
        yield key >> 3, message[place : place + size]
        place += size


def _varint(message: bytes, place: int) -> tuple[int, int]:
    value, shift = 0, 0
    while message[place] & 0x80:
        value |= (message[place] & 0x7F) << shift
        place, shift = place + 1, shift + 7
    return value | message[place] << shift, place + 1
