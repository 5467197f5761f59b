"""CK+ in the folders that its authors give: which takes and frames are read, and what is left out and counted."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import made_data
import numpy as np
import pytest

from stemo.errors import DataError
from stemo.modes.demo import load_photograph
from stemo.records import EMOTIONS, Image
from stemo.training.archives import open_archive
from stemo.training.class_set import ClassSet
from stemo.training.collection import OTHER_SEQUENCES, collect
from stemo.training.layouts import data_sets, layout_of
from stemo.training.layouts.ckplus import read_sequences, sequence_faces, takes

EIGHT = (*EMOTIONS, "Contempt")


def centre(image: Image) -> Image:
    """Stands for the face search, which does not find drawn faces."""
    return image[12:-12, 12:-12]


def test_takes_and_their_categories(tmp_path: Path) -> None:
    root = made_data.ckplus(tmp_path / "set")
    for path in (root, made_data.zipped(root)):
        archive = open_archive(path)
        layout = layout_of(archive)
        assert layout is not None
        assert layout.holds == "CK+'s Emotion and cohn-kanade-images"
        found = [(take.name, take.subject, take.emotion) for take in takes(archive)]
        assert found == [
            ("S005_001", "S005", "Happy"),
            ("S005_002", "S005", ""),
            ("S010_001", "S010", "contempt"),
            ("S010_002", "S010", "Surprise"),
        ]
        numbers = [int(Path(name).stem.split("_")[-1]) for name in takes(archive)[0].frames]
        assert numbers == [1, 9, 10, 11]
    assert data_sets(root) == [root]


def test_the_zips_that_its_parts_came_in_may_lie_beside_them(tmp_path: Path) -> None:
    root = made_data.ckplus(tmp_path / "set")
    for name in ("cohn-kanade-images", "Emotion"):
        shutil.make_archive(str(root / f"extended-{name}"), "zip", root, name)
    assert data_sets(root) == [root]


def test_sequences_from_onset_to_apex(tmp_path: Path) -> None:
    archive = open_archive(made_data.ckplus(tmp_path))
    found = read_sequences(archive, EMOTIONS, centre)
    assert [None if one.label is None else EMOTIONS[one.label] for one in found] == ["Happy", None, None, "Surprise"]
    assert [len(one.images) for one in found] == [4, 0, 0, 3]
    assert found[0].images[0].shape == (24, 24, 3)
    assert [one.label for one in read_sequences(archive, EIGHT, centre)] == [3, None, 7, 6]


def test_what_is_not_labelled_or_shows_no_face_is_left_out_and_counted(tmp_path: Path) -> None:
    archive = open_archive(made_data.ckplus(tmp_path))
    stills, left_out = ClassSet().stills(sequence_faces(archive, centre))
    assert [None if still.label is None else EMOTIONS[still.label] for still in stills] == [
        *("Neutral", None, None, "Happy"),
        "Neutral",  # the onset of contempt
        *("Neutral", None, "Surprise"),
    ]
    assert left_out == {"without a clear label": 1, "contempt": 3}
    stills, left_out = ClassSet().stills(sequence_faces(archive, lambda _: None))
    assert not stills
    assert left_out == {"without a clear label": 1, "no face": 3}


@pytest.mark.parametrize("text", ["", "eight", "8.0", "2.5", "nan"])
def test_a_damaged_emotion_file_is_one_line(tmp_path: Path, text: str) -> None:
    root = made_data.ckplus(tmp_path)
    (root / "Emotion/S005/001/S005_001_00000011_emotion.txt").write_text(text)
    with pytest.raises(DataError, match=r"emotion file .*S005_001_00000011_emotion.txt' is damaged") as caught:
        read_sequences(open_archive(root), EMOTIONS, centre)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_faces_are_cut_out_of_whole_pictures_as_a_run_cuts_them(tmp_path: Path) -> None:
    man = cv2.cvtColor(np.ascontiguousarray(load_photograph()[0:600, 640:1240]), cv2.COLOR_RGB2GRAY)
    root = made_data.ckplus(tmp_path)
    for name in sorted(root.rglob("S005_001_*.png")):
        cv2.imwrite(str(name), man)
    shutil.rmtree(root / "cohn-kanade-images/S010")
    found = collect([root, Path("made")], 0.0)
    assert [(one.name, one.subject, len(one.images)) for one in found.sequences] == [("S005_001", "S005", 4)]
    assert found.sequences[0].images[0].shape == (224, 224, 3)
    assert found.left_out == {OTHER_SEQUENCES: 1}
