"""Reading a face again where it was a moment ago: MediaPipe's two networks of the face, without its search for one.

A face that is followed needs no detector, only the mesh of the place where it was. MediaPipe's own graph around these
networks takes half as long again as they do, and remembers what cannot be saved; so they are run here by LiteRT, on the
crop, and with the steps after it, of MediaPipe's ``face_landmarks_detector_graph`` (Apache 2.0). The networks are those
of Grishchenko et al., "Attention Mesh: High-fidelity Face Mesh Prediction in Real-time", arXiv 2006.10962, and of
Grishchenko et al., "Blendshapes GHUM: Real-time Monocular Facial Blendshape Prediction", arXiv 2309.05782.
"""

from __future__ import annotations

import math
import zipfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from stemo.faces.geometry import LEFT_EYE, RIGHT_EYE
from stemo.faces.head_pose import HeadPose
from stemo.faces.landmarks import LANDMARKS, landmarks_box, quiet, unloadable
from stemo.records import Array, Face, Image

SIDE = 256  # pixels of the mesh network's input
ROOM = 1.5  # side of the place to look at, in sides of the face
PRESENT = 0.5  # least probability that there is a face
# fmt: off
SHAPING = (  # the landmarks that the network of blendshapes reads
    0, 1, 4, 5, 6, 7, 8, 10, 13, 14, 17, 21, 33, 37, 39, 40, 46, 52, 53, 54, 55, 58, 61, 63, 65, 66, 67, 70, 78, 80, 81,
    82, 84, 87, 88, 91, 93, 95, 103, 105, 107, 109, 127, 132, 133, 136, 144, 145, 146, 148, 149, 150, 152, 153, 154,
    155, 157, 158, 159, 160, 161, 162, 163, 168, 172, 173, 176, 178, 181, 185, 191, 195, 197, 234, 246, 249, 251, 263,
    267, 269, 270, 276, 282, 283, 284, 285, 288, 291, 293, 295, 296, 297, 300, 308, 310, 311, 312, 314, 317, 318, 321,
    323, 324, 332, 334, 336, 338, 356, 361, 362, 365, 373, 374, 375, 377, 378, 379, 380, 381, 382, 384, 385, 386, 387,
    388, 389, 390, 397, 398, 400, 402, 405, 409, 415, 454, 466, 468, 469, 470, 471, 472, 473, 474, 475, 476, 477,
)
# fmt: on

Matrix = npt.NDArray[np.float64]


class Follower:
    """Reads faces where they were in the picture before; ``model`` is MediaPipe's ``face_landmarker.task``.

    Remembers nothing. Raises WeightsError when ``model`` cannot be loaded.
    """

    def __init__(self, model: Path) -> None:
        try:
            with zipfile.ZipFile(model) as parts, quiet():
                self._mesh = _Network(parts.read("face_landmarks_detector.tflite"))
                self._shapes = _Network(parts.read("face_blendshapes.tflite"))
                self._pose = HeadPose(parts.read("geometry_pipeline_metadata_landmarks.binarypb"))
        except (RuntimeError, ValueError, OSError, KeyError, IndexError, zipfile.BadZipFile) as error:
            raise unloadable(model, error) from error

    def follow(self, image: Image, face: Face) -> Face | None:
        """``face``, read in another picture (h w 3), RGB uint8, with its score; ``None`` where it is not there.

        The place to look at comes from its landmarks, so ``face`` must have them.
        """
        assert face.landmarks is not None
        place = region(face.landmarks)
        crop = cv2.warpAffine(
            image, place, (SIDE, SIDE), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE
        )
        points, presence = self._mesh(np.multiply(crop, 1 / 255, dtype=np.float32)[None])[:2]
        landmarks = placed(points.reshape(LANDMARKS, 3), place)
        if 1 / (1 + math.exp(-float(presence.item()))) < PRESENT or not np.isfinite(landmarks).all():
            return None
        (blendshapes,) = self._shapes(landmarks[None, SHAPING, :2])
        pose = self._pose(landmarks, image.shape[1], image.shape[0])
        return Face(landmarks_box(landmarks), face.score, landmarks=landmarks, blendshapes=blendshapes, pose=pose)


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


class _Network:
    """One LiteRT network: an array in, arrays of its own out."""

    def __init__(self, model: bytes) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self._native: Any = Interpreter(model_content=model, num_threads=1)
        self._native.allocate_tensors()
        (given,) = self._native.get_input_details()
        self._input = given["index"]
        self._outputs = [output["index"] for output in self._native.get_output_details()]
        # the first run prepares, and may log
        self(np.zeros(given["shape"], np.float32))

    def __call__(self, values: Array) -> list[Array]:
        self._native.set_tensor(self._input, values)
        self._native.invoke()
        return [self._native.get_tensor(output) for output in self._outputs]
