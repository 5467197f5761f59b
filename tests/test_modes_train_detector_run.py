"""A face detector is trained: from which weights, what it writes, and that its weights find their way back."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import ROOT
from test_modes_train_detector import make_faces

from stemo import assets
from stemo.config import RecognitionSettings, Settings, TrainingSettings
from stemo.errors import WeightsError
from stemo.faces.detection import YoloFaces, open_detectors
from stemo.faces.yolo import silence_ultralytics
from stemo.modes.demo import load_photograph
from stemo.modes.train_detector import PUBLISHED, find_start, run_train_detector


def save_fresh(path: Path, classes: int) -> None:
    """YOLOv8n of so many classes with the weights that it starts from, as ultralytics keeps them."""
    silence_ultralytics()
    import torch
    from ultralytics.nn.tasks import DetectionModel

    with torch.random.fork_rng():
        torch.manual_seed(0)
        torch.save({"model": DetectionModel("yolov8n.yaml", nc=classes, verbose=False)}, path)


@pytest.mark.slow
def test_one_epoch_writes_only_its_run_and_its_weights_find_their_way_back(tmp_path: Path) -> None:
    data = make_faces(tmp_path / "set")
    for folder in ("work", "home", "tmp"):
        (tmp_path / folder).mkdir()
    before = {path: path.read_bytes() for path in (tmp_path / "set").rglob("*") if path.is_file()}
    command = [sys.executable, str(ROOT / "main.py"), "--train-detector", str(data), "--epochs", "1"]
    command += ["--name", "faces", "--weights", "face.pt", "--device", "cpu"]
    run = subprocess.run(
        command,
        cwd=tmp_path / "work",
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path / "home"), "TMPDIR": str(tmp_path / "tmp")},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert (run.returncode, run.stderr) == (0, "")

    # it says what stemo says, and nothing else
    lines = run.stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["data:", "start:", "epoch", "valid:", "wrote", "use"]
    assert "6 pictures with 6 faces" in lines[0]
    assert lines[1].startswith("start: fresh weights, which need many more epochs: yolov8n.pt was not found. curl ")

    # it writes its run and the weights, and nothing else
    assert {path.name for path in (tmp_path / "work").iterdir()} == {"runs", "face.pt"}
    assert list((tmp_path / "home").iterdir()) == []
    assert not [path for path in (tmp_path / "tmp").iterdir() if "ultralytics" in path.name]
    assert {path: path.read_bytes() for path in (tmp_path / "set").rglob("*") if path.is_file()} == before
    folder = tmp_path / "work" / "runs" / "faces"
    assert (folder / "weights" / "best.pt").read_bytes() == (tmp_path / "work" / "face.pt").read_bytes()

    # the curves are there
    scalars = read_scalars(folder)
    assert {"detector/mAP50", "detector/recall", "train/box_loss", "val/box_loss"} <= set(scalars)
    assert scalars["train/box_loss"] > 0

    # and the weights are a face detector, though one that has learned next to nothing
    assert isinstance(open_detectors("yolo", tmp_path / "work" / "face.pt").far, YoloFaces)
    faces = YoloFaces(tmp_path / "work" / "face.pt", threshold=1e-9).detect(load_photograph())
    assert faces
    assert all(0 <= face.box[0] <= face.box[2] <= 1280 and 0 <= face.box[1] <= face.box[3] <= 720 for face in faces)


def read_scalars(folder: Path) -> dict[str, float]:
    """The last value of every scalar of a run."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder))
    events.Reload()
    return {name: events.Scalars(name)[-1].value for name in events.Tags()["scalars"]}


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where ``yolov8n.pt`` is looked for first, as published on a page that the test makes."""
    monkeypatch.setenv("STEMO_ASSETS", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path / assets.ASSETS[PUBLISHED].filename


def publish(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the file at ``path`` be the published one."""
    asset = replace(assets.ASSETS[PUBLISHED], sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    monkeypatch.setitem(assets.ASSETS, PUBLISHED, asset)


def test_a_detector_starts_from_what_is_given_or_published_or_fresh(
    published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start, words = find_start(None)
    assert start is None
    assert words.startswith("fresh weights, which need many more epochs: yolov8n.pt was not found. curl -L ")
    published.write_bytes(b"weights")
    with pytest.raises(WeightsError, match="is not the published file"):
        find_start(None)
    publish(published, monkeypatch)
    assert find_start(None) == (published, f"{published}, as published")
    (tmp_path / "mine.pt").touch()
    assert find_start(str(tmp_path / "mine.pt")) == (tmp_path / "mine.pt", str(tmp_path / "mine.pt"))


@pytest.mark.slow
def test_training_goes_on_from_published_and_from_given_weights(
    published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    save_fresh(published, 80)
    publish(published, monkeypatch)
    data = make_faces(tmp_path / "set", pictures=4, size=64)
    said: list[str] = []
    settings = Settings(RecognitionSettings(device="cpu"), TrainingSettings(epochs=1))
    assert run_train_detector(data, settings, "first", "first.pt", False, said.append) == 0
    assert said[1] == f"start: {published}, as published"
    further = Settings(RecognitionSettings(device="cpu", face_weights="first.pt"), TrainingSettings(epochs=1))
    assert run_train_detector(data, further, "second", None, False, said.append) == 0
    assert sum(line.startswith("epoch 1") for line in said) == 2
    (tmp_path / "notes.pt").write_text("no weights")
    broken = Settings(RecognitionSettings(device="cpu", face_weights="notes.pt"), TrainingSettings(epochs=1))
    with pytest.raises(WeightsError, match="cannot be loaded"):
        run_train_detector(data, broken, "third", None, False, said.append)
