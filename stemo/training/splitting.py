"""Splitting faces into train, val and test: reproducible, nobody on two sides, every class in its share."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from stemo.errors import ConfigError, DataError

SPLITS = ("train", "val", "test")
SHARES: Mapping[str, float] = {"train": 0.8, "val": 0.1, "test": 0.1}


def parse_shares(text: str | None) -> Mapping[str, float]:
    """``0.8,0.1,0.1`` -> the share of each split; two numbers leave no test split, and nothing gives the usual ones.

    Raises :class:`ConfigError` for anything but two or three shares above 0 that sum to 1.
    """
    if text is None:
        return SHARES
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = []
    if len(values) not in (2, 3) or not all(value > 0 for value in values) or not math.isclose(sum(values), 1.0):
        raise ConfigError(
            f"split {text!r} is no division: expected the shares of train, val and test, all above 0, that sum to 1, "
            "such as 0.8,0.1,0.1."
        )
    return dict(zip(SPLITS, values, strict=False))


def split_groups(groups: Sequence[int], labels: Sequence[int], shares: Mapping[str, float], seed: int = 0) -> list[str]:
    """The split of each face, given its group (people, copies) and its class index, both (n,).

    A group stays whole. Groups are dealt out in a random order, the large ones first, each to the split that most
    lacks its classes; so shares hold in every class as nearly as the groups allow. The same input and ``seed`` give
    the same splits. Raises :class:`DataError` when a split stays empty.
    """
    counts = _counts(groups, labels)
    wanted = np.array(list(shares.values()))[:, None] * counts.sum(0)  # (s k)
    given = np.zeros_like(wanted)
    names, chosen = list(shares), np.zeros(len(counts), np.int64)
    order = np.random.default_rng(seed).permutation(len(counts))
    for group in order[np.argsort(-counts[order].sum(1), kind="stable")]:
        # per class, so that a rare one counts as much as a common one
        lack = ((wanted - given) / np.maximum(counts.sum(0), 1)) @ counts[group]
        chosen[group] = int(lack.argmax())
        given[chosen[group]] += counts[group]
    for place, name in enumerate(names):
        if not given[place].any():
            raise DataError(
                f"split {name!r} is empty: expected faces in each of {', '.join(names)}, got {len(counts)} groups of "
                "people and copies, too few or too unequal. Add data, or choose other shares with --split."
            )
    return [names[chosen[group]] for group in groups]


def _counts(groups: Sequence[int], labels: Sequence[int]) -> npt.NDArray[np.float64]:
    """Faces of each group (rows, numbered from 0 without holes) in each class."""
    counts = np.zeros((max(groups) + 1, max(labels) + 1))
    np.add.at(counts, (np.asarray(groups), np.asarray(labels)), 1)
    return counts
