"""MediaPipe asked past its Python API says the same as through it."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from stemo.assets import locate
from stemo.chatter import quiet
from stemo.faces import landmarks
from stemo.faces.native import Insides, _direct, _public, opened, said
from stemo.records import Image


@pytest.fixture(scope="module")
def face(photo: Image) -> Image:
    return np.ascontiguousarray(photo[40:440, 700:1280])


@pytest.fixture
def landmarker() -> Iterator[Any]:
    with quiet():
        made = landmarks._create(locate("face_landmarker"), 2, 0.5)
    yield made
    made.close()


def insides() -> Insides:
    found = landmarks._insides()
    assert found is not None
    return found


def pictured(image: Image) -> Any:
    import mediapipe as mp

    return mp.Image(image_format=mp.ImageFormat.SRGB, data=image)


def test_both_ways_give_the_same_numbers(face: Image, landmarker: Any) -> None:
    with quiet():
        (mesh,), (same,) = _direct(landmarker, insides())(pictured(face)), _public(landmarker)(pictured(face))
    assert mesh.points.shape == (478, 3)
    assert mesh.scores.shape == (52,)
    for part, equal in zip(mesh, same, strict=True):
        np.testing.assert_array_equal(part, equal)


def test_a_picture_without_a_face_gives_nothing_and_what_was_given_stays(face: Image, landmarker: Any) -> None:
    with quiet():
        ask = _direct(landmarker, insides())
        (mesh,) = ask(pictured(face))
        before = mesh.points.copy()
        assert ask(pictured(np.zeros_like(face))) == []
        ask(pictured(np.ascontiguousarray(face[:, ::-1])))
    np.testing.assert_array_equal(mesh.points, before)


def test_an_error_of_mediapipe_comes_out() -> None:
    def refuses(*given: Any) -> int:
        given[-1]._obj.value = b"not a picture"
        return 3

    freed: list[bytes] = []
    library = SimpleNamespace(
        MpFaceLandmarkerDetectImage=refuses,
        MpFaceLandmarkerCloseResult=lambda _: pytest.fail("there is no result to free"),
        MpErrorFree=lambda message: freed.append(message.value),
    )
    broken = SimpleNamespace(_lib=SimpleNamespace(_lib=library), _handle=None)
    with pytest.raises(ValueError, match="not a picture"):
        opened(broken, insides())(SimpleNamespace(_image_ptr=None))
    assert freed == [b"not a picture"]


def test_other_insides_are_read_through_the_api() -> None:
    point, category = SimpleNamespace(x=0.1, y=0.2, z=0.3), SimpleNamespace(score=0.5)
    result = SimpleNamespace(
        face_landmarks=[[point] * 478], face_blendshapes=[[category] * 52], facial_transformation_matrixes=[np.eye(4)]
    )
    other = SimpleNamespace(detect=lambda *_: result)  # without a library in C
    for known in (None, insides()):
        (mesh,) = opened(other, known)(object())
        np.testing.assert_array_equal(mesh.points, said(result)[0].points)
        assert mesh.points[0] == pytest.approx([0.1, 0.2, 0.3])
