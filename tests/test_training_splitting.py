"""Splits: whole groups, right shares in every class, the same for the same seed."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stemo.errors import ConfigError, DataError
from stemo.training.splitting import SHARES, parse_shares, split_groups


@pytest.mark.parametrize(
    ("text", "shares"),
    [
        (None, SHARES),
        ("0.7,0.2,0.1", {"train": 0.7, "val": 0.2, "test": 0.1}),
        (" 0.75 , 0.25", {"train": 0.75, "val": 0.25}),
    ],
)
def test_shares(text: str | None, shares: dict[str, float]) -> None:
    assert parse_shares(text) == shares


@pytest.mark.parametrize(
    "text", ["", "0.8", "0.8,0.3", "1.0,0.0", "0.8,0.3,-0.1", "nan,0.5", "a,b,c", "0.4,0.3,0.2,0.1"]
)
def test_other_shares_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="is no division"):
        parse_shares(text)


def test_every_class_is_divided_in_its_share() -> None:
    labels = [0] * 1000 + [1] * 100 + [2] * 10
    splits = split_groups(range(len(labels)), labels, SHARES)
    counts = Counter(zip(labels, splits, strict=True))
    for label, count in ((0, 1000), (1, 100), (2, 10)):
        assert [counts[label, name] / count for name in SHARES] == pytest.approx([0.8, 0.1, 0.1])


def test_the_seed_decides_and_nothing_else() -> None:
    labels = [place % 3 for place in range(60)]
    groups = [place // 2 for place in range(60)]
    first = split_groups(groups, labels, SHARES, seed=1)
    assert first == split_groups(groups, labels, SHARES, seed=1)
    assert first != split_groups(groups, labels, SHARES, seed=2)


def test_too_few_groups_leave_a_split_empty() -> None:
    with pytest.raises(DataError, match=r"split 'val' is empty.*got 1 groups"):
        split_groups([0, 0, 0], [0, 1, 2], SHARES)


@given(st.integers(0, 2**32 - 1), st.integers(30, 80), st.integers(1, 6))
@settings(max_examples=50)
def test_groups_stay_whole_and_shares_are_near(seed: int, people: int, most: int) -> None:
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(people), rng.integers(1, most + 1, people))
    labels = rng.integers(0, 3, len(groups))
    splits = np.array(split_groups(groups.tolist(), labels.tolist(), SHARES, seed))
    assert all(len(set(splits[groups == person])) == 1 for person in range(people))
    for name, share in SHARES.items():
        # nothing is further off than a couple of the largest groups
        assert abs((splits == name).sum() - share * len(groups)) <= 2 * most
