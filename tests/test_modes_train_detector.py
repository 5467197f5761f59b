"""A face detector fine-tuned on a made set: its data are checked, its run stays in its folder, its weights load."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from PIL import Image as PilImage

from stemo.config import RecognitionSettings, Settings, TrainingSettings
from stemo.errors import ConfigError, DataError, OutputError
from stemo.modes.demo import load_photograph
from stemo.modes.train_detector import check_target, make_folder, run_train_detector
from stemo.training.detector import picture_size
from stemo.training.face_boxes import BoxedPicture, label_file, load_face_boxes

FACE = (890, 60, 190, 230)  # left, top, width, height in the photograph


def make_faces(folder: Path, pictures: int = 8, size: int = 96) -> Path:
    """A data set in YOLO's format: a photographed face on noise, larger and smaller; returns its DATA.yaml."""
    rng = np.random.default_rng(0)
    left, top, width, height = FACE
    face = load_photograph()[top : top + height, left : left + width]
    for number in range(pictures):
        split = "valid" if number % 4 == 3 else "train"
        tall = int(rng.integers(size // 3, size * 2 // 3))
        wide = tall * width // height
        x, y = (int(rng.integers(0, size - side)) for side in (wide, tall))
        picture = rng.integers(0, 256, (size, size, 3), np.uint8)
        picture[y : y + tall, x : x + wide] = cv2.resize(face, (wide, tall), interpolation=cv2.INTER_AREA)
        for part in ("images", "labels"):
            (folder / part / split).mkdir(parents=True, exist_ok=True)
        PilImage.fromarray(picture).save(folder / "images" / split / f"{number}.png")
        box = ((x + wide / 2) / size, (y + tall / 2) / size, wide / size, tall / size)
        (folder / "labels" / split / f"{number}.txt").write_text("0 " + " ".join(f"{value:.6f}" for value in box))
    return write(folder, {"train": "images/train", "val": "images/valid", "names": ["face"]})


def write(folder: Path, raw: object) -> Path:
    path = folder / "data.yaml"
    path.write_text(yaml.safe_dump(raw))
    return path


def refused(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        load_face_boxes(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_made_set_is_read_as_it_was_made(tmp_path: Path) -> None:
    data = load_face_boxes(make_faces(tmp_path))
    assert data.names == ("face",)
    assert (len(data.train), len(data.valid)) == (6, 2)
    assert all(picture.size == (96, 96) and picture.boxes.shape == (1, 5) for picture in (*data.train, *data.valid))


def test_layouts_of_one_data_set_agree(tmp_path: Path) -> None:
    path = make_faces(tmp_path)
    raw = yaml.safe_load(path.read_text())
    train = load_face_boxes(path).train
    pictures = [f"images/train/{picture.path.name}" for picture in train]
    (tmp_path / "train.txt").write_text("\n".join(pictures))
    versions = [
        {**raw, "train": "train.txt"},
        {**raw, "train": ["images/train"], "path": str(tmp_path)},
        {"train": "images/train", "validation": "images/valid", "nc": 1},
        {**raw, "names": {0: "face"}},
    ]
    for version in versions:
        found = load_face_boxes(write(tmp_path, version))
        assert [picture.path.name for picture in found.train] == [picture.path.name for picture in train]
        np.testing.assert_array_equal(found.train[0].boxes, train[0].boxes)


def test_a_polygon_is_the_box_around_it_and_no_label_is_no_face(tmp_path: Path) -> None:
    path = make_faces(tmp_path)
    labels = sorted((tmp_path / "labels" / "train").iterdir())
    labels[0].write_text("0 0.2 0.1 0.6 0.1 0.6 0.5 0.2 0.5\n\n")
    labels[1].unlink()
    first, second, *_ = load_face_boxes(path).train
    np.testing.assert_allclose(first.boxes, [[0, 0.4, 0.3, 0.4, 0.4]], atol=1e-6)
    assert second.boxes.shape == (0, 5)


def test_labels_lie_beside_the_last_images_folder() -> None:
    assert label_file(Path("images/set/images/a/b.jpg")) == Path("images/set/labels/a/b.txt")
    assert label_file(Path("pictures/b.jpg")) == Path("pictures/b.txt")


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"train": None}, "lacks train"),
        ({"val": "images/none"}, "leads to"),
        ({"names": ["person", "car"]}, "knows no faces"),
        ({"names": None}, "does not name its classes"),
        ({"names": {1: "face"}}, "does not name its classes"),
        ({"train": "labels/train"}, "has no pictures for train"),
    ],
)
def test_a_wrong_data_yaml_is_one_line(tmp_path: Path, change: dict[str, object], part: str) -> None:
    raw = yaml.safe_load(make_faces(tmp_path).read_text())
    assert part in refused(write(tmp_path, {**raw, **change}))


@pytest.mark.parametrize(
    "line", ["0 0.5 0.5 0.2", "0 0.5 0.5 0.2 1.2", "1 0.5 0.5 0.2 0.2", "face 0.5 0.5 0.2 0.2", "0 0.5 0.5 0 0.2"]
)
def test_a_wrong_label_names_its_line(tmp_path: Path, line: str) -> None:
    path = make_faces(tmp_path)
    (tmp_path / "labels" / "train" / "0.txt").write_text(f"0 0.5 0.5 0.2 0.2\n{line}\n")
    assert "0.txt' line 2 is no box" in refused(path)


def test_what_is_no_data_set_is_one_line(tmp_path: Path) -> None:
    assert "cannot be read" in refused(tmp_path / "none.yaml")
    assert "has no keys" in refused(write(tmp_path, ["a list"]))
    (tmp_path / "data.yaml").write_text("train: [")
    assert "is not YAML" in refused(tmp_path / "data.yaml")
    path = make_faces(tmp_path)
    (tmp_path / "images" / "train" / "0.png").write_bytes(b"no picture")
    assert "0.png' cannot be read" in refused(path)
    for folder in ("train", "valid"):
        for label in (tmp_path / "labels" / folder).iterdir():
            label.unlink()
    (tmp_path / "images" / "train" / "0.png").unlink()
    assert "has no face to train on" in refused(path)


def test_code_in_a_data_yaml_is_never_run(tmp_path: Path) -> None:
    raw = yaml.safe_load(make_faces(tmp_path).read_text())
    trap = f"open({str(tmp_path / 'sprung')!r}, 'w')"
    assert "leads to" in refused(write(tmp_path, {**raw, "val": "images/none", "download": trap}))
    assert not (tmp_path / "sprung").exists()


def test_pictures_are_trained_at_their_own_size_in_whole_strides() -> None:
    def of(height: int, width: int) -> BoxedPicture:
        return BoxedPicture(Path("a.png"), (height, width), np.zeros((0, 5), np.float32))

    assert picture_size([of(64, 96), of(80, 40)]) == 96
    assert picture_size([of(64, 97)]) == 128
    assert picture_size([of(3000, 4000)]) == 640


def test_what_cannot_be_started_from_or_written_is_said_before_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    data = make_faces(tmp_path)
    said: list[str] = []

    def run(start: str | None = None, weights: str | None = None, name: str | None = None) -> int:
        settings = Settings(RecognitionSettings(face_weights=start, device="cpu"))
        return run_train_detector(data, settings, name, weights, False, said.append)

    with pytest.raises(ConfigError, match=r"got '\.onnx'"):
        run(start="face.onnx")
    with pytest.raises(ConfigError, match="no such file"):
        run(start="none.pt")
    with pytest.raises(OutputError, match=r"ending in \.pt"):
        run(weights="out.safetensors")
    (tmp_path / "taken.pt").touch()
    with pytest.raises(OutputError, match="--overwrite"):
        run(weights="taken.pt")
    (tmp_path / "folder.pt").mkdir()
    with pytest.raises(OutputError, match=r"^output 'folder\.pt' is a folder"):
        run(weights="folder.pt")
    with pytest.raises(OutputError, match=r"^output folder 'none' is missing"):
        run(weights="none/out.pt")
    (tmp_path / "runs" / "old" / "weights").mkdir(parents=True)
    with pytest.raises(OutputError, match="earlier training"):
        run(name="old")
    (tmp_path / "runs" / "file").write_text("no folder")
    with pytest.raises(OutputError, match=r"^file 'runs/file' cannot be written: .* got File exists\."):
        run(name="file")
    with pytest.raises(ConfigError, match=r"^epochs 0 is out of range: expected 1 or more"):
        run_train_detector(data, Settings(training=TrainingSettings(epochs=0)), None, None, False, said.append)
    assert said == []


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root and Windows write to folders without permission")
def test_a_folder_without_permission_is_said_before_work(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(OutputError, match=r"is not writable: .*Choose another --weights\."):
            check_target(str(tmp_path / "face.pt"), overwrite=False)
        with pytest.raises(OutputError, match="cannot be written: expected a place to write to, got Permission denied"):
            make_folder(tmp_path / "run", overwrite=False)
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.parametrize("name", ["events.out.tfevents.1.host.2.0", "spatial.safetensors"])
@pytest.mark.parametrize("overwrite", [False, True])
def test_the_run_of_another_training_stays_as_it_is(tmp_path: Path, name: str, overwrite: bool) -> None:
    (tmp_path / name).write_bytes(b"hours of work")
    with pytest.raises(OutputError, match=r"^run '.*' is no detector's: expected a new name, got [^\n]*--name\.$"):
        make_folder(tmp_path, overwrite)
    assert (tmp_path / name).read_bytes() == b"hours of work"


def test_a_detectors_own_curves_are_replaced_only_when_asked(tmp_path: Path) -> None:
    curves = tmp_path / "events.out.tfevents.1.host.2.0"
    (tmp_path / "weights").mkdir()
    curves.touch()
    with pytest.raises(OutputError, match="earlier training"):
        make_folder(tmp_path, overwrite=False)
    assert curves.exists()
    make_folder(tmp_path, overwrite=True)
    assert not curves.exists()
