"""From votes to targets."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemo.records import EMOTIONS
from stemo.training.class_set import ClassSet
from stemo.training.datasets import LabelledFace, Still
from stemo.training.labels import (
    CIRCUMPLEX,
    FERPLUS_COLUMNS,
    canonical_emotion,
    circumplex,
    majority_name,
    named_votes,
    one_hot,
    weak_affect,
)


def votes(**counts: int) -> np.ndarray:
    return np.array([counts.get(column, 0) for column in FERPLUS_COLUMNS])


def still(counts: np.ndarray) -> Still | None:
    """What the seven make of votes (10,)."""
    picture = np.zeros((2, 2, 3), np.uint8)
    return ClassSet().still(LabelledFace("a", picture, named_votes(counts), majority_name(counts)))


@pytest.mark.parametrize(
    ("given_votes", "expected"),
    [
        (votes(happiness=10), "Happy"),
        (votes(happiness=6, neutral=4), "Happy"),
        (votes(happiness=5, neutral=5), None),
        (votes(happiness=2, neutral=1, sadness=1, fear=1), "Happy"),
        (votes(contempt=8, neutral=2), None),
        (votes(NF=6, neutral=4), None),
        (votes(anger=4, disgust=3, fear=2, sadness=1), None),
        (votes(sadness=5, fear=4, surprise=1), "Sad"),
    ],
)
def test_majority_rule(given_votes: np.ndarray, expected: str | None) -> None:
    found = still(given_votes)
    label = None if found is None else found.label
    assert (None if label is None else EMOTIONS[label]) == expected


def test_distribution_ignores_single_votes_and_sums_to_one() -> None:
    found = still(votes(happiness=6, neutral=3, fear=1))
    assert found is not None
    assert found.distribution[EMOTIONS.index("Fear")] == 0
    assert found.distribution[EMOTIONS.index("Happy")] == pytest.approx(6 / 9)
    assert still(votes(contempt=5, happiness=5)) is None


@given(st.lists(st.integers(0, 10), min_size=10, max_size=10))
def test_whatever_the_rule_labels_has_a_distribution_with_that_top(counts: list[int]) -> None:
    name = majority_name(np.array(counts))
    found = still(np.array(counts))
    if name in EMOTIONS:
        assert found is not None
        assert found.label == EMOTIONS.index(name) == int(found.distribution.argmax())
    assert found is None or float(found.distribution.sum()) == pytest.approx(1, abs=1e-6)


def test_the_circumplex_of_votes_is_that_of_the_named_among_the_seven() -> None:
    assert circumplex({"Happy": 2, "contempt": 7}) == weak_affect(one_hot(EMOTIONS.index("Happy")))
    assert np.isnan(circumplex({"contempt": 7})).all()


def test_weak_affect_moves_from_rest_to_the_category() -> None:
    happy = one_hot(EMOTIONS.index("Happy"))
    rest = weak_affect(happy, 0.0)
    full = weak_affect(happy, 1.0)
    assert rest == weak_affect(one_hot(EMOTIONS.index("Neutral")), 1.0)
    assert full == pytest.approx((CIRCUMPLEX["Happy"][0], (CIRCUMPLEX["Happy"][1] + 1) / 2))
    halfway = weak_affect(happy, 0.5)
    assert rest[0] < halfway[0] < full[0]
    assert rest[1] < halfway[1] < full[1]


def test_every_spelling_is_one_of_the_seven() -> None:
    assert {canonical_emotion(name) for name in ("Happiness", "joy ", "HAPPY")} == {"Happy"}
    assert canonical_emotion("contempt") is None
