"""Tables of clips and what only looks like one: splits are ranked, class lists and stray texts are nobody's clips."""

from __future__ import annotations

from pathlib import Path

import made_data
import pytest

from stemo.errors import DataError
from stemo.records import EMOTIONS
from stemo.training.archives import open_archive
from stemo.training.layouts import data_sets, layout_of, load_any

LATIN_1 = "Fotos für alle, 2\n".encode("latin-1")


def holds(path: Path) -> str:
    layout = layout_of(open_archive(path))
    return layout.holds if layout else "nothing"


def clips(root: Path, tables: dict[str, str]) -> dict[str, str]:
    """The split of the clip c1, which every table names, and of c2, as the tables in order have it."""
    for clip in ("c1", "c2"):
        made_data.picture(root / "frames" / clip / "0.png")
    for name, text in tables.items():
        made_data.lines(root / name, text.splitlines())
    return {Path(still.name).parent.name: still.split for still in load_any(root)}


@pytest.mark.parametrize("first", ["a.csv", "z.csv"])
def test_a_clip_held_out_by_one_table_stays_so_beside_a_table_without_splits(tmp_path: Path, first: str) -> None:
    found = clips(tmp_path, {first: "clip,label\nc1,happy\nc2,sad", "test.csv": "clip,label\nc1,happy"})
    assert found == {"c1": "test", "c2": ""}


def test_a_split_counts_however_it_is_spelt(tmp_path: Path) -> None:
    tables = {"all.csv": "clip,label,split\nc1,happy,Train\nc2,sad,TRAIN", "test.csv": "clip,label\nc1,happy"}
    assert clips(tmp_path, tables) == {"c1": "test", "c2": "TRAIN"}


def test_a_table_without_splits_takes_none_away(tmp_path: Path) -> None:
    tables = {"train.csv": "clip,label\nc1,happy\nc2,sad", "zzz.csv": "clip,label\nc1,happy\nc2,sad"}
    assert clips(tmp_path, tables) == {"c1": "train", "c2": "train"}


@pytest.mark.parametrize("listed", ["angry,1\ndisgust,2", "class,id\nangry,1\ndisgust,2", "name,label\nangry,1"])
@pytest.mark.parametrize("splits", [(), ("train", "test")])
def test_a_class_list_beside_folders_of_pictures_is_no_table_of_clips(
    tmp_path: Path, listed: str, splits: tuple[str, ...]
) -> None:
    made_data.image_folder(tmp_path, ("angry", "disgust"), count=10, splits=splits)
    (tmp_path / "classes.csv").write_text(listed)
    assert holds(tmp_path) == "one folder of pictures per emotion"
    stills = load_any(tmp_path)
    assert len(stills) == 20 * (len(splits) or 1)
    assert {(EMOTIONS[still.label or 0], Path(still.name).parent.name) for still in stills} == {
        ("Angry", "angry"),
        ("Disgust", "disgust"),
    }


@pytest.mark.parametrize(("listed", "splits"), [("bored,1\ntired,2", ("train", "test")), ("bored,1\nangry,2", ())])
def test_a_list_of_ones_own_classes_is_no_table_of_clips(tmp_path: Path, listed: str, splits: tuple[str, ...]) -> None:
    made_data.image_folder(tmp_path, [line.split(",")[0] for line in listed.split()], splits=splits)
    (tmp_path / "classes.txt").write_text(listed)
    assert holds(tmp_path) == "one folder of pictures per emotion"


def test_clips_that_lie_here_at_two_sizes_are_still_found(tmp_path: Path) -> None:
    for size in ("clip_224x224", "clip_224x224_16f"):
        made_data.picture(tmp_path / size / "00001" / "1.jpg")
    made_data.lines(tmp_path / "train.csv", ["video_name,label", "1,1"])
    assert [(still.name, still.split) for still in load_any(tmp_path)] == [("clip_224x224/00001/1.jpg", "train")]


@pytest.mark.parametrize("name", ["README.txt", "notes.csv"])
@pytest.mark.parametrize("text", [LATIN_1, b'a,"' + b"x" * 200_000], ids=["latin-1", "endless cell"])
def test_a_text_that_cannot_be_read_leaves_folders_of_pictures_readable(tmp_path: Path, name: str, text: bytes) -> None:
    made_data.image_folder(tmp_path, ("happy", "sad"))
    (tmp_path / name).write_bytes(text)
    assert holds(tmp_path) == "one folder of pictures per emotion"


def test_a_table_that_was_asked_for_and_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "clips.csv").write_bytes(LATIN_1)
    with pytest.raises(DataError, match=r"table 'clips\.csv' cannot be read: expected text in UTF-8"):
        load_any(tmp_path / "clips.csv")


def test_affectnet_is_read_whatever_system_its_lines_end_as_on(tmp_path: Path) -> None:
    root = made_data.affectnet_tables(tmp_path)
    before = [(still.name, still.label) for still in load_any(root)]
    for table in (root / "lists").iterdir():
        table.write_bytes(table.read_bytes().replace(b"\n", b"\r"))
    assert [(still.name, still.label) for still in load_any(root)] == before


@pytest.mark.parametrize("line", [0, 2], ids=["the first line", "a later one"])
def test_an_unclosed_quote_in_affectnet_is_one_line(tmp_path: Path, line: int) -> None:
    table = made_data.affectnet_tables(tmp_path) / "lists" / "training.csv"
    lines = table.read_text().splitlines()
    table.write_text("\n".join([*lines[:line], '"' + "x" * 200_000, *lines[line:]]))
    with pytest.raises(DataError, match=r"table 'lists/training\.csv' cannot be read: expected comma-sep") as caught:
        load_any(tmp_path)
    assert "\n" not in str(caught.value)


def test_the_newer_names_of_aff_wild2_are_known(tmp_path: Path) -> None:
    root = made_data.affwild2(tmp_path / "set")
    before = [(still.name, still.label, still.split, still.rated) for still in load_any(root)]
    annotations = root / "annotations"
    (annotations / "EXPR_Classification_Challenge").rename(annotations / "EXPR_Recognition_Challenge")
    assert holds(root) == "Aff-Wild2's challenge folders"
    assert [(still.name, still.label, still.split, still.rated) for still in load_any(root)] == before


def test_zips_and_unpacked_data_sets_beside_one_another_are_all_read(tmp_path: Path) -> None:
    votes = made_data.zipped(made_data.ferplus(tmp_path / "votes"))  # its unpacked copy stays there
    pictures = made_data.image_folder(tmp_path / "pictures", splits=("train", "val"))
    clips = made_data.dfew(tmp_path / "clips")
    made_data.picture(tmp_path / "holiday" / "2024" / "beach.png")
    assert data_sets(tmp_path) == [clips, pictures, votes]


def test_a_zip_unpacked_where_it_lies_is_read_once(tmp_path: Path) -> None:
    made_data.image_folder(tmp_path / "archive", splits=("train", "test"))
    packed = made_data.zipped(tmp_path / "archive")
    for split in ("train", "test"):
        (tmp_path / "archive" / split).rename(tmp_path / split)
    (tmp_path / "archive").rmdir()
    assert data_sets(tmp_path) == [packed]
