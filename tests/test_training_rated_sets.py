"""The sets with real valence and arousal: their numbers arrive in stemo's ranges, and are marked as real."""

from __future__ import annotations

from pathlib import Path

import made_data
import pytest

from stemo.records import EMOTIONS
from stemo.training.datasets import Still
from stemo.training.layouts import load_any

EIGHT = (*EMOTIONS, "Contempt")


def ratings(stills: list[Still]) -> list[tuple[str, float, float]]:
    assert all(still.rated for still in stills)
    return [(Path(still.name).stem, round(still.valence, 6), round(still.arousal, 6)) for still in stills]


@pytest.mark.parametrize("header", [True, False])
def test_affectnet_tables(tmp_path: Path, header: bool) -> None:
    stills = load_any(made_data.affectnet_tables(tmp_path, header=header), EIGHT)
    assert ratings(stills) == [("a", 0.8, 0.7), ("b", -0.5, 0.75), ("d", 0.1, 0.2), ("e", -0.6, 0.95)]
    assert [still.image.shape for still in stills] == [(36, 40, 3)] * 4
    nameless = stills[2]
    assert nameless.label is None
    assert not nameless.distribution.any()


def test_affectnet_arrays_stored_as_texts_and_as_numbers(tmp_path: Path) -> None:
    stills = load_any(made_data.affectnet_arrays(tmp_path), EIGHT)
    assert ratings(stills) == [("17", -0.5, 0.625), ("3", 0.1, 0.4)]
    assert [EIGHT[still.label] for still in stills if still.label is not None] == ["Fear", "Neutral"]
    assert stills[0].distribution.sum() == pytest.approx(1)
    assert stills[0].distribution[EIGHT.index("Fear")] == pytest.approx(0.9 + 0.1 / 8)


def test_afew_va_is_cut_to_its_landmarks(tmp_path: Path) -> None:
    stills = load_any(made_data.afew_va(tmp_path))
    assert ratings(stills) == [("00000", 0.5, 0.0), ("00001", -0.5, 0.25)] * 2
    assert [still.subject for still in stills] == ["Jane Doe"] * 2 + ["002"] * 2
    assert not any(still.distribution.any() for still in stills)
    # 28 pixels of landmarks around (24, 26), with 15 % more on every side
    assert {still.image.shape for still in stills} == {(36, 36, 3)}


def test_aff_wild2_joins_both_challenges(tmp_path: Path) -> None:
    stills = load_any(made_data.affwild2(tmp_path))
    rows = [
        (Path(still.name).parent.name, int(Path(still.name).stem), still.split, still.rated, still.label is not None)
        for still in stills
    ]
    # every fifth of the frames that somebody annotated: of a all 12, of b those with a name
    assert rows == [
        ("a", 1, "train", True, True),
        ("a", 6, "train", True, False),
        ("a", 11, "train", True, False),
        ("b_left", 1, "val", False, True),
        ("b_left", 12, "val", False, True),
        ("c", 1, "val", True, True),
        ("c", 6, "val", True, False),
        ("c", 11, "val", True, False),
    ]
    assert (stills[0].valence, stills[0].arousal) == (0.5, 0.0)
    assert {still.subject for still in stills} == {"a", "b", "c"}


def test_weak_targets_are_not_called_real(tmp_path: Path) -> None:
    stills = load_any(made_data.image_folder(tmp_path))
    assert not any(still.rated for still in stills)
    happy = next(still for still in stills if still.label == EMOTIONS.index("Happy"))
    assert happy.valence == pytest.approx(0.81)
