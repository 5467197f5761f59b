from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stemo.errors import ConfigError
from stemo.insight.smoothing import Ema, MovingAverage, Smoother
from stemo.records import Affect


@st.composite
def affects(draw: st.DrawFn) -> Affect:
    weights = np.array(draw(st.lists(st.floats(0.01, 1), min_size=7, max_size=7)))
    return Affect(tuple((weights / weights.sum()).tolist()), draw(st.floats(-1, 1)), draw(st.floats(0, 1)))


def certain(place: int, valence: float = 0.0, arousal: float = 0.5) -> Affect:
    return Affect(tuple(float(index == place) for index in range(7)), valence, arousal)


SMOOTHERS = [MovingAverage(1), MovingAverage(5), Ema(0.3), Ema(1.0)]


@pytest.mark.parametrize("smoother", SMOOTHERS)
@settings(max_examples=30)
@given(readings=st.lists(affects(), min_size=1, max_size=12))
def test_smoothed_readings_stay_in_range(smoother: Smoother, readings: list[Affect]) -> None:
    for step, reading in enumerate(readings):
        smoothed = smoother.update(1, reading, step * 0.04)
        assert sum(smoothed.probabilities) == pytest.approx(1, abs=1e-9)
        assert min(r.valence for r in readings) - 1e-9 <= smoothed.valence <= max(r.valence for r in readings) + 1e-9
        assert 0 <= smoothed.arousal <= 1
    smoother.update(2, readings[0], 1e6)  # leaves no past for the next example


@given(readings=st.lists(affects(), min_size=1, max_size=12))
def test_one_reading_and_full_weight_are_the_identity(readings: list[Affect]) -> None:
    mean, ema = MovingAverage(1), Ema(1.0)
    for step, reading in enumerate(readings):
        assert mean.update(1, reading, step * 0.04) is reading
        assert ema.update(1, reading, step * 0.04) is reading


@given(reading=affects(), n=st.integers(1, 9), steps=st.integers(1, 20))
def test_a_constant_stays_constant(reading: Affect, n: int, steps: int) -> None:
    for smoother in (MovingAverage(n), Ema(1 / n)):
        last = [smoother.update(1, reading, step * 0.04) for step in range(steps)][-1]
        np.testing.assert_allclose(last.probabilities, reading.probabilities, atol=1e-9)
        assert last.valence == pytest.approx(reading.valence, abs=1e-9)


@given(readings=st.lists(affects(), min_size=1, max_size=12), n=st.integers(1, 6))
def test_moving_average_is_the_mean_of_the_last_n(readings: list[Affect], n: int) -> None:
    mean = MovingAverage(n)
    last = [mean.update(1, reading, step * 0.04) for step, reading in enumerate(readings)][-1]
    expected = np.mean([reading.probabilities for reading in readings[-n:]], axis=0)
    np.testing.assert_allclose(last.probabilities, expected, atol=1e-9)


def test_ema_weighs_the_newest_by_alpha() -> None:
    ema = Ema(0.25)
    ema.update(1, certain(0, valence=-1.0), 0.0)
    smoothed = ema.update(1, certain(3, valence=1.0), 0.04)
    assert smoothed.probabilities[3] == pytest.approx(0.25)
    assert smoothed.valence == pytest.approx(-0.5)
    assert smoothed.emotion == "Angry"


def test_tracks_do_not_mix() -> None:
    for smoother in (MovingAverage(5), Ema(0.2)):
        smoother.update(1, certain(0), 0.0)
        assert smoother.update(2, certain(3), 0.0) == certain(3)


@pytest.mark.parametrize(("later", "forgotten"), [(0.9, False), (1.1, True), (-0.5, True)])
def test_a_track_is_forgotten_after_a_second_or_when_time_runs_back(later: float, forgotten: bool) -> None:
    for smoother in (MovingAverage(5), Ema(0.2)):
        smoother.update(1, certain(0), 10.0)
        assert (smoother.update(1, certain(3), 10.0 + later) == certain(3)) is forgotten


def test_gone_tracks_take_no_memory() -> None:
    mean, ema = MovingAverage(5), Ema(0.2)
    for step in range(500):
        mean.update(step, certain(0), step * 0.5)
        ema.update(step, certain(0), step * 0.5)
    assert len(mean._tracks) <= 3
    assert len(ema._affects) <= 3


def test_ema_smooths_boxes_and_the_mean_leaves_them() -> None:
    ema, mean = Ema(0.5), MovingAverage(5)
    assert ema.update_box(1, (0.0, 0.0, 10.0, 10.0), 0.0) == (0, 0, 10, 10)
    assert ema.update_box(1, (10.0, 0.0, 20.0, 10.0), 0.04) == (5, 0, 15, 10)
    mean.update_box(1, (0.0, 0.0, 10.0, 10.0), 0.0)
    assert mean.update_box(1, (10.0, 0.0, 20.0, 10.0), 0.04) == (10, 0, 20, 10)


@pytest.mark.parametrize("make", [lambda: MovingAverage(0), lambda: Ema(0.0), lambda: Ema(1.5)])
def test_out_of_range_is_refused(make) -> None:
    with pytest.raises(ConfigError, match="out of range: expected"):
        make()
