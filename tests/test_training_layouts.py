"""Every layout of stills is found by itself and read right; what is wrong with one is said in one line."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import made_data
import numpy as np
import pytest
from made_data import picture, zipped

from stemo.errors import DataError
from stemo.records import EMOTIONS
from stemo.training.archives import open_archive
from stemo.training.class_set import ClassSet
from stemo.training.datasets import Still, hold
from stemo.training.layouts import LAYOUTS, data_sets, layout_of, load_any, open_data, rule_of

EIGHT = (*EMOTIONS, "Contempt")
# a made data set -> (what its layout holds, how its rule begins, label and split of every face)
SETS: dict[Callable[[Path], Path], tuple[str, str, set[tuple[str | None, str]]]] = {
    made_data.ferplus: (
        "a labels.csv with FER+ votes",
        "FER+ majority, 8 classes",
        {("Happy", "Training"), ("Sad", "Training"), ("Contempt", "Training"), ("Angry", "PublicTest")},
    ),
    made_data.repository: (
        "FERPlus's FER2013Train/label.csv",
        "FER+ majority, 8 classes",
        {("Happy", "Training"), ("Sad", "PublicTest"), ("Contempt", "PrivateTest")},
    ),
    made_data.fer2013: (
        "fer2013.csv",
        "FER2013's own labels, 8 classes",
        {("Happy", "Training"), ("Neutral", "PublicTest")},
    ),
    made_data.image_folder: (
        "one folder of pictures per emotion",
        "ImageFolder, 8 classes",
        {(emotion, "") for emotion in EMOTIONS},
    ),
    made_data.sequences: (
        "a labels.csv of sequences (CK+)",
        "sequences, 8 classes",
        {("Neutral", ""), (None, ""), ("Happy", ""), ("Contempt", ""), ("Surprise", "")},
    ),
    made_data.affectnet_tables: (
        "AffectNet's training.csv",
        "AffectNet, 8 classes",
        {("Happy", "train"), ("Contempt", "train"), (None, "train"), ("Angry", "val")},
    ),
    made_data.affectnet_arrays: (
        "AffectNet's *_exp.npy",
        "AffectNet, 8 classes",
        {("Fear", "train_set"), ("Neutral", "val_set")},
    ),
    made_data.afew_va: ("AFEW-VA's 001/001.json", "AFEW-VA: no categories", {(None, "")}),
    made_data.affwild2: (
        "Aff-Wild2's challenge folders",
        "Aff-Wild2, 8 classes",
        {("Happy", "train"), (None, "train"), ("Happy", "val"), ("Surprise", "val"), (None, "val")},
    ),
    made_data.dfew: (
        "a csv of clips (DFEW, FERV39k)",
        "clips, 8 classes",
        {("Happy", "train"), ("Fear", "train"), ("Sad", "test")},
    ),
    made_data.ferv39k: (
        "a csv of clips (DFEW, FERV39k)",
        "clips, 8 classes",
        {("Angry", "train"), ("Neutral", "test")},
    ),
}


def named(stills: list[Still], labels: tuple[str, ...] = EIGHT) -> set[tuple[str | None, str]]:
    return {(None if still.label is None else labels[still.label], still.split) for still in stills}


@pytest.mark.parametrize("packed", [False, True], ids=["folder", "zip"])
@pytest.mark.parametrize("make", SETS, ids=lambda make: make.__name__)
def test_every_layout_is_found_and_read(tmp_path: Path, make: Callable[[Path], Path], packed: bool) -> None:
    holds, rule, faces = SETS[make]
    path = make(tmp_path / "set")
    path = zipped(path) if packed else path
    layout = layout_of(open_archive(path))
    assert layout is not None
    assert layout.holds == holds
    assert rule_of(path, EIGHT).startswith(rule)
    stills = load_any(path, EIGHT)
    assert named(stills) == faces
    for still in stills:
        assert still.image.dtype == np.uint8
        assert still.image.shape[-1] == 3
        assert float(still.distribution.sum()) in (0.0, pytest.approx(1.0))


def test_every_layout_is_tested() -> None:
    # in test_training_clip_faces.py and test_training_layouts_ckplus.py: they need real faces
    others = {"one folder of videos per emotion", "CK+'s Emotion and cohn-kanade-images"}
    assert {layout.holds for layout in LAYOUTS} == {holds for holds, _, _ in SETS.values()} | others


def test_a_csv_is_a_data_set_with_what_lies_beside_it(tmp_path: Path) -> None:
    own = made_data.fer2013(tmp_path / "own")
    voted = made_data.fer2013(tmp_path / "voted", voted=True)
    (voted / "other.csv").write_text("video_name,label\nnothing,1\n")
    assert named(load_any(own / "fer2013.csv"), EMOTIONS) == {("Happy", "Training"), ("Neutral", "PublicTest")}
    assert named(load_any(voted / "fer2013.csv"), EMOTIONS) == {("Surprise", "Training"), ("Happy", "PublicTest")}
    assert rule_of(voted).startswith("FER+ majority, 7 classes")


def test_the_seven_leave_contempt_out(tmp_path: Path) -> None:
    stills = load_any(made_data.ferplus(tmp_path))
    assert [EMOTIONS[still.label] for still in stills if still.label is not None] == ["Happy", "Sad", "Angry"]
    assert stills[0].distribution.tolist() == [0, 0, 0, 1, 0, 0, 0]  # the single vote for neutral does not count
    assert [still.subject for still in stills] == ["0", "1", "3"]


def test_the_box_of_the_repository_is_cut_out(tmp_path: Path) -> None:
    assert {still.image.shape for still in load_any(made_data.repository(tmp_path), EIGHT)} == {(40, 40, 3)}


def test_a_table_of_clips_without_a_header_keeps_every_category(tmp_path: Path) -> None:
    root = made_data.ferv39k(tmp_path / "set")
    for clip in ("Action/Contempt/0267", "Action/bored/0268"):
        for frame in range(3):
            picture(root / "2_ClipsforFaceCrop" / clip / f"{frame}.jpg", seed=frame)
    table = root / "4_setups/All_scenes/train_All.csv"
    rows = ["Action/Contempt/0267 Contempt", "Action/bored/0268 bored", "Action/Angry/0010 Angry"]
    made_data.lines(table, rows)
    labels = ("Angry", "Contempt", "bored", "Neutral")
    train = ("train", "train", "train", "test")
    assert named(load_any(root, labels), labels) == set(zip(labels, train, strict=True))
    _, left_out = ClassSet().stills(open_data(root).faces())
    assert left_out == {"Contempt": 3, "bored": 3}
    made_data.lines(table, ["place annotation", "Action/Angry/0010 Angry"])
    assert named(load_any(root), EMOTIONS) == {("Angry", "train"), ("Neutral", "test")}
    made_data.lines(table, ["Action/Angry/0010 Angry", "Action/bored/9 bored"])
    with pytest.raises(DataError, match=r"clip 'Action/bored/9' of .*train_All\.csv line 2 is missing"):
        load_any(root)


def test_people_are_known_by_file_names_that_name_people(tmp_path: Path) -> None:
    for name in ("happy/Hu_Jintao_1.png", "happy/Training_5.png", "happy/happy_7.png", "sad/Hu_Jintao_2.png"):
        picture(tmp_path / name)
    found = {(still.subject, still.has_subject) for still in load_any(tmp_path)}
    assert found == {("Hu_Jintao", True), ("Training_5", False), ("happy_7", False)}


def test_a_prefix_that_nearly_all_pictures_share_names_nobody(tmp_path: Path) -> None:
    for number in range(60):
        picture(tmp_path / "happy" / f"shot_{number}.png")
        picture(tmp_path / "sad" / f"person{number % 30}_{number}.png")
    subjects = {still.subject for still in load_any(tmp_path)}
    assert "shot" not in subjects
    assert {"shot_3", "person3"} <= subjects


def test_unknown_layouts_list_the_known_ones(tmp_path: Path) -> None:
    picture(tmp_path / "holiday.png")
    with pytest.raises(DataError) as caught:
        load_any(tmp_path)
    text = str(caught.value)
    assert "\n" not in text
    assert all(layout.holds in text for layout in LAYOUTS)
    assert "got .png" in text


def test_categories_outside_the_class_set_are_named(tmp_path: Path) -> None:
    made_data.image_folder(tmp_path, ("bored", "confused"))
    with pytest.raises(DataError, match=r"no labelled face of Angry.*got bored, confused\. Name other .* --classes"):
        load_any(tmp_path)
    assert named(load_any(tmp_path, ("Confused", "bored")), ("Confused", "bored")) == {("bored", ""), ("Confused", "")}


def test_an_empty_split_is_named(tmp_path: Path) -> None:
    made_data.image_folder(tmp_path, splits=("train",))
    (tmp_path / "val" / "happy").mkdir(parents=True)
    with pytest.raises(DataError, match=r"split 'val' of .* is empty"):
        load_any(tmp_path)


DAMAGES: dict[str, tuple[Callable[[Path], Path], Callable[[Path], object], str]] = {
    "unreadable picture": (
        made_data.ferplus,
        lambda root: (root / "train/fer0000001.png").write_bytes(b"no picture"),
        r"fer0000001\.png' cannot be read",
    ),
    "missing picture": (made_data.ferplus, lambda root: (root / "train/fer0000001.png").unlink(), "is missing"),
    "missing frame": (made_data.sequences, lambda root: (root / "S1/2.png").unlink(), r"'S1/2\.png' .* is missing"),
    "no frames": (
        made_data.sequences,
        lambda root: made_data.lines(root / "labels.csv", ["sequence,subject,emotion,frames", "S1_1,S1,happy, "]),
        r"sequence 'S1_1' of labels\.csv .* has no frames: expected names of pictures .*, got an empty cell\. Fill in",
    ),
    "missing column": (
        made_data.sequences,
        lambda root: (root / "labels.csv").write_text("sequence,subject\na,b\n"),
        "lacks columns: expected emotion, frames",
    ),
    "bad votes": (
        made_data.repository,
        lambda root: (root / "data/FER2013Test/label.csv").write_text("fer0000001.png,,x,0,0,0,0,0,0,0,0,0\n"),
        "label.csv line 1 is damaged",
    ),
    "pictures not generated": (
        made_data.repository,
        lambda root: (root / "data/FER2013Test/fer0000001.png").unlink(),
        "generate_training_data",
    ),
    "bad pixels": (
        made_data.fer2013,
        lambda root: (root / "fer2013.csv").write_text("emotion,pixels,Usage\n3,1 2 3,Training\n"),
        "line 2 is damaged: expected 2304 pixels",
    ),
    "bad class": (
        made_data.fer2013,
        lambda root: (root / "fer2013.csv").write_text("emotion,pixels,Usage\n9,1 2 3,Training\n"),
        "line 2 is damaged: expected 0 to 6",
    ),
    "missing AffectNet picture": (
        made_data.affectnet_tables,
        lambda root: (root / "Manually_Annotated_Images/1/a.jpg").unlink(),
        r"'1/a\.jpg' of .* is missing",
    ),
    "pickled annotation": (
        made_data.affectnet_arrays,
        lambda root: np.save(root / "val_set/annotations/3_exp.npy", np.array([object()]), allow_pickle=True),
        "cannot be read: expected one number",
    ),
    "AFEW-VA out of range": (
        made_data.afew_va,
        lambda root: (root / "001/001.json").write_text('{"frames": {"00000": {"valence": 99, "arousal": 0}}}'),
        r"'001/001\.json' cannot be read",
    ),
    "Aff-Wild2 without frames": (
        made_data.affwild2,
        lambda root: shutil.rmtree(root / "cropped_aligned/a"),
        "'a' has no frames",
    ),
    "missing clip": (
        made_data.dfew,
        lambda root: shutil.rmtree(root / "Clip/clip_224x224/00010"),
        "'10' of .* missing",
    ),
    "DFEW label": (
        made_data.dfew,
        lambda root: (root / "EmoLabel_DataSplit/test(single-labeled)/set_1.csv").write_text("video_name,label\n1,8\n"),
        "expected a name, or DFEW's 1 to 7",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_wrong_is_said_in_one_line(tmp_path: Path, damage: str) -> None:
    make, harm, message = DAMAGES[damage]
    root = make(tmp_path / "set")
    harm(root)
    with pytest.raises(DataError, match=message) as caught:
        load_any(root, EIGHT)
    assert "\n" not in str(caught.value)


def test_what_is_no_archive_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        load_any(tmp_path / "nothing")
    (tmp_path / "broken.zip").write_bytes(b"PK but no zip")
    with pytest.raises(DataError, match="not a readable zip"):
        load_any(tmp_path / "broken.zip")


def test_a_folder_of_data_sets(tmp_path: Path) -> None:
    zips = [zipped(make(tmp_path / make.__name__)) for make in (made_data.ferplus, made_data.sequences)]
    for make in ("ferplus", "sequences"):
        shutil.rmtree(tmp_path / make)
    (tmp_path / "notes.txt").write_text("hello")
    shutil.make_archive(str(tmp_path / "sound"), "zip", tmp_path, "notes.txt")
    assert data_sets(tmp_path) == zips
    inner = tmp_path / "unpacked"
    folders = [make(inner / make.__name__) for make in (made_data.ferplus, made_data.sequences)]
    assert data_sets(inner) == folders
    assert data_sets(Path("made")) == [Path("made")]
    with pytest.raises(DataError, match="known layout"):
        data_sets(tmp_path / "notes.txt")


def test_pictures_beyond_the_limit_stay_on_disk(tmp_path: Path) -> None:
    stills = [still for still in load_any(made_data.image_folder(tmp_path)) if not callable(still.picture)]
    assert len(stills) == 14
    archive = open_archive(tmp_path)
    layout = layout_of(archive)
    assert layout is not None
    lazy, _ = ClassSet().stills(layout.faces(archive))
    assert all(callable(still.picture) for still in lazy)
    held = hold(lazy, most=2 * 48 * 48 * 3)
    assert [callable(still.picture) for still in held] == [False] * 2 + [True] * 12
    for still, first in zip(held, stills, strict=True):
        assert np.array_equal(still.image, first.image)
