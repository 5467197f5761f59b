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

from stemo.faces.geometry import LEFT_EYE, RIGHT_EYE
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

    def follow(self, image: Image, face: Face) -> Face | None:
        """``face`` in another picture (h w 3), RGB uint8: its landmarks and score; ``None`` where it is not there.

        The place to look at comes from its landmarks, so ``face`` must have them.
        """
        assert face.landmarks is not None
        place = region(face.landmarks)
        crop = cv2.warpAffine(
            image, place, (SIDE, SIDE), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE
        )
        points, presence = self._mesh(np.multiply(crop, 1 / 255, dtype=np.float32)[None])[:2]
        there = float(presence.item()) >= PRESENT  # NaN is no face either
        if not there or not np.isfinite(points).all():
            return None
        landmarks = placed(points.reshape(LANDMARKS, 3), place)
        return Face(landmarks_box(landmarks), face.score, landmarks=landmarks)


def region(landmarks: Array) -> Matrix:
    """The map (2 3) from the mesh network's pixels to those of the picture that ``landmarks`` (478 3) lie in.

    It shows an upright square around the face, with room for it to move.
    """
    low, high = landmarks[:, :2].min(axis=0), landmarks[:, :2].max(axis=0)
    scale = ROOM * float((high - low).max()) / SIDE
    across, down = (landmarks[LEFT_EYE[1], :2] - landmarks[RIGHT_EYE[0], :2]).tolist()
    angle = math.atan2(down, across)
    turn = scale * np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    return np.column_stack([turn, (low + high) / 2 - turn @ [SIDE / 2, SIDE / 2]])


def placed(points: Array, place: Matrix) -> Array:
    """Landmarks (n 3) in the mesh network's pixels as ones in the picture's, by the map of :func:`region`."""
    scale = math.hypot(place[0, 0], place[1, 0])
    moved = points[:, :2] @ place[:, :2].T + place[:, 2]
    return np.column_stack([moved, points[:, 2] * scale]).astype(np.float32)
