"""Labelled clips become faces: a few frames, evenly taken, cut to the face where they are videos."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import made_data
import numpy as np
import pytest
from fakes import make_video, read_stamp

from stemo.errors import DataError
from stemo.modes.demo import load_photograph
from stemo.output.video import VideoWriter
from stemo.records import Image
from stemo.training.archives import open_archive
from stemo.training.class_set import ClassSet
from stemo.training.clip_faces import evenly, read_evenly
from stemo.training.collection import collect
from stemo.training.layouts import load_any, open_data
from stemo.training.layouts.video_folder import video_clips


def video(path: Path, image: Image, frames: int = 10) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = image.shape[:2]
    with VideoWriter(path, width, height, Fraction(25)) as writer:
        for index in range(frames):
            writer.write(image, index / 25)
    return path


@pytest.fixture(scope="module")
def man() -> Image:
    """One of the two people on the demo's photograph."""
    return np.ascontiguousarray(load_photograph()[0:600, 640:1240])


@pytest.mark.parametrize(("given", "count", "taken"), [(10, 3, [1, 5, 8]), (8, 8, list(range(8))), (2, 8, [0, 1])])
def test_evenly(given: int, count: int, taken: list[int]) -> None:
    assert evenly(range(given), count) == taken


@pytest.mark.parametrize("name", ["a.mp4", "a.avi"])
def test_frames_are_taken_evenly(tmp_path: Path, name: str) -> None:
    make_video(tmp_path / name, frames=40, codec="libx264" if name.endswith("4") else "mpeg4")
    assert [read_stamp(image) for image in read_evenly(tmp_path / name, 4, name)] == [5, 15, 25, 35]


@pytest.mark.slow
def test_labelled_videos(tmp_path: Path, man: Image) -> None:
    video(tmp_path / "set" / "train" / "happy" / "Joe_1.mp4", man)
    video(tmp_path / "set" / "train" / "sad" / "0001.mp4", man, frames=3)
    video(tmp_path / "set" / "test" / "happy" / "street.mp4", np.full((120, 160, 3), 90, np.uint8), frames=2)
    for path in (tmp_path / "set", made_data.zipped(tmp_path / "set")):
        stills, left_out = ClassSet().stills(open_data(path).faces())
        assert left_out == {"no face": 2}
        assert [still.subject for still in stills] == ["Joe"] * 8 + ["train-sad-0001"] * 3
        assert {still.split for still in stills} == {"train"}
        crop = stills[0].image
        assert crop.shape == (224, 224, 3)
        # the crop shows the face, not the suit and the wall: half of it and more is skin
        assert np.mean((crop[..., 0] > crop[..., 2].astype(int) + 20) & (crop[..., 0] > 80)) > 0.5


@pytest.mark.slow
def test_a_damaged_video_is_named(tmp_path: Path) -> None:
    (tmp_path / "happy").mkdir()
    (tmp_path / "happy" / "talk.mp4").write_bytes(b"not a video at all" * 100)
    with pytest.raises(DataError, match=r"video 'happy/talk\.mp4' cannot be read") as caught:
        load_any(tmp_path)
    assert "\n" not in str(caught.value)


def test_frames_of_a_clip_come_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    stills = load_any(made_data.dfew(tmp_path))
    first = [Path(still.name).stem for still in stills if still.subject.endswith("00001")]
    assert first == ["1", "2", "4", "5", "6", "7", "9", "10"]
    assert len(stills) == 24


def test_the_first_fold_is_read(tmp_path: Path) -> None:
    stills = load_any(made_data.dfew(tmp_path))
    assert {(still.subject[-2:], still.split) for still in stills} == {("01", "train"), ("02", "train"), ("10", "test")}


def test_a_clip_in_several_tables_is_read_once(tmp_path: Path) -> None:
    stills = load_any(made_data.ferv39k(tmp_path))
    assert len({still.name for still in stills}) == len(stills) == 6


def test_a_clip_that_any_table_holds_out_is_held_out(tmp_path: Path) -> None:
    root = made_data.ferv39k(tmp_path)
    made_data.lines(root / "4_setups/zzz/test_Action.csv", ["Action/Angry/0010 Angry"])
    assert {still.split for still in load_any(root)} == {"test"}


def test_a_table_of_ones_own(tmp_path: Path) -> None:
    for clip in ("c1", "c2"):
        made_data.picture(tmp_path / "frames" / clip / "0.png")
    rows = [
        {"path": "frames/c1", "emotion": "joy", "split": "val", "subject": "Ann"},
        {"path": "frames/c2", "emotion": "Bored", "split": "train", "subject": "Bob"},
    ]
    made_data.table(tmp_path / "clips.csv", rows)
    for path in (tmp_path, tmp_path / "clips.csv"):
        stills = load_any(path, ("Happy", "Bored"))
        assert [(still.label, still.split, still.subject) for still in stills] == [
            (0, "val", "Ann"),
            (1, "train", "Bob"),
        ]


@pytest.mark.slow
def test_clips_of_a_test_split_are_not_decoded_for_training(tmp_path: Path) -> None:
    for number in range(20):
        made_data.picture(tmp_path / "frames" / f"{number:03d}" / "0.png", seed=number)
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "900.mp4").write_bytes(b"not a video at all" * 100)
    made_data.lines(tmp_path / "train.csv", ["video_name,label", *(f"{n:03d},{1 + n % 2}" for n in range(20))])
    made_data.lines(tmp_path / "test.csv", ["video_name,label", "900,1"])
    found = collect([tmp_path], 0.3, ("Happy", "Sad"))
    assert len(found.train) + len(found.valid) == 20
    assert len(load_any(tmp_path, split="train")) == 20
    for split in (None, "test"):
        with pytest.raises(DataError, match=r"video 'videos/900\.mp4' cannot be read"):
            load_any(tmp_path, split=split)
    with pytest.raises(DataError, match="has no face to score: expected a split among test, train, got 'tset'"):
        load_any(tmp_path, split="tset")


def test_people_of_videos_are_known_by_their_folders(tmp_path: Path) -> None:
    for name in ("train/Ann/happy/1.mp4", "train/Bob/happy/1.MTS", "testing/Cid/sad/Dan_2.ogv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = {(clip.subject, clip.split, clip.emotion) for clip in video_clips(open_archive(tmp_path))}
    assert found == {("Ann", "train", "Happy"), ("Bob", "train", "Happy"), ("Cid", "testing", "Sad")}
