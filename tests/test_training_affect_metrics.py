"""Concordance, error, correlation and sign: known values, and what must hold for any."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemo.training.affect_metrics import (
    affect_facts,
    concordance,
    pearson,
    rmse,
    score_affect,
    score_stills,
    sign_agreement,
)
from stemo.training.datasets import Still

TRUTH = [0.1, 0.4, -0.3, 0.8]
PAIRS = st.lists(st.tuples(st.floats(-1, 1), st.floats(-1, 1)), min_size=3, max_size=30).map(
    lambda pairs: tuple(np.round(np.array(pairs), 3).T)
)


def test_known_values() -> None:
    # by hand: means 2 and 3, variances 2/3 and 8/3, covariance 4/3
    assert concordance([1, 2, 3], [1, 3, 5]) == pytest.approx(2 * 4 / 3 / (2 / 3 + 8 / 3 + 1))
    assert pearson([1, 2, 3], [1, 3, 5]) == pytest.approx(1)
    assert rmse([1, 2, 3], [1, 3, 5]) == pytest.approx(np.sqrt(5 / 3))
    assert sign_agreement([-0.5, 0.5, 0.0, 0.2], [-0.1, -0.1, 0.0, 0.9]) == 0.75


def test_perfect_opposite_and_constant_predictions() -> None:
    perfect = score_affect(TRUTH, TRUTH)
    assert (perfect.n, perfect.ccc, perfect.rmse, perfect.pearson) == (4, pytest.approx(1), 0, pytest.approx(1))
    centred = np.array(TRUTH) - np.mean(TRUTH)
    assert concordance(centred, -centred) == pytest.approx(-1)
    assert concordance(TRUTH, [0.2] * 4) == pytest.approx(0)
    assert np.isnan(pearson(TRUTH, [0.2] * 4))
    assert np.isnan(concordance([0.2] * 4, [0.2] * 4))


def test_nothing_and_mismatches() -> None:
    assert all(np.isnan(figure([], [])) for figure in (concordance, pearson, rmse, sign_agreement))
    with pytest.raises(ValueError, match="do not match"):
        rmse([1, 2], [1])


@given(PAIRS)
def test_concordance_is_bounded_by_the_correlation(pair: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = pair
    agreement, correlation = concordance(x, y), pearson(x, y)
    if not np.isnan(correlation):
        assert abs(agreement) <= abs(correlation) + 1e-9
        assert agreement == pytest.approx(concordance(y, x), abs=1e-9)
        assert np.sign(round(agreement, 9)) in (0, np.sign(round(correlation, 9)))


@given(PAIRS, st.floats(0.1, 2), st.floats(-1, 1))
def test_a_shift_costs_concordance_but_not_correlation(
    pair: tuple[np.ndarray, np.ndarray], scale: float, shift: float
) -> None:
    x, y = pair
    if np.isnan(pearson(x, y)):
        return
    assert pearson(x, scale * y + shift) == pytest.approx(pearson(x, y), abs=1e-6)
    assert concordance(x, x + shift) == pytest.approx(2 * x.var() / (2 * x.var() + shift**2), abs=1e-6)
    assert concordance(scale * x + shift, scale * y + shift) == pytest.approx(concordance(x, y), abs=1e-6)


@given(PAIRS)
def test_the_error_is_the_distance_of_means_and_spreads(pair: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = pair
    covariance = ((x - x.mean()) * (y - y.mean())).mean()
    expected = x.var() + y.var() - 2 * covariance + (x.mean() - y.mean()) ** 2
    assert rmse(x, y) ** 2 == pytest.approx(expected, abs=1e-9)


def still(valence: float, arousal: float, *, rated: bool) -> Still:
    zero = np.zeros(7, np.float32)
    return Still("a", np.zeros((2, 2, 3), np.uint8), zero, valence, arousal, None, "", "a", rated=rated)


def test_only_real_ratings_are_scored() -> None:
    stills = [still(0.5, 0.75, rated=True), still(-0.9, 0.1, rated=False), still(-0.5, 0.25, rated=True)]
    scores = score_stills(stills, [0.5, 0.9, -0.5], [1.0, 1.0, 0.5])
    assert scores is not None
    assert (scores["valence"].n, scores["valence"].ccc) == (2, pytest.approx(1))
    assert scores["arousal"].rmse == pytest.approx(0.5)  # on [-1, 1]
    assert scores["arousal"].sign_agreement == 0.5  # 0.5 and 1; -0.5 and 0
    assert score_stills([still(0.0, 0.5, rated=False)], [0.0], [0.5]) is None


def test_facts_have_nothing_that_json_cannot_hold() -> None:
    scores = score_stills([still(0.5, 0.5, rated=True)], [0.5], [0.5])
    assert scores is not None
    assert affect_facts(scores)["valence"] == {
        "n": 1,
        "ccc": None,
        "rmse": 0.0,
        "pearson": None,
        "sign_agreement": 1.0,
    }
