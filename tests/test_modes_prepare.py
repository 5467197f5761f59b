"""``--prepare``: an ImageFolder split by people, copies on one side, complete or not at all."""

from __future__ import annotations

import csv
import shutil
from collections import Counter
from pathlib import Path

import made_data
import numpy as np
import pytest

from stemo.cli import main
from stemo.records import EMOTIONS
from stemo.training.layouts import load_any


@pytest.fixture
def people(tmp_path: Path) -> Path:
    """Twenty people with a picture of each class; one file twice, and once more scaled under another class."""
    import cv2

    root = tmp_path / "people"
    seed = 0
    for emotion in EMOTIONS:
        for person in range(20):
            seed += 1
            made_data.picture(root / emotion.lower() / f"Ann-{person}_{seed}.png", emotion, seed)
    first = sorted((root / "happy").iterdir())[0]
    shutil.copyfile(first, root / "happy" / "zzz.png")
    large = cv2.resize(cv2.imread(str(first)), (112, 112), interpolation=cv2.INTER_CUBIC)  # type: ignore[call-overload]
    cv2.imwrite(str(root / "sad" / "scaled.png"), large)
    return root


def prepare(data: Path, output: Path, *flags: str) -> int:
    return main(["--prepare", str(data), "--output", str(output), *flags])


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "splits.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_people_are_on_one_side_and_files_say_who_they_are(tmp_path: Path, people: Path) -> None:
    assert prepare(people, tmp_path / "out") == 0
    table = rows(tmp_path / "out")
    assert len(table) == 142
    sides: dict[str, set[str]] = {}
    for row in table:
        sides.setdefault(row["subject"] or row["source"], set()).add(row["split"])
    assert all(len(splits) == 1 for splits in sides.values())
    counts = Counter(row["split"] for row in table)
    assert counts["train"] == pytest.approx(0.8 * 142, abs=10)
    assert min(counts["val"], counts["test"]) >= 7
    stills = load_any(tmp_path / "out")
    assert {(still.name, still.split, EMOTIONS[still.label or 0]) for still in stills} == {
        (row["file"], row["split"], row["class"]) for row in table
    }
    known = {row["file"]: row["subject"] for row in table if row["subject"]}
    assert {still.name: still.subject for still in stills if still.name in known} == known
    by_source = {row["source"]: row["file"] for row in table}
    for still in load_any(people):
        copied = next(other for other in stills if other.name == by_source[still.name])
        assert np.array_equal(still.image, copied.image)


@pytest.mark.slow
def test_people_of_ckplus_are_on_one_side(tmp_path: Path) -> None:
    seed = 0
    for person in range(10, 30):
        for take, emotion in enumerate(EMOTIONS, 1):
            for frame in (16, 17):
                seed += 1
                made_data.picture(
                    tmp_path / "ck" / emotion / f"S{person:03d}_{take:03d}_{frame:08d}.png", emotion, seed
                )
    assert prepare(tmp_path / "ck", tmp_path / "out") == 0
    sides: dict[str, set[str]] = {}
    for row in rows(tmp_path / "out"):
        sides.setdefault(row["subject"], set()).add(row["split"])
    assert set(sides) == {f"S{person:03d}" for person in range(10, 30)}
    assert all(len(splits) == 1 for splits in sides.values())


def test_copies_are_kept_together_and_reported(
    tmp_path: Path, people: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert prepare(people, tmp_path / "out") == 0
    said = capsys.readouterr().out
    copies = [row for row in rows(tmp_path / "out") if row["copies"]]
    assert {row["source"] for row in copies} > {"happy/zzz.png", "sad/scaled.png"}
    groups: dict[str, set[str]] = {}
    for row in copies:
        groups.setdefault(row["copies"], set()).add(row["split"])
    assert all(len(splits) == 1 for splits in groups.values())
    assert "1 exact" in said
    assert "groups have several labels, such as" in said


def test_the_table_adds_up(tmp_path: Path, people: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert prepare(people, tmp_path / "out", "--split", "0.6,0.4") == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    head = lines.index(["class", "train", "val", "all"])
    table = {line[0]: [int(cell) for cell in line[1:]] for line in lines[head + 1 : head + 9]}
    assert table["all"] == np.array([table[emotion] for emotion in EMOTIONS]).sum(0).tolist()
    assert table["Happy"][2] == 21
    written = Counter((row["class"], row["split"]) for row in rows(tmp_path / "out"))
    assert all(written[emotion, "train"] == table[emotion][0] for emotion in EMOTIONS)


def test_the_seed_reproduces_the_split(tmp_path: Path, people: Path) -> None:
    for name, seed in (("a", "3"), ("b", "3"), ("c", "4")):
        assert prepare(people, tmp_path / name, "--seed", seed) == 0
    assert rows(tmp_path / "a") == rows(tmp_path / "b")
    assert rows(tmp_path / "a") != rows(tmp_path / "c")


def test_own_classes_and_another_layout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = made_data.image_folder(tmp_path / "d", ("bored", "focused", "joy", "angry"), count=10)
    assert prepare(made_data.zipped(data), tmp_path / "out", "--classes", "bored,Focused,happy") == 0
    assert {row["class"] for row in rows(tmp_path / "out")} == {"bored", "Focused", "Happy"}
    assert "left out:   10 Angry" in capsys.readouterr().out


def test_a_rated_face_of_another_category_is_left_out_by_its_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = made_data.affectnet_tables(tmp_path / "d")
    assert prepare(data, tmp_path / "out", "--classes", "happy,angry") == 2  # two faces are too few to split
    assert "left out:   1 Contempt, 1 without a clear label" in capsys.readouterr().out


def test_copies_across_the_data_s_own_splits_are_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = made_data.image_folder(tmp_path / "d", count=4, splits=("train", "test"))
    source = next((data / "train" / "Happy").iterdir())
    shutil.copyfile(source, data / "test" / "Happy" / "again.png")
    assert prepare(data, tmp_path / "out") == 0
    assert "groups lay across the data's own splits, such as" in capsys.readouterr().out


def refused(data: Path, output: Path, *flags: str) -> None:
    before = sorted(output.parent.rglob("*"))
    assert prepare(data, output, *flags) == 2
    assert sorted(output.parent.rglob("*")) == before


def test_an_existing_output_is_replaced_only_when_told_and_only_if_prepared(
    tmp_path: Path, people: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years of work")
    refused(people, mine)
    assert "exists" in capsys.readouterr().err
    refused(people, mine, "--overwrite")
    assert "is not replaced" in capsys.readouterr().err
    assert prepare(people, tmp_path / "out") == 0
    assert prepare(people, tmp_path / "out", "--overwrite", "--split", "0.5,0.5") == 0
    assert {row["split"] for row in rows(tmp_path / "out")} == {"train", "val"}
    assert not (tmp_path / "out" / "test").exists()
    assert not [path for path in tmp_path.iterdir() if path.suffix in (".part", ".old")]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kept", "first"),
    [
        ("raw.zip", "raw.zip"),
        ("train/Happy/mine.png", "train/Happy/mine.png"),
        ("train/notes/a.txt", "train/notes"),
        ("zzz/a.txt", "zzz"),
    ],
)
def test_what_was_added_to_an_earlier_output_is_not_lost(
    tmp_path: Path, people: Path, capsys: pytest.CaptureFixture[str], kept: str, first: str
) -> None:
    assert prepare(people, tmp_path / "out", "--split", "0.5,0.5") == 0
    own = tmp_path / "out" / kept
    own.parent.mkdir(exist_ok=True)
    own.write_bytes(b"years of work")
    capsys.readouterr()
    refused(people, tmp_path / "out", "--overwrite")
    error = capsys.readouterr().err
    assert f"is not replaced: expected only what --prepare made, got {first!r} in it." in error
    assert error.count("\n") == 1
    assert own.read_bytes() == b"years of work"


def test_data_inside_the_output_are_refused_as_a_file_too(
    tmp_path: Path, people: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert prepare(people, tmp_path / "out") == 0
    raw = made_data.zipped(people)
    shutil.move(raw, tmp_path / "out" / "raw.zip")
    capsys.readouterr()
    refused(tmp_path / "out" / "raw.zip", tmp_path / "out", "--overwrite")
    assert "overlaps with data" in capsys.readouterr().err
    assert (tmp_path / "out" / "raw.zip").is_file()


@pytest.mark.parametrize("table", ["file,mine\nthesis.txt,1\n", "", "\udcff\udcfe"])
def test_another_table_of_that_name_does_not_make_a_folder_ours(
    tmp_path: Path, people: Path, capsys: pytest.CaptureFixture[str], table: str
) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years of work")
    (mine / "splits.csv").write_bytes(table.encode("utf-8", "surrogateescape"))
    refused(people, mine, "--overwrite")
    assert "is not replaced: expected a folder that --prepare made (with splits.csv), got" in capsys.readouterr().err
    assert (mine / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize("name", ["out.old", "out.part"])
def test_neighbours_of_the_output_stay(tmp_path: Path, people: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "thesis.txt").write_text("years of work")
    assert prepare(people, tmp_path / "out") == 0
    assert prepare(people, tmp_path / "out", "--overwrite") == 0
    assert (tmp_path / name / "thesis.txt").read_text() == "years of work"
    assert {path.name for path in tmp_path.iterdir()} == {"people", "out", name}


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--split", "0.9,0.3"], "split '0.9,0.3' is no division"),
        (["--classes", "bored,happy"], "class 'bored' has no labelled face"),
        (["--classes", "bored,tired"], "holds no labelled face of bored, tired: expected some, got"),
    ],
)
def test_bad_flags_are_one_line(
    tmp_path: Path, people: Path, capsys: pytest.CaptureFixture[str], flags: list[str], message: str
) -> None:
    refused(people, tmp_path / "out", *flags)
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_bad_places_are_one_line(tmp_path: Path, people: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--prepare", str(people)]) == 2
    assert "output folder is not given" in capsys.readouterr().err
    refused(people, people / "out")
    assert "overlaps with data" in capsys.readouterr().err
    assert prepare(people, tmp_path / "no" / "out") == 2
    assert "is missing" in capsys.readouterr().err
    assert prepare(tmp_path / "nothing", tmp_path / "out") == 2
    assert "does not exist" in capsys.readouterr().err


def test_too_few_people_for_the_splits_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for emotion in EMOTIONS:
        made_data.picture(tmp_path / "d" / emotion / "Ann_1.png", emotion, len(emotion))
    refused(tmp_path / "d", tmp_path / "out")
    assert "split 'val' is empty" in capsys.readouterr().err


def test_an_unreadable_picture_leaves_nothing_behind(
    tmp_path: Path, people: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (people / "fear" / "broken.png").write_bytes(b"no picture")
    refused(people, tmp_path / "out")
    assert "image 'fear/broken.png' cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("data", "output"), [("x" * 300, "out"), ("people", "x" * 300), ("people", f"{'x' * 300}/out")]
)
def test_a_path_that_cannot_be_looked_at_is_one_line(
    tmp_path: Path, people: Path, capsys: pytest.CaptureFixture[str], data: str, output: str
) -> None:
    assert prepare(people.parent / data, tmp_path / output) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "got File name too long" in error or "is missing" in error
