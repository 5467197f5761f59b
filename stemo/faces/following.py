"""Reading a face again where it was a moment ago: MediaPipe's network of the face's mesh, without its search for one.

A face that is followed needs no detector, only the mesh of the place where it was. MediaPipe's own graph around that
network takes half as long again, and remembers what cannot be saved; so it is run here by itself, on the crop, and with
the steps after it, of MediaPipe's ``face_landmarks_detector_graph`` (Apache 2.0). The network is that of Grishchenko et
al., "Attention Mesh: High-fidelity Face Mesh Prediction in Real-time", arXiv 2006.10962.
"""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from einops import rearrange

from stemo.faces.geometry import LEFT_EYE, RIGHT_EYE, extent
from stemo.faces.inner_networks import inner_parts, open_network
from stemo.faces.landmarks import LANDMARKS, landmarks_box
from stemo.records import Array, Face, Image

SIDE = 256  # pixels of the mesh network's input
ROOM = 1.5  # side of the place to look at, in sides of the face
PRESENT = 0.0  # least logit of there being a face: as likely as not

Matrix = npt.NDArray[np.float64]


class Follower:
    """Reads faces where they were in the picture before; ``model`` is MediaPipe's ``face_landmarker.task``.

    The network runs on so many ``threads``. Remembers nothing. Raises WeightsError when ``model`` cannot be loaded.
    """

    def __init__(self, model: Path, threads: int = 1) -> None:
        with inner_parts(model) as parts:
            mesh = parts.read("face_landmarks_detector.tflite")
            self._mesh = open_network(mesh, convolutions=True, threads=threads)
        self._pixels = np.empty((1, SIDE, SIDE, 3), np.float32)

    def follow(self, image: Image, face: Face) -> Face | None:
        """``face`` in another picture (h w 3), RGB uint8: its landmarks and score; ``None`` where it is not there.

        The place to look at comes from its landmarks, so ``face`` must have them.
        """
        assert face.landmarks is not None
        place = region(face.landmarks)
        crop = cv2.warpAffine(
            image, place, (SIDE, SIDE), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE
        )
        np.multiply(crop, 1 / 255, out=self._pixels[0], dtype=np.float32)
        points, presence = self._mesh(self._pixels)[:2]
        there = float(presence.item()) >= PRESENT  # NaN is no face either
        if not there or not np.isfinite(points).all():
            return None
        landmarks = placed(points.reshape(LANDMARKS, 3), place)
        return Face(landmarks_box(landmarks), face.score, landmarks=landmarks)


def region(landmarks: Array) -> Matrix:
    """The map (2 3) from the mesh network's pixels to those of the picture that ``landmarks`` (478 3) lie in.

    It shows an upright square around the face, with room for it to move.
    """
    (left, top), (right, bottom) = (corner.tolist() for corner in extent(landmarks))
    scale = ROOM * max(right - left, bottom - top) / SIDE
    across, down = (landmarks[LEFT_EYE[1], :2] - landmarks[RIGHT_EYE[0], :2]).tolist()
    angle = math.atan2(down, across)
    cosine, sine = scale * math.cos(angle), scale * math.sin(angle)
    x = (left + right) / 2 - (cosine - sine) * SIDE / 2
    y = (top + bottom) / 2 - (sine + cosine) * SIDE / 2
    return np.array([[cosine, -sine, x], [sine, cosine, y]])


def placed(points: Array, place: Matrix) -> Array:
    """Landmarks (n 3) in the mesh network's pixels as ones in the picture's, by the map of :func:`region`."""
    (cosine, minus_sine, x), (sine, _, y) = place.tolist()
    space = [[cosine, minus_sine, 0, x], [sine, cosine, 0, y], [0, 0, math.hypot(cosine, sine), 0]]
    moved = cv2.transform(rearrange(points, "n c -> n 1 c"), np.array(space))
    return rearrange(np.asarray(moved, np.float32), "n 1 c -> n c")
