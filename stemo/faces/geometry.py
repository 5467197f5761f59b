"""From a face mesh to the 205 numbers of the network's landmark stream."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from stemo.records import Array

# fmt: off
KEY_POINTS: tuple[int, ...] = (  # "right" and "left" are the subject's own
    70, 63, 105, 66, 107, 336, 296, 334, 293, 300,        # right brow, left brow
    33, 160, 158, 133, 153, 144,                          # right eye
    362, 385, 387, 263, 373, 380,                         # left eye
    168, 1, 2, 98, 327,                                   # nose: root, tip, base, wings
    61, 40, 37, 0, 267, 270, 291, 321, 314, 17, 84, 91,   # outer lips
    78, 81, 13, 311, 308, 402, 14, 178,                   # inner lips
    172, 152, 397,                                        # jaw: right corner, chin, left corner
)
BLENDSHAPE_NAMES: tuple[str, ...] = (  # in MediaPipe's order
    "neutral", "brow down left", "brow down right", "brow inner up", "brow outer up left", "brow outer up right",
    "cheek puff", "cheek squint left", "cheek squint right", "eye blink left", "eye blink right",
    "eye look down left", "eye look down right", "eye look in left", "eye look in right", "eye look out left",
    "eye look out right", "eye look up left", "eye look up right", "eye squint left", "eye squint right",
    "eye wide left", "eye wide right", "jaw forward", "jaw left", "jaw open", "jaw right", "mouth close",
    "mouth dimple left", "mouth dimple right", "mouth frown left", "mouth frown right", "mouth funnel", "mouth left",
    "mouth lower down left", "mouth lower down right", "mouth press left", "mouth press right", "mouth pucker",
    "mouth right", "mouth roll lower", "mouth roll upper", "mouth shrug lower", "mouth shrug upper",
    "mouth smile left", "mouth smile right", "mouth stretch left", "mouth stretch right", "mouth upper up left",
    "mouth upper up right", "nose sneer left", "nose sneer right",
)
# fmt: on
BLENDSHAPES = len(BLENDSHAPE_NAMES)
FEATURE_SIZE = 3 * len(KEY_POINTS) + BLENDSHAPES + 3

RIGHT_EYE, LEFT_EYE = (33, 133), (362, 263)
# points that expressions hardly move: eye corners, nose, forehead, and the sides of the head
RIGID = np.array([33, 133, 362, 263, 168, 1, 2, 10, 234, 454])
KEY_PLACES, EVERY = np.array(KEY_POINTS), slice(None)
Places = npt.NDArray[np.intp] | slice
POSE_UNIT = 45.0  # degrees


def landmark_features(landmarks: Array, blendshapes: Array, pose: tuple[float, float, float]) -> Array:
    """The features (205,) float32 of one face: 50 key points x (x, y, z), 52 blendshapes, yaw, pitch and roll / 45.

    ``landmarks`` (478, 3) in pixels, ``blendshapes`` (52,) in [0, 1], ``pose`` in degrees. Points are centred between
    the eyes, divided by the head's size and turned upright, so moving, scaling or rolling the picture changes nothing
    but the roll itself. Raises ValueError when a shape is wrong or a value is not finite.
    """
    if landmarks.shape != (478, 3) or blendshapes.shape != (BLENDSHAPES,):
        shapes = f"{landmarks.shape} and {blendshapes.shape}"
        raise ValueError(f"expected landmarks (478, 3) and blendshapes (52,), got {shapes}")
    points = normalise(landmarks, KEY_PLACES)
    features = np.concatenate([points.ravel(), blendshapes, np.asarray(pose) / POSE_UNIT]).astype(np.float32)
    if not np.isfinite(features).all():
        raise ValueError("expected finite landmarks, blendshapes and pose, got NaN or infinity")
    return features


def normalise(landmarks: Array, places: Places = EVERY) -> Array:
    """Landmarks (478 3), those at ``places``, centred, upright and in units of the rigid points' size.

    That is their RMS distance from the middle between the eyes, where the centre is.
    """
    right, left = eye_centres(landmarks)
    middle = (right + left) / 2
    # the size is taken in three dimensions: turning the head does not shorten it
    away = landmarks[RIGID] - middle
    size = math.sqrt(float(np.vdot(away, away)) / len(away))
    upright = (landmarks[places] - middle) @ _turn(right, left).T
    return (upright / max(size, 1e-6)).astype(np.float32)


def eye_centres(landmarks: Array) -> tuple[Array, Array]:
    """The middles (3,) of the subject's right eye and left eye, from the corners, which blinking does not move."""
    right, left = ((landmarks[one] + landmarks[other]) / 2 for one, other in (RIGHT_EYE, LEFT_EYE))
    return right, left


def extent(landmarks: Array) -> tuple[Array, Array]:
    """The least and the greatest x and y of landmarks (n 3): (2,) each."""
    # a row for each takes a third of the time
    rows = np.ascontiguousarray(landmarks[:, :2].T)
    return rows.min(axis=1), rows.max(axis=1)


def _turn(right: Array, left: Array) -> Array:
    angle = math.atan2(left[1] - right[1], left[0] - right[0])
    cosine, sine = math.cos(angle), math.sin(angle)
    return np.array([[cosine, sine, 0], [-sine, cosine, 0], [0, 0, 1]], np.float32)
