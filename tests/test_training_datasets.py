"""Data sets in the layouts that users have, made here; and the real ones where they are."""

from __future__ import annotations

import csv
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from stemo.errors import DataError
from stemo.records import EMOTIONS
from stemo.training.collection import collect, is_held_back
from stemo.training.datasets import load_sequences, load_stills, subject_of
from stemo.training.fer2013 import load_fer2013
from stemo.training.labels import FERPLUS_COLUMNS


def picture(path: Path, value: int = 100) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = np.full((48, 48, 3), value, np.uint8)
    assert cv2.imwrite(str(path), image)


def ferplus(root: Path) -> Path:
    rows = []
    for index, emotion in enumerate(("happiness", "sadness", "contempt", "anger")):
        name = f"{'train' if index < 3 else 'valid'}/fer{index:07d}.png"
        picture(root / name, 40 * index)
        votes = dict.fromkeys(FERPLUS_COLUMNS, 0) | {emotion: 9, "neutral": 1}
        usage = "Training" if index < 3 else "PublicTest"
        rows.append({"image": name, "usage": usage, "fer2013_label": "", "dup_group": index, **votes})
    with (root / "labels.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return root


def zipped(root: Path) -> Path:
    path = root.with_suffix(".zip")
    with zipfile.ZipFile(path, "w") as archive:
        for item in sorted(root.rglob("*.*")):
            archive.write(item, item.relative_to(root))
    return path


@pytest.mark.parametrize("packed", [False, True])
def test_ferplus_keeps_votes_and_drops_other_classes(tmp_path: Path, packed: bool) -> None:
    root = ferplus(tmp_path / "f")
    stills = load_stills(zipped(root) if packed else root)
    assert [EMOTIONS[still.label] for still in stills if still.label is not None] == ["Happy", "Sad", "Angry"]
    assert [still.split for still in stills] == ["Training", "Training", "PublicTest"]
    assert stills[1].image.shape == (48, 48, 3)
    assert abs(int(stills[1].image[0, 0, 0]) - 40) <= 1


def test_a_missing_and_a_damaged_picture_are_named(tmp_path: Path) -> None:
    root = ferplus(tmp_path / "f")
    (root / "train/fer0000001.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"fer0000001\.png.*cannot be read"):
        load_stills(root)
    (root / "train/fer0000001.png").unlink()
    with pytest.raises(DataError, match=r"fer0000001\.png.*missing"):
        load_stills(root)


def test_image_folder_with_splits(tmp_path: Path) -> None:
    for split, name, person in (("train", "angry", "a_1"), ("train", "joy", "b_1"), ("val", "sad", "c_1")):
        picture(tmp_path / split / name / f"{person}.png")
    stills = load_stills(tmp_path)
    assert {(s.split, EMOTIONS[s.label], s.subject) for s in stills if s.label is not None} == {
        ("train", "Angry", "a"),
        ("train", "Happy", "b"),
        ("val", "Sad", "c"),
    }


def test_nothing_usable_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    with pytest.raises(DataError, match="holds no labelled face"):
        load_stills(tmp_path)
    with pytest.raises(DataError, match="does not exist"):
        load_stills(tmp_path / "nothing")
    (tmp_path / "broken.zip").write_bytes(b"PK but no zip")
    with pytest.raises(DataError, match="not a readable zip"):
        load_stills(tmp_path / "broken.zip")


def fer2013(root: Path, *, votes: bool) -> Path:
    root.mkdir()
    pixels = " ".join(["7"] * 48 * 48)
    (root / "fer2013.csv").write_text(f"emotion,pixels,Usage\n3,{pixels},Training\n6,{pixels},PublicTest\n")
    if votes:
        header = "Usage,Image name," + ",".join(FERPLUS_COLUMNS)
        (root / "fer2013new.csv").write_text(
            f"{header}\nTraining,fer0.png,0,0,10,0,0,0,0,0,0,0\nPublicTest,fer1.png,0,10,0,0,0,0,0,0,0,0\n"
        )
    return root


def test_fer2013_with_its_own_labels_and_with_votes(tmp_path: Path) -> None:
    own = load_fer2013(fer2013(tmp_path / "a", votes=False))
    voted = load_fer2013(fer2013(tmp_path / "b", votes=True))
    assert [EMOTIONS[s.label] for s in own if s.label is not None] == ["Happy", "Neutral"]
    assert [EMOTIONS[s.label] for s in voted if s.label is not None] == ["Surprise", "Happy"]
    assert own[0].image.shape == (48, 48, 3)
    collection = collect([tmp_path / "b"], 0.2)
    assert (len(collection.train), len(collection.valid)) == (1, 1)


def test_people_are_held_back_whole_and_reproducibly() -> None:
    people = [f"S{number:03d}" for number in range(500)]
    chosen = [person for person in people if is_held_back(person, 0.2)]
    assert 60 < len(chosen) < 140
    assert chosen == [person for person in people if is_held_back(person, 0.2)]
    assert not any(is_held_back(person, 0.0) for person in people)


@pytest.mark.parametrize(("stem", "person"), [("Hu_Jintao_0002", "Hu_Jintao"), ("frame", "frame"), ("0001", "0001")])
def test_subject_of_a_file_name(stem: str, person: str) -> None:
    assert subject_of(stem) == person


def test_the_real_sets(shared: Path) -> None:
    collection = collect([shared / "data"], 0.2)
    kept = [still for still in collection.valid if still.label is not None]
    assert 3100 < len(kept) < 3200
    assert len(collection.train) > 27_000
    assert len(collection.sequences) + len(collection.held_back_sequences) == 218
    assert not {s.subject for s in collection.sequences} & {s.subject for s in collection.held_back_sequences}
    first = load_sequences(shared / "data" / "ckplus_sequences.zip")[0]
    assert (first.subject, EMOTIONS[first.label or 0], len(first.images)) == ("S022", "Surprise", 4)
