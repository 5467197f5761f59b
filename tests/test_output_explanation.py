"""The explanation lies where it belongs: heat on the face, points at their places, nothing elsewhere."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from stemo.output.explanation import ExplanationDisplay, FaceExplanation, lay_heat, mixed
from stemo.records import Affect, Face, Frame, Image

SIDE = 224
AFFECT = Affect((0.02, 0.02, 0.02, 0.8, 0.1, 0.02, 0.02), 0.6, 0.5)


def _blank(width: int = 640, height: int = 360) -> Image:
    return np.full((height, width, 3), 128, np.uint8)


def _matrix(angle: float = 0.0, scale: float = 1.5) -> np.ndarray:
    """From the picture to the crop: the face is turned by ``angle`` degrees around (320, 180)."""
    matrix = cv2.getRotationMatrix2D((320, 180), angle, scale)
    matrix[:, 2] += np.array([SIDE / 2, SIDE / 2]) - (320, 180)
    return matrix


def _explained(track_id: int = 1, *, box: tuple[float, float, float, float] = (260, 120, 380, 250)) -> FaceExplanation:
    heat = np.zeros((7, 7), np.float32)
    heat[5, 3] = 1
    return FaceExplanation(
        Face(box, 0.9, track_id, crop=np.full((SIDE, SIDE, 3), 100, np.uint8)),
        AFFECT,
        "Happy",
        _matrix(),
        heat,
        np.linspace(0, 0.125, 16, dtype=np.float32),
        np.array([[300, 150, 0.5], [330, 210, -0.1]], np.float32),
        (("mouth smile left", 0.4), ("brow down left", -0.2), ("jaw open", 0.1)),
    )


@pytest.mark.parametrize("angle", [0, 30, -90])
def test_heat_lies_where_the_crop_was_taken(angle: float) -> None:
    matrix = _matrix(angle)
    for row, column in ((1, 1), (5, 2), (3, 3)):
        heat = np.zeros((7, 7), np.float32)
        heat[row, column] = 1
        image = _blank()
        lay_heat(image, heat, matrix, SIDE)
        changed = np.abs(image.astype(int) - 128).sum(2).astype(float)
        y, x = np.indices(changed.shape)
        centre = np.array([(x * changed).sum(), (y * changed).sum()]) / changed.sum()
        seen = matrix[:, :2] @ centre + matrix[:, 2]
        np.testing.assert_allclose(seen, ((column + 0.5) * 32, (row + 0.5) * 32), atol=6)


def test_heat_beyond_the_picture_is_cut() -> None:
    heat = np.ones((7, 7), np.float32)
    for shift in ((-400, 0), (300, 150), (2000, 0)):
        matrix = _matrix()
        matrix[:, 2] += shift
        image = _blank(64, 48)
        lay_heat(image, heat, matrix, SIDE)
        assert image.shape == (48, 64, 3)


def test_cold_places_stay_as_they_are() -> None:
    image = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    np.testing.assert_array_equal(mixed(image, np.zeros((8, 8), np.float32)), image)
    hot = mixed(image, np.ones((8, 8), np.float32))
    assert (np.ptp(hot, axis=(0, 1)) < np.ptp(image, axis=(0, 1)) * 0.4).all()


@pytest.mark.parametrize(("width", "height"), [(640, 360), (360, 640), (1280, 720), (160, 120), (3840, 2160)])
def test_any_size_gets_its_display_and_the_frame_stays(width: int, height: int) -> None:
    frame = Frame(0, 0.0, _blank(width, height))
    drawn = ExplanationDisplay().draw(frame, [_explained(1), _explained(2, box=(20, 20, 100, 110))])
    assert drawn.shape == frame.image.shape
    assert (frame.image == 128).all()
    assert (drawn != frame.image).any()


def test_a_picture_of_few_pixels_gets_a_display_too() -> None:
    for side in (33, 40, 60, 77, 80):
        box = (0.7 * side, 0.7 * side, 0.9 * side, 0.9 * side)
        drawn = ExplanationDisplay().draw(Frame(0, 0.0, _blank(side, side)), [_explained(box=box)])
        assert drawn.shape == (side, side, 3)


def test_what_is_not_about_a_face_is_left_alone() -> None:
    frame = Frame(0, 0.0, _blank(1280, 720))
    drawn = ExplanationDisplay().draw(frame, [_explained()])
    assert (drawn[:, 1000:] == 128).all()
    assert (drawn[600:] == 128).all()


def test_weightier_points_are_larger() -> None:
    bare = replace(_explained(), points=np.zeros((0, 3), np.float32))
    frame = Frame(0, 0.0, _blank())
    changed = ExplanationDisplay().draw(frame, [_explained()]) != ExplanationDisplay().draw(frame, [bare])
    areas = [changed[y - 9 : y + 9, x - 9 : x + 9].any(2).sum() for x, y in ((300, 150), (330, 210))]
    assert areas[0] > 1.5 * areas[1] > 0


def test_faces_without_landmarks_and_other_categories_are_drawn() -> None:
    plain = replace(_explained(), points=np.zeros((0, 3), np.float32), blendshapes=(), emotion="Sad")
    frame = Frame(0, 0.0, _blank())
    other = ExplanationDisplay().draw(frame, [plain])
    assert (other != ExplanationDisplay().draw(frame, [_explained()])).any()
    assert (ExplanationDisplay().draw(frame, []) != frame.image).any()  # "No face in view"
    crowd = [_explained(n + 1, box=(20.0 + 90 * n, 30, 90.0 + 90 * n, 110)) for n in range(6)]
    assert ExplanationDisplay().draw(frame, crowd).shape == frame.image.shape
