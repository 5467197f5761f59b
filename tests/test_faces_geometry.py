"""Landmark features do not change with position, scale and roll, but for the roll itself."""

from __future__ import annotations

import numpy as np
import pytest

from stemo.faces.geometry import FEATURE_SIZE, KEY_POINTS, landmark_features, normalise
from stemo.records import Array


@pytest.fixture
def mesh() -> Array:
    """A random mesh whose eyes lie level, the subject's right one on the left."""
    points = np.random.default_rng(1).normal(0, 30, (478, 3))
    points[[33, 133]] = [[-50, 0, 0], [-20, 0, 0]]
    points[[362, 263]] = [[20, 0, 0], [50, 0, 0]]
    return (points + np.array([200, 150, 0])).astype(np.float32)


BLEND = np.linspace(0, 1, 52, dtype=np.float32)


def test_layout(mesh: Array) -> None:
    features = landmark_features(mesh, BLEND, (45.0, -90.0, 9.0))
    assert len(KEY_POINTS) == len(set(KEY_POINTS)) == 50
    assert features.shape == (FEATURE_SIZE,) == (205,)
    assert features.dtype == np.float32
    np.testing.assert_allclose(features[150:202], BLEND)
    np.testing.assert_allclose(features[202:], [1.0, -2.0, 0.2], rtol=1e-6)


@pytest.mark.parametrize("degrees", [0.0, 30.0, -75.0, 170.0])
def test_invariant_to_position_scale_and_roll(mesh: Array, degrees: float) -> None:
    angle = np.radians(degrees)
    turn = np.array([[np.cos(angle), np.sin(angle), 0], [-np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    moved = (2.5 * mesh @ turn + [31, -77, 5]).astype(np.float32)
    np.testing.assert_allclose(normalise(moved), normalise(mesh), atol=1e-4)


def test_expression_does_change_the_features(mesh: Array) -> None:
    smiling = mesh.copy()
    smiling[[61, 291], 1] -= 10
    assert np.abs(normalise(smiling) - normalise(mesh)).max() > 0.05


def test_refuses_nan_and_wrong_shapes(mesh: Array) -> None:
    broken = mesh.copy()
    broken[1] = np.nan
    with pytest.raises(ValueError, match="finite"):
        landmark_features(broken, BLEND, (0.0, 0.0, 0.0))
    with pytest.raises(ValueError, match=r"\(478, 3\)"):
        landmark_features(mesh[:468], BLEND, (0.0, 0.0, 0.0))
