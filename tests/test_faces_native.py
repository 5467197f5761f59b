"""MediaPipe asked past its Python API says the same as through it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from stemo.assets import locate
from stemo.faces import landmarks
from stemo.faces.native import _direct, _public, opened, said
from stemo.records import Image


@pytest.fixture(scope="module")
def face() -> Image:
    import ultralytics

    photo = cv2.imread(str(Path(ultralytics.__file__).parent / "assets" / "zidane.jpg"))
    assert photo is not None
    return np.ascontiguousarray(cv2.cvtColor(photo, cv2.COLOR_BGR2RGB)[40:440, 700:1280], np.uint8)


def native(*, video: bool) -> Any:
    with landmarks._quiet():
        return landmarks._create(locate("face_landmarker"), 2, video, 0.5)


def pictured(image: Image) -> Any:
    import mediapipe as mp

    return mp.Image(image_format=mp.ImageFormat.SRGB, data=image)


@pytest.mark.parametrize("time", [None, 40])
def test_both_ways_give_the_same_numbers(face: Image, time: int | None) -> None:
    one, other = native(video=time is not None), native(video=time is not None)
    with landmarks._quiet():
        (mesh,), (same,) = _direct(one)(pictured(face), time), _public(other)(pictured(face), time)
    assert mesh.points.shape == (478, 3)
    assert mesh.scores.shape == (52,)
    for part, equal in zip(mesh, same, strict=True):
        np.testing.assert_array_equal(part, equal)
    one.close()
    other.close()


def test_a_picture_without_a_face_gives_nothing_and_what_was_given_stays(face: Image) -> None:
    landmarker = native(video=False)
    with landmarks._quiet():
        ask = _direct(landmarker)
        (mesh,) = ask(pictured(face), None)
        before = mesh.points.copy()
        assert ask(pictured(np.zeros_like(face)), None) == []
        ask(pictured(np.ascontiguousarray(face[:, ::-1])), None)
    np.testing.assert_array_equal(mesh.points, before)
    landmarker.close()


def test_an_error_of_mediapipe_comes_out(face: Image) -> None:
    landmarker = native(video=True)
    with landmarks._quiet():
        ask = _direct(landmarker)
        ask(pictured(face), 40)
        with pytest.raises(ValueError, match=r"(?i)timestamp"):
            ask(pictured(face), 40)
    landmarker.close()


def test_other_insides_are_read_through_the_api() -> None:
    point, category = SimpleNamespace(x=0.1, y=0.2, z=0.3), SimpleNamespace(score=0.5)
    result = SimpleNamespace(
        face_landmarks=[[point] * 478], face_blendshapes=[[category] * 52], facial_transformation_matrixes=[np.eye(4)]
    )
    other = SimpleNamespace(detect=lambda *_: result, detect_for_video=lambda *_: result)
    for time in (None, 5):
        (mesh,) = opened(other)(object(), time)
        np.testing.assert_array_equal(mesh.points, said(result)[0].points)
        assert mesh.points[0] == pytest.approx([0.1, 0.2, 0.3])
