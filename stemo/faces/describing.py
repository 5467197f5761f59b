"""What the landmarks of a followed face say besides: its blendshapes and how the head is turned.

Nothing here depends on other frames, nor the search for the next face on it, so it has a thread other than the search.
The network is that of Grishchenko et al., "Blendshapes GHUM: Real-time Monocular Facial Blendshape Prediction", arXiv
2309.05782.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from stemo.faces.head_pose import HeadPose
from stemo.faces.inner_networks import inner_parts, open_network
from stemo.records import Face, Image

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


class Describer:
    """Completes faces that have landmarks only; ``model`` is MediaPipe's ``face_landmarker.task``.

    Remembers nothing. Raises WeightsError when ``model`` cannot be loaded.
    """

    def __init__(self, model: Path) -> None:
        with inner_parts(model) as parts:
            self._shapes = open_network(parts.read("face_blendshapes.tflite"), convolutions=False)
            self._pose = HeadPose(parts.read("geometry_pipeline_metadata_landmarks.binarypb"))

    def describe(self, image: Image, face: Face) -> Face:
        """``face`` of the picture (h w 3) with blendshapes and pose, where its landmarks are all that is known."""
        if face.landmarks is None or face.blendshapes is not None:
            return face
        (blendshapes,) = self._shapes(face.landmarks[None, SHAPING, :2])
        return replace(face, blendshapes=blendshapes, pose=self._pose(face.landmarks, image.shape[1], image.shape[0]))
