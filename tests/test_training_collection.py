"""What a run trains on: the splits of the data, people held back, a class set, and every class present."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import made_data
import pytest

from stemo.errors import DataError
from stemo.records import EMOTIONS
from stemo.training.collection import HELD_FROM_TRAIN, collect, is_held_back
from stemo.training.datasets import Still
from stemo.training.layouts.sequences import sequence_stills


def names(stills: list[Still], labels: tuple[str, ...] = EMOTIONS) -> Counter[str]:
    return Counter(labels[still.label] for still in stills if still.label is not None)


def test_splits_that_the_data_name_are_kept_and_the_test_split_is_not_read(tmp_path: Path) -> None:
    root = made_data.image_folder(tmp_path, splits=("train", "val", "test"))
    (root / "test/Happy/test-Happy-00_1.png").write_bytes(b"not even a picture")
    found = collect([root], 0.5)
    assert names(found.train) == names(found.valid) == dict.fromkeys(EMOTIONS, 2)
    assert {still.split for still in (*found.train, *found.valid)} == {"train", "val"}
    assert found.rule == "ImageFolder, 7 classes: the folder's name is the class"
    assert not found.left_out


def test_where_no_split_is_named_people_held_back_serve_for_choosing(tmp_path: Path) -> None:
    found = collect([made_data.image_folder(tmp_path, count=12)], 0.3)
    assert found.valid is found.held_back
    assert len(found.train) + len(found.valid) == 12 * 7
    assert not {still.subject for still in found.train} & {still.subject for still in found.valid}


def test_where_only_a_training_and_a_test_split_are_named_people_are_held_back_from_training(tmp_path: Path) -> None:
    root = made_data.image_folder(tmp_path, count=12, splits=("train", "test"))
    (root / "test/Happy/test-Happy-00_1.png").write_bytes(b"not even a picture")
    found = collect([root], 0.3)
    assert len(found.train) + len(found.valid) == 12 * 7
    assert all(still.split == "train" for still in (*found.train, *found.valid))
    assert all(is_held_back(still.subject, 0.3) for still in found.valid)
    assert not any(is_held_back(still.subject, 0.3) for still in found.train)
    assert found.rule == f"ImageFolder, 7 classes: the folder's name is the class; {HELD_FROM_TRAIN}"


def test_clips_with_only_a_training_and_a_test_split_are_divided_too(tmp_path: Path) -> None:
    for number in range(30):
        made_data.picture(tmp_path / "frames" / f"{number:03d}" / "0.png", seed=number)
    rows = [f"{number:03d},{1 + number % 2}" for number in range(30)]
    made_data.lines(tmp_path / "train.csv", ["video_name,label", *rows[:20]])
    made_data.lines(tmp_path / "test.csv", ["video_name,label", *rows[20:]])
    found = collect([tmp_path], 0.3, ("Happy", "Sad"))
    assert found.valid
    assert len(found.train) + len(found.valid) == 20
    assert not {still.subject for still in found.train} & {still.subject for still in found.valid}


@pytest.mark.parametrize("other", ["val", ""])
def test_training_splits_are_whole_where_another_data_set_serves_for_choosing(tmp_path: Path, other: str) -> None:
    train = made_data.image_folder(tmp_path / "a", count=12, splits=("train",))
    found = collect([train, made_data.image_folder(tmp_path / "b", count=12, splits=(other,))], 0.3)
    assert sum(still.split == "train" for still in found.train) == 12 * 7
    assert HELD_FROM_TRAIN not in found.rule


def test_that_nothing_serves_for_choosing_is_said_before_a_picture_is_decoded(tmp_path: Path) -> None:
    root = made_data.image_folder(tmp_path, count=12, splits=("train",))
    (root / "train/Happy/train-Happy-00_1.png").write_bytes(b"not even a picture")
    with pytest.raises(DataError, match="no validation face"):
        collect([root], 0.0)
    with pytest.raises(DataError, match="cannot be read"):
        collect([root], 0.3)


def test_sequences_alone_are_trained_on_and_chosen_by_those_of_people_held_back(tmp_path: Path) -> None:
    root = made_data.sequences(tmp_path / "s")
    rows = [f"{n:02d},P{n // 2},{('happy', 'surprise')[n % 2]},S1/0.png S1/1.png S1/2.png S1/3.png" for n in range(40)]
    made_data.lines(root / "labels.csv", ["sequence,subject,emotion,frames", *rows])
    people = {f"P{number}" for number in range(20) if is_held_back(f"P{number}", 0.3)}
    assert 0 < len(people) < 20
    found = collect([root], 0.3, ("Happy", "Neutral", "Surprise"))
    assert {sequence.subject for sequence in found.sequences} == {f"P{number}" for number in range(20)} - people
    assert {still.subject for still in found.valid} == people
    scored = names(found.valid, found.labels)
    assert scored == {"Neutral": 2 * len(people), "Happy": len(people), "Surprise": len(people)}
    assert found.rule.startswith("sequences, 3 classes: every first frame counts as Neutral")


def test_several_data_sets(tmp_path: Path) -> None:
    pictures = made_data.image_folder(tmp_path / "pictures", splits=("train",))
    found = collect([pictures, made_data.ferplus(tmp_path / "votes"), Path("made")], 0.0)
    assert found.names == ["pictures", "votes", "made"]
    assert len(found.train) == 14 + 2 + 84
    assert found.left_out == {"contempt": 1}
    assert found.rule.startswith("FER+ majority, 7 classes")
    assert "drawn faces" in found.rule


def test_a_class_set_of_ones_own(tmp_path: Path) -> None:
    labels = ("bored", "Happy", "focused")
    root = made_data.image_folder(tmp_path, ("bored", "joy", "Focused", "angry"), splits=("train", "val"))
    found = collect([root], 0.2, labels)
    assert names(found.train, labels) == dict.fromkeys(labels, 2)
    assert found.left_out == {"Angry": 4}
    assert found.rule.startswith("ImageFolder, 3 classes")


def test_classes_without_a_still_to_choose_by_are_named_in_their_order(tmp_path: Path) -> None:
    labels = ("Surprise", "Happy", "Angry")
    root = made_data.image_folder(tmp_path, labels, splits=("train", "val"))
    assert collect([root], 0.2, labels).untried == []
    for name in ("Surprise", "Angry"):
        shutil.rmtree(root / "val" / name)
    assert collect([root], 0.2, labels).untried == ["Surprise", "Angry"]


def test_a_missing_class_is_named(tmp_path: Path) -> None:
    root = made_data.image_folder(tmp_path, EMOTIONS[:5], splits=("train", "val"))
    with pytest.raises(
        DataError, match=r"class 'Sad' has no training face.*--classes Angry,Disgust,Fear,Happy,Neutral"
    ):
        collect([root], 0.2)


def test_nothing_to_train_on_or_to_choose_by_is_named(tmp_path: Path) -> None:
    tired = made_data.image_folder(tmp_path / "a", ("bored", "tired"), splits=("val",))
    with pytest.raises(DataError, match=r"no training face of bored, tired: expected some, got Angry 16, Disgust 16"):
        collect([Path("made"), tired], 0.0, ("bored", "tired"))
    with pytest.raises(DataError, match="no validation face"):
        collect([made_data.image_folder(tmp_path / "b", splits=("train",))], 0.0)
    with pytest.raises(DataError, match="no validation face"):
        collect([made_data.afew_va(tmp_path / "c")], 0.0)


def test_sequences_train_as_sequences_where_the_set_holds_neutral(tmp_path: Path) -> None:
    root = made_data.sequences(tmp_path / "s")
    labels = ("Happy", "Neutral", "Surprise", "Contempt")
    found = collect([root, Path("made")], 0.0, labels[:3])
    assert [sequence.label for sequence in found.sequences] == [0, None, 2]
    assert found.left_out["sequences of other categories"] == 1
    stills = list(sequence_stills([s for s in found.sequences if s.label is not None], labels[:3]))
    assert names(stills, labels) == {"Neutral": 2, "Happy": 1, "Surprise": 1}
    assert len(stills) == 8


def test_sequences_of_nobody_known_are_held_back_one_by_one(tmp_path: Path) -> None:
    root = made_data.sequences(tmp_path / "s")
    rows = [f"{number:02d}, ,happy,S1/0.png S1/1.png" for number in range(20)]
    made_data.lines(root / "labels.csv", ["sequence,subject,emotion,frames", *rows])
    kept_apart = {f"{number:02d}" for number in range(20) if is_held_back(f"{number:02d}", 0.3)}
    assert 0 < len(kept_apart) < 20
    found = collect([root, Path("made")], 0.3, ("Happy", "Neutral"))
    assert {sequence.name for sequence in found.held_back_sequences} == kept_apart
    assert len(found.sequences) == 20 - len(kept_apart)
    stills = collect([root, Path("made")], 0.3, ("Happy", "Surprise"))
    assert {still.name.split("/")[0] for still in stills.held_back} == kept_apart
    assert not kept_apart & {still.name.split("/")[0] for still in stills.train}


def test_without_neutral_only_their_expressions_train(tmp_path: Path) -> None:
    labels = ("Happy", "Surprise")
    found = collect([made_data.sequences(tmp_path / "s"), Path("made")], 0.0, labels)
    assert not found.sequences
    apexes = [still for still in found.train if still.name.endswith("/3")]
    assert names(apexes, labels) == {"Happy": 1, "Surprise": 1}


def test_people_are_held_back_whole_and_reproducibly() -> None:
    people = [f"S{number:03d}" for number in range(500)]
    chosen = [person for person in people if is_held_back(person, 0.2)]
    assert 60 < len(chosen) < 140
    assert chosen == [person for person in people if is_held_back(person, 0.2)]
    assert not any(is_held_back(person, 0.0) for person in people)


@pytest.mark.slow
def test_the_real_sets(shared: Path) -> None:
    collection = collect([shared / "data"], 0.2)
    kept = [still for still in collection.valid if still.label is not None]
    assert len(kept) == 3144
    assert len(collection.train) > 27_000
    assert len(collection.sequences) + len(collection.held_back_sequences) == 218
    assert not {s.subject for s in collection.sequences} & {s.subject for s in collection.held_back_sequences}
    first = next(s for s in (*collection.sequences, *collection.held_back_sequences) if s.name == "S022_001")
    assert (first.subject, EMOTIONS[first.label or 0], len(first.images)) == ("S022", "Surprise", 4)
