"""Each schedule warms up, falls as it says, and goes on from its state."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemo.errors import ConfigError
from stemo.training.schedules import FLOOR, SCHEDULES, Plateau, make_schedule


def test_cosine_warms_up_and_decays() -> None:
    factor = make_schedule("cosine", 0.1).factor
    assert factor(0.0) < factor(0.05) < factor(0.1) == pytest.approx(1.0)
    assert factor(0.5) > factor(0.9) > factor(1.0) == pytest.approx(FLOOR)


def test_one_cycle_peaks_at_a_third() -> None:
    factor = make_schedule("onecycle", 0.1).factor
    assert factor(0.0) < factor(0.15) < factor(0.3) == pytest.approx(1.0)
    assert factor(0.3) > factor(0.6) > factor(1.0)


def test_steps_fall_by_ten() -> None:
    factor = make_schedule("step", 0.1).factor
    assert [factor(p) for p in (0.3, 0.7, 0.9, 1.0)] == [1.0, 0.1, 0.01, 0.01]


def test_plateau_halves_only_when_nothing_improves() -> None:
    schedule = Plateau(0.1, patience=2)
    for score in (0.1, 0.2, 0.3, 0.4):
        schedule.observe(score)
    assert schedule.factor(0.5) == 1.0
    schedule.observe(0.4)
    assert schedule.factor(0.5) == 1.0
    schedule.observe(0.39)
    assert schedule.factor(0.5) == 0.5


@given(st.lists(st.floats(0, 1), max_size=30), st.integers(0, 30), st.sampled_from(sorted(SCHEDULES)))
def test_a_restored_schedule_goes_on_alike(scores: list[float], cut: int, name: str) -> None:
    whole, first = (make_schedule(name, 0.1) for _ in range(2))
    for score in scores:
        whole.observe(score)
    for score in scores[:cut]:
        first.observe(score)
    second = make_schedule(name, 0.1, first.state())
    for score in scores[cut:]:
        second.observe(score)
    assert [whole.factor(p / 10) for p in range(11)] == [second.factor(p / 10) for p in range(11)]


@given(st.floats(0, 1), st.sampled_from(sorted(SCHEDULES)))
def test_factors_stay_between_nothing_and_one(progress: float, name: str) -> None:
    assert 0 < make_schedule(name, 0.1).factor(progress) <= 1


def test_an_unknown_schedule_is_named() -> None:
    with pytest.raises(ConfigError, match="Did you mean cosine"):
        make_schedule("cosin", 0.1)
