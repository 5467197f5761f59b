"""What MediaPipe's landmarker says of a picture, as arrays.

Its Python API makes 530 objects of every face and hands every call to a thread and back, which takes longer than
everything else that happens to a face in Python. So its C function is called here as the API itself calls it, and the
numbers are copied out of its memory at once; where a version of MediaPipe has other insides, the API is used.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from stemo.records import Array

Ask = Callable[[Any], list["Mesh"]]


class Mesh(NamedTuple):
    """One face: ``points`` (478 3) in parts of the picture, ``scores`` (52) of the blendshapes, ``pose`` (4 4)."""

    points: Array
    scores: Array
    pose: npt.NDArray[Any]


class Insides(NamedTuple):
    """What MediaPipe's own API calls its C functions with."""

    handle_status: Callable[[int, ctypes.c_char_p], None]  # raises for a status that is none of success
    result: type[ctypes.Structure]
    landmark: type[ctypes.Structure]
    category: type[ctypes.Structure]


def opened(landmarker: Any, insides: Insides | None) -> Ask:
    """The way to ask a MediaPipe ``FaceLandmarker`` of single pictures: a ``mediapipe.Image`` -> the faces in it.

    Raises what MediaPipe raises.
    """
    if insides is None:
        return _public(landmarker)
    try:
        return _direct(landmarker, insides)
    except AttributeError:
        return _public(landmarker)


def _public(landmarker: Any) -> Ask:
    return lambda picture: said(landmarker.detect(picture))


def said(result: Any) -> list[Mesh]:
    """The faces of a ``FaceLandmarkerResult``."""
    faces = zip(result.face_landmarks, result.face_blendshapes, result.facial_transformation_matrixes, strict=True)
    return [
        Mesh(
            np.array([(point.x, point.y, point.z) for point in points], np.float32),
            np.array([category.score for category in categories], np.float32),
            np.asarray(pose),
        )
        for points, categories, pose in faces
    ]


def _direct(landmarker: Any, insides: Insides) -> Ask:
    library, handle = landmarker._lib._lib, landmarker._handle
    call = library.MpFaceLandmarkerDetectImage
    free, free_error = library.MpFaceLandmarkerCloseResult, library.MpErrorFree
    copied = _copier(insides)

    def ask(picture: Any) -> list[Mesh]:
        result: Any = insides.result()
        message = ctypes.c_char_p()
        status = call(handle, picture._image_ptr, None, ctypes.byref(result), ctypes.byref(message))
        try:
            insides.handle_status(status, message)
        finally:
            if message.value is not None:
                free_error(message)
        try:
            return [copied(result, index) for index in range(result.face_landmarks_count)]
        finally:
            free(ctypes.byref(result))

    return ask


def _copier(insides: Insides) -> Callable[[Any, int], Mesh]:
    """Copies one face out of MediaPipe's structures, by their own description of where each number lies."""
    point, score = _floats(insides.landmark, "x", "y", "z"), _floats(insides.category, "score")

    def copied(result: Any, index: int) -> Mesh:
        mesh, shapes = result.face_landmarks[index], result.face_blendshapes[index]
        points = _array(mesh.landmarks, mesh.landmarks_count, point)
        scores = _array(shapes.categories, shapes.categories_count, score)
        return Mesh(points, scores[:, 0], result.facial_transformation_matrixes[index].to_numpy())

    return copied


def _floats(structure: type[ctypes.Structure], *names: str) -> np.dtype[Any]:
    offsets = [getattr(structure, name).offset for name in names]
    return np.dtype(
        {
            "names": names,
            "formats": [np.float32] * len(names),
            "offsets": offsets,
            "itemsize": ctypes.sizeof(structure),
        }
    )


def _array(pointer: Any, count: int, layout: np.dtype[Any]) -> Array:
    """The named floats of ``count`` structures behind ``pointer`` as an array of its own (count names)."""
    memory = ctypes.string_at(pointer, count * layout.itemsize)
    rows = np.frombuffer(memory, layout)
    return np.stack([rows[name] for name in layout.names or ()], axis=-1)
