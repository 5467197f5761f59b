"""The aligned crop lays every face on the same template."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from stemo.faces.alignment import CROP_SIZE, FACE_BOX, TEMPLATE, align, from_box, similarity
from stemo.records import Array, Image


def _mesh(points: np.ndarray) -> Array:
    mesh = np.zeros((478, 3), np.float32)
    for indices, point in zip(((33, 133), (362, 263), (1,), (61,), (291,)), points, strict=True):
        mesh[list(indices), :2] = point
    return mesh


def _dots(points: np.ndarray, size: tuple[int, int], radius: int) -> Image:
    image = np.zeros((*size, 3), np.uint8)
    for x, y in points:
        cv2.circle(image, (round(x), round(y)), radius, (255, 255, 255), -1)
    return image


@pytest.mark.parametrize(("scale", "degrees"), [(100, 0), (224, 20), (700, -35)])
def test_anchors_land_on_the_template(scale: int, degrees: int) -> None:
    angle = np.radians(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = (TEMPLATE - 0.5) @ turn.T * scale + [640, 480]
    crop = align(_dots(points, (960, 1280), max(scale // 40, 2)), _mesh(points), (0, 0, 1, 1))
    assert crop.shape == (CROP_SIZE, CROP_SIZE, 3)
    assert crop.dtype == np.uint8
    for x, y in TEMPLATE * CROP_SIZE:
        spot = crop[round(y) - 12 : round(y) + 13, round(x) - 12 : round(x) + 13, 0].astype(float)
        rows, columns = np.mgrid[-12:13, -12:13]
        assert abs((spot * rows).sum() / spot.sum() + round(y) - y) < 1.0
        assert abs((spot * columns).sum() / spot.sum() + round(x) - x) < 1.0


def test_similarity_recovers_a_known_transform_despite_one_bad_point() -> None:
    points = TEMPLATE * 100
    moved = points @ np.array([[0.0, 2.0], [-2.0, 0.0]]) + [5.0, 7.0]
    matrix = similarity(points, moved)
    np.testing.assert_allclose(points @ matrix[:, :2].T + matrix[:, 2], moved, atol=1e-6)
    moved[2] += [60.0, 0.0]
    robust = similarity(points, moved, rounds=10)
    plain = similarity(points, moved, rounds=1)
    good = [0, 1, 3, 4]
    errors = [np.abs(points @ m[:, :2].T + m[:, 2] - moved)[good].max() for m in (robust, plain)]
    assert errors[0] < errors[1] / 3


def test_box_without_landmarks_gets_the_same_framing() -> None:
    left, top, right, bottom = np.array(FACE_BOX) * 300 + 40
    matrix = from_box((left, top, right, bottom))
    mapped = np.array([[left, top], [right, bottom]]) @ matrix[:, :2].T + matrix[:, 2]
    np.testing.assert_allclose(mapped.ravel(), np.array(FACE_BOX) * CROP_SIZE, atol=1e-6)


def test_shrinking_averages_fine_patterns() -> None:
    stripes = np.zeros((1600, 1600, 3), np.uint8)
    stripes[:, ::2] = 255
    crop = align(stripes, None, (100.0, 100.0, 1500.0, 1500.0))
    assert crop[20:-20, 20:-20].std() < 12


def test_face_at_the_edge_repeats_the_border() -> None:
    crop = align(np.full((80, 60, 3), 77, np.uint8), None, (-40.0, -40.0, 30.0, 30.0))
    assert (crop == 77).all()
    assert (align(np.full((80, 60, 3), 77, np.uint8), None, (500.0, 500.0, 900.0, 900.0)) == 77).all()
