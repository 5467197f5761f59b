"""A network of five categories of one's own: trained, evaluated and run like the shipped one."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import made_data
import pytest
import torch
from conftest import ROOT
from jsonschema import Draft202012Validator

from stemo.cli import main
from stemo.errors import WeightsError
from stemo.network.checkpoint import load_weights
from stemo.output.data import columns, schema
from stemo.training.state import load_state, save_state

FIVE = ("bored", "confused", "focused", "Happy", "sleepy")


@pytest.mark.slow
def test_five_categories_from_training_to_video(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    data = made_data.image_folder(tmp_path / "five", FIVE, count=8, splits=("train", "val"))
    flags = ["--config", str(ROOT / "configs" / "tiny.yaml"), "--classes", ",".join(FIVE), "--epochs", "1"]
    training = ["--train", *flags, "--data", str(data), "--name", "five"]
    assert main(training) == 0
    weights = tmp_path / "runs/five/stemo_base.safetensors"
    network, facts = load_weights(weights)
    assert facts.labels == FIVE
    assert network.classes == 5
    assert facts.metrics["valid"]["support"] == dict.fromkeys(FIVE, 8)
    assert all(bool(value.isfinite().all()) for value in network.state_dict().values())

    assert main(["--evaluate", str(data), "--split", "val", "--weights", str(weights), "--record", "highres"]) == 0
    assert load_weights(weights)[1].metrics.keys() == {"valid", "settings", "highres"}
    assert main(training) == 0  # its stages are done; what is written anew carries no figures of an evaluation
    assert load_weights(weights)[1].metrics.keys() == {"valid", "settings"}

    assert main(["--evaluate", str(data), "--split", "val", "--weights", str(weights), "--output", "report"]) == 0
    metrics = json.loads((tmp_path / "report" / "metrics.json").read_text())
    assert metrics["rule"] == "ImageFolder, 5 classes: the folder's name is the class"
    assert metrics["support"] == dict.fromkeys(FIVE, 8)

    flags = ["--weights", str(weights), "--output", "out.mp4", "--format", "json,csv,parquet"]
    video = face_video(tmp_path / "in.mp4")
    assert main(["--video", str(video), *flags]) == 0
    found = json.loads((tmp_path / "out_results.json").read_text())
    Draft202012Validator(schema(FIVE)).validate(found)
    assert set(found[0]["probabilities"]) == set(FIVE)
    with (tmp_path / "out_results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == columns(FIVE)
    assert sum(float(rows[0][f"p_{name.lower()}"]) for name in FIVE) == pytest.approx(1, abs=1e-4)


@pytest.mark.slow
def test_the_stages_after_the_first_may_be_left_out_but_their_heads_are_not_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    data = made_data.image_folder(tmp_path / "five", FIVE, count=2, splits=("train", "val"))
    config = tmp_path / "first.yaml"
    config.write_text("training: {name: first, epochs: 1, clip_epochs: 0, joint_epochs: 0}", encoding="utf-8")
    assert main(["--train", "--config", str(config), "--classes", ",".join(FIVE), "--data", str(data)]) == 0
    assert not load_weights(tmp_path / "runs/first/stemo_base.safetensors")[1].trained
    assert "not trained: what reads the categories has had no epoch" in capsys.readouterr().out


def face_video(path: Path) -> Path:
    """Three frames of the demo's photograph."""
    from fractions import Fraction

    from stemo.modes.demo import load_photograph
    from stemo.output.video import VideoWriter

    photograph = load_photograph()
    height, width = photograph.shape[:2]
    with VideoWriter(path, width, height, Fraction(25)) as writer:
        for index in range(3):
            writer.write(photograph, index / 25)
    return path


@pytest.mark.slow
def test_the_class_set_of_weights_decides_what_is_scored(tmp_path: Path, fresh_weights: Path) -> None:
    data = made_data.image_folder(tmp_path / "d", ("happy", "bored"), count=2)
    assert main(["--evaluate", str(data), "--weights", str(fresh_weights), "--output", str(tmp_path / "out")]) == 0
    assert json.loads((tmp_path / "out" / "metrics.json").read_text())["n"] == 2


def test_a_checkpoint_of_other_classes_is_refused(tmp_path: Path) -> None:
    seven, five = torch.nn.Linear(2, 7), torch.nn.Linear(2, 5)
    optimiser = torch.optim.SGD(seven.parameters())
    save_state(tmp_path / "spatial.safetensors", {"network": seven}, optimiser, {"epoch": 3})
    with pytest.raises(WeightsError, match=r"of another network: .* Choose another --name"):
        load_state(tmp_path / "spatial.safetensors", {"network": five}, None)


def test_a_missing_class_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    data = made_data.image_folder(tmp_path / "d", ("bored", "joy"), splits=("train", "val"))
    assert main(["--train", "--data", str(data), "--classes", "bored,happy,tired"]) == 2
    error = capsys.readouterr().err
    assert "class 'tired' has no training face: expected some of every class, got bored 2, Happy 2." in error
    assert "--classes bored,Happy" in error
    assert error.count("\n") == 1
