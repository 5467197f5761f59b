"""Which groups of faces are told apart: those asked for, splits, and columns that describe people."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from stemo.errors import DataError
from stemo.training.datasets import Still
from stemo.training.evaluation import groups_of


def stills(*groups: Mapping[str, str]) -> list[Still]:
    picture, nothing = np.zeros((8, 8, 3), np.uint8), np.zeros(7, np.float32)
    return [Still(f"{n}.png", picture, nothing, 0.0, 0.0, 3, "", f"p{n}", known) for n, known in enumerate(groups)]


@pytest.mark.parametrize("column", ["gender", "sex", "Age Group", "age", "ethnicity", "race", "skin_tone", "Skin-Type"])
def test_columns_that_describe_people_tell_groups_by_themselves(column: str) -> None:
    faces = stills({column: "a", "room": "1"}, {column: "b", "room": "2"}, {column: "", "room": "1"})
    assert groups_of(faces, []) == {column: ["a", "b", ""]}
    assert groups_of(faces, ["room"]) == {"room": ["1", "2", "1"], column: ["a", "b", ""]}
    assert groups_of(faces, [column]) == {column: ["a", "b", ""]}


@pytest.mark.parametrize("count", [1, 13])
def test_one_group_or_very_many_are_told_apart_only_when_asked_for(count: int) -> None:
    faces = stills(*({"age": str(number % count)} for number in range(30)))
    assert groups_of(faces, []) == {}
    assert list(groups_of(faces, ["age"])) == ["age"]


def test_a_column_that_is_none_is_still_named() -> None:
    with pytest.raises(DataError, match="groups 'room' is no column of the data"):
        groups_of(stills({"gender": "a"}, {"gender": "b"}), ["room"])
