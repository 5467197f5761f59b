"""Whose face goes where: split folders at any height and in any spelling, people in folders and in file names."""

from __future__ import annotations

from pathlib import Path

import made_data
import pytest
from made_data import picture

from stemo.errors import DataError
from stemo.records import EMOTIONS
from stemo.training.collection import collect
from stemo.training.datasets import TEST_SPLITS, TRAIN_SPLITS, VALID_SPLITS, subject_of
from stemo.training.layouts import load_any


def split_tree(root: Path, splits: tuple[str, ...], person: str = "") -> Path:
    """One picture of each category in each split, below a folder of a person of its own where ``person`` is given."""
    for place, split in enumerate(splits):
        folder = root / split / f"{person}{place}" if person else root / split
        for number, emotion in enumerate(EMOTIONS):
            picture(folder / emotion.lower() / f"{number}.png", emotion, 10 * place + number)
    return root


def subjects_by_split(root: Path) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for still in load_any(root):
        found.setdefault(still.split, set()).add(still.subject)
    return found


def test_a_split_is_found_above_the_folder_of_a_person(tmp_path: Path) -> None:
    root = split_tree(tmp_path / "set", ("train", "val", "test"), "person")
    assert subjects_by_split(root) == {"train": {"person0"}, "val": {"person1"}, "test": {"person2"}}
    assert all(still.has_subject for still in load_any(root))


@pytest.mark.parametrize(
    "splits",
    [
        ("training", "validation_set", "testing"),
        ("Train", "Val", "Test"),
        ("train-set", "valid set", "test_images"),
        ("trainset", "dev", "eval"),
        ("train_data", "validation", "evaluation"),
    ],
)
@pytest.mark.parametrize("person", ["", "person"])
@pytest.mark.parametrize("above", ["", "archive/my faces"])
def test_no_face_below_a_test_folder_is_trained_on(
    tmp_path: Path, splits: tuple[str, ...], person: str, above: str
) -> None:
    split_tree(tmp_path / "set" / above, splits, person)
    found = collect([tmp_path / "set"], 0.5)
    assert {still.split for still in found.train} == {splits[0]}
    assert {still.split for still in found.valid} == {splits[1]}
    assert not found.held_back
    assert len(found.train) == len(found.valid) == 7


@pytest.mark.parametrize("person", ["", "person"])
def test_without_a_validation_split_the_test_split_still_stays_apart(tmp_path: Path, person: str) -> None:
    root = tmp_path / "set"
    seed = 0
    for split, people in (("train", 12), ("testing", 2)):
        for who in range(people):
            for emotion in EMOTIONS:
                seed += 1
                folder = root / split / f"{person}{who}" if person else root / split
                name = "1.png" if person else f"{split}er{who}x_{seed}.png"
                picture(folder / emotion / name, emotion, seed)
    found = collect([root], 0.3)
    assert {still.split for part in (found.train, found.valid, found.held_back) for still in part} == {"train"}


@pytest.mark.parametrize(("above", "below"), [("aligned", "aligned"), ("images", "Faces")])
def test_a_folder_that_all_pictures_share_or_that_says_what_they_are_is_nobody(
    tmp_path: Path, above: str, below: str
) -> None:
    for split, folder in (("train", above), ("test", below)):
        picture(tmp_path / split / folder / "happy" / "Ann_1.png")
        picture(tmp_path / split / folder / "sad" / "7.png")
    assert subjects_by_split(tmp_path) == {"train": {"Ann", "7"}, "test": {"Ann", "7"}}


def test_the_nearest_split_counts(tmp_path: Path) -> None:
    for name in ("training/test/happy/1.png", "training/train/happy/2.png"):
        picture(tmp_path / name)
    assert {(Path(still.name).stem, still.split) for still in load_any(tmp_path)} == {("1", "test"), ("2", "train")}


def test_an_unknown_split_beside_a_known_one_is_named(tmp_path: Path) -> None:
    root = split_tree(tmp_path / "set", ("train", "tset"))
    for given in (root, made_data.zipped(root)):
        with pytest.raises(DataError, match=r"split 'tset' of .*set.* is unknown beside 'train': expected") as caught:
            collect([given], 0.2)
        assert "\n" not in str(caught.value)
    assert {still.split for still in load_any(root)} == {"train", "tset"}  # where all are read it does not matter
    other = split_tree(tmp_path / "other", ("a", "b"))  # no split at all: any folders
    assert {still.split for still in load_any(other)} == {"a", "b"}


def test_clip_tables_know_the_spellings_too(tmp_path: Path) -> None:
    for clip in ("c1", "c2", "c3"):
        picture(tmp_path / "frames" / clip / "0.png")
    made_data.lines(tmp_path / "training_list.csv", ["clip,label", "c1,happy"])
    made_data.lines(tmp_path / "testing_list.csv", ["clip,label", "c2,happy"])
    made_data.lines(tmp_path / "more.csv", ["clip,label,split", "c3,happy,Testing"])
    found = {Path(still.name).parent.name: still.split.lower() for still in load_any(tmp_path)}
    assert found == {"c1": "training", "c2": "testing", "c3": "testing"}
    made_data.lines(tmp_path / "more.csv", ["clip,label,split", "c3,happy,tset"])
    with pytest.raises(DataError, match=r"split 'tset' of .* is unknown beside"):
        collect([tmp_path], 0.2)


def test_spellings_belong_to_one_split() -> None:
    assert not TRAIN_SPLITS & VALID_SPLITS
    assert not TEST_SPLITS & (TRAIN_SPLITS | VALID_SPLITS)
    assert {"training", "train_set"} <= TRAIN_SPLITS
    assert {"publictest", "val_set", "valid", "dev"} <= VALID_SPLITS
    assert {"privatetest", "testing", "test_set", "eval"} <= TEST_SPLITS


@pytest.mark.parametrize(
    ("stem", "person"),
    [
        ("S010_004_00000017", "S010"),
        ("S010_004_00000017 (2)", "S010"),
        ("S010_004_00000017_emotion", "S010"),
        ("s501_001_00000041", "s501"),
        ("S034_003", "S034"),
        ("S010_004_000000171", "S010_004"),
        ("testing_5", "testing_5"),
    ],
)
def test_people_of_ckplus_are_known_by_the_first_part(stem: str, person: str) -> None:
    assert subject_of(stem) == person
