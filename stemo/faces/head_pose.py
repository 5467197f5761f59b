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
        self._places = np.array(list(basis))
        weights = np.array(list(basis.values()))
        weights = weights / weights.sum()
        head = vertices[self._places].T  # (3 n)
        flat = head - (head @ weights)[:, None]
        self._flat = flat.T
        self._spread = float((flat * head * weights).sum())
        # from a left-handed space to a right-handed one
        self._weights = np.array([[1.0], [1.0], [-1.0]]) * weights

    def __call__(self, landmarks: Array, width: int, height: int) -> tuple[float, float, float] | None:
        """Degrees (yaw, pitch, roll), see :func:`pose_angles`, of ``landmarks`` (478 3) in a picture of that size.

        ``None`` where the landmarks are too odd for a pose.
        """
        screen, away = self._on_screen(landmarks, width, height)
        try:
            first = self._scale(screen)
            rays = np.stack([screen[0], screen[1], np.ones_like(away)])  # to points one unit away
            second = self._scale(rays * (away / first))
            rotation = self._rotation(rays * (away / (first * second)))
        except np.linalg.LinAlgError:
            return None
        angles = pose_angles(rotation)
        return angles if all(map(math.isfinite, angles)) else None

    def _on_screen(self, landmarks: Array, width: int, height: int) -> tuple[Matrix, Matrix]:
        """The chosen landmarks (3 n) on the camera's near plane, one unit away, and how far away those (n) of a head of
        the canonical one's size are.
        """
        high = 2 * math.tan(VIEW / 2)
        unit = high / height
        x, y, z = landmarks[self._places].T.astype(np.float64) * unit
        depth = float(landmarks[:POINTS, 2].mean(dtype=np.float64)) * unit
        return np.stack([x - width * unit / 2, high / 2 - y, z]), z - depth + 1

    def _scale(self, points: Matrix) -> float:
        """How much larger than the canonical head the one is that fits ``points`` (3 n) with the least squares."""
        products = (points * self._weights) @ self._flat
        large, middle, small = np.linalg.svd(products, compute_uv=False).tolist()
        # the sum is that of the rotated head times the points; a mirrored head is no rotated one
        return (large + middle + math.copysign(small, np.linalg.det(products))) / self._spread

    def _rotation(self, points: Matrix) -> Matrix:
        """The rotation (3 3) that lays the canonical head on ``points`` (3 n) with the least squares."""
        left, _, right = np.linalg.svd((points * self._weights) @ self._flat)
        if np.linalg.det(left) * np.linalg.det(right) < 0:
            left[:, 2] *= -1
        return left @ right


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
