"""``--held-back-only``: who was not seen by the training of some weights, as the training itself divided them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import made_data
import numpy as np
import pytest

from stemo.modes.scored import was_held_back
from stemo.network.checkpoint import WeightFacts
from stemo.records import EMOTIONS
from stemo.training.collection import collect, is_held_back
from stemo.training.datasets import Still
from stemo.training.layouts import load_any

SEEN = next(f"p{number}" for number in range(100) if not is_held_back(f"p{number}", 0.3))
UNSEEN = next(f"p{number}" for number in range(100) if is_held_back(f"p{number}", 0.3))


def facts(rule: str = "ImageFolder, 7 classes") -> WeightFacts:
    metrics: dict[str, Any] = {"settings": {"held_back": 0.3}, "valid": {"rule": rule}}
    return WeightFacts(name="w", architecture="stemo", size="base", labels=EMOTIONS, metrics=metrics)


def still(split: str, subject: str) -> Still:
    return Still("a.png", np.zeros((8, 8, 3), np.uint8), np.zeros(7, np.float32), 0.0, 0.0, 3, split, subject)


@pytest.mark.parametrize("split", ["test", "testing", "PrivateTest", "val", "PublicTest"])
def test_everybody_of_a_validation_or_test_split_was_kept_apart(split: str) -> None:
    assert was_held_back(still(split, SEEN), facts())
    assert was_held_back(still(split, UNSEEN), facts())


def test_nobody_of_a_training_split_was_and_elsewhere_a_share() -> None:
    assert not was_held_back(still("Training", UNSEEN), facts())
    assert was_held_back(still("", UNSEEN), facts())
    assert not was_held_back(still("", SEEN), facts())
    assert not was_held_back(still("", SEEN), WeightFacts(name="w", architecture="stemo", size="base", labels=EMOTIONS))


def test_what_the_training_held_back_of_its_own_split_is_known_again(tmp_path: Path) -> None:
    root = made_data.image_folder(tmp_path / "set", count=12, splits=("train", "test"))
    found = collect([root], 0.3)
    kept = {one.name for one in load_any(root) if was_held_back(one, facts(found.rule))}
    assert kept == {one.name for one in found.valid} | {one.name for one in load_any(root) if one.split == "test"}
