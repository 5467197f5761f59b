"""``--train``: what it would write is looked at before it trains, and nothing that lies there is lost."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from stemo.cli import main
from stemo.errors import OutputError
from stemo.modes.train import run_train
from stemo.network.checkpoint import load_weights
from stemo.training.landmark_cache import landmark_cache, save_array
from stemo.training.made import draw
from stemo.training.state import save_state

SETTINGS: dict[str, Any] = {
    **{"data": ["made"], "name": "r", "size": "tiny", "epochs": 1, "clip_epochs": 0, "joint_epochs": 0},
    **{"batch": 28, "small_size": 32, "full_size": 32, "views": 1, "landmarks": False},
}
RESULT = Path("runs/r/stemo_tiny.safetensors")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, which is the current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def train(*flags: str, **changes: Any) -> int:
    Path("c.yaml").write_text(yaml.safe_dump({"training": SETTINGS | changes}), encoding="utf-8")
    return main(["--train", "--config", "c.yaml", *flags])


def refused(capsys: pytest.CaptureFixture[str], *flags: str, **changes: Any) -> str:
    """The one line in which a training is refused before it begins."""
    capsys.readouterr()
    assert train(*flags, **changes) == 2
    said = capsys.readouterr()
    assert said.err.count("\n") == 1
    assert "epoch" not in said.out
    assert "--output" not in said.err
    return said.err


@pytest.mark.parametrize("taken", ["mine.safetensors", "mine.json"])
def test_weights_that_exist_are_not_replaced(capsys: pytest.CaptureFixture[str], taken: str) -> None:
    Path(taken).write_bytes(b"years of work")
    error = refused(capsys, "--weights", "mine.safetensors")
    assert f"output '{taken}' exists: expected a new name, got an existing file." in error
    assert "Choose another --weights or add --overwrite." in error
    assert Path(taken).read_bytes() == b"years of work"
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ("out/mine.safetensors", "output folder 'out' is missing: expected an existing folder."),
        ("mine.pt", "weights 'mine.pt' cannot be written: expected a name ending in .safetensors, got '.pt'."),
        ("mine", "weights 'mine' cannot be written: expected a name ending in .safetensors, got no ending."),
        ("c.yaml/mine.safetensors", "output folder 'c.yaml' is missing"),
        ("folder.safetensors", "output 'folder.safetensors' is a folder"),
    ],
)
def test_weights_that_cannot_be_written_are_said_before_the_training(
    capsys: pytest.CaptureFixture[str], weights: str, message: str
) -> None:
    Path("folder.safetensors").mkdir()
    assert message in refused(capsys, "--weights", weights)
    assert not Path("runs").exists()


@pytest.mark.parametrize(("blocked", "changes"), [("runs", {}), ("runs/r", {}), ("runs/cache", {"landmarks": True})])
def test_a_place_that_nothing_can_be_kept_in_is_one_line(
    capsys: pytest.CaptureFixture[str], blocked: str, changes: dict[str, Any]
) -> None:
    Path(blocked).parent.mkdir(exist_ok=True)
    Path(blocked).write_text("no folder")
    error = refused(capsys, **changes)
    assert "cannot be written: expected a place to write to, got " in error
    assert f"'{blocked}" in error


def test_numbers_out_of_range_are_said_before_data_are_read(capsys: pytest.CaptureFixture[str]) -> None:
    error = refused(capsys, "--batch", "0", "--epochs", "-1", data=["nowhere"], views=0, mixup=-0.1)
    assert "batch 0 is out of range: expected 1 or more, got 0" in error
    assert "epochs -1 is out of range: expected 0 or more, got -1" in error
    assert "views 0" in error
    assert "mixup -0.1" in error
    assert not Path("runs").exists()


@pytest.mark.slow
def test_the_result_is_copied_and_its_own_place_is_no_conflict(capsys: pytest.CaptureFixture[str]) -> None:
    assert train("--weights", "mine.safetensors") == 0
    copied = Path("mine.safetensors").read_bytes()
    assert copied == RESULT.read_bytes()
    assert load_weights(Path("mine.safetensors"))[1].training_data == "made"
    assert "exists" in refused(capsys, "--weights", "mine.safetensors")
    Path("mine.safetensors").write_bytes(b"another")
    assert train("--weights", "mine.safetensors", "--overwrite") == 0
    assert Path("mine.safetensors").read_bytes() == copied
    capsys.readouterr()
    assert train("--weights", str(RESULT)) == 0  # its own result
    assert f"wrote {RESULT} and stemo_tiny.json" in capsys.readouterr().out
    assert RESULT.read_bytes() == copied
    assert sorted(path.name for path in Path().iterdir()) == ["c.yaml", "mine.json", "mine.safetensors", "runs"]
    for path in (RESULT, RESULT.with_suffix(".json")):  # the disk refuses the end of a run
        path.unlink()
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir()
        assert train() == 2
        error = capsys.readouterr().err
        assert f"file '{RESULT}' cannot be written: expected a place to write to, got " in error
        assert error.count("\n") == 1
        path.rmdir()
        train()


def test_without_data_nothing_is_looked_at(capsys: pytest.CaptureFixture[str]) -> None:
    assert "data set is not given" in refused(capsys, "--weights", "mine.pt", data=[])


@pytest.mark.slow
def test_state_and_arrays_that_cannot_be_written_are_one_line(here: Path) -> None:
    layer = torch.nn.Linear(1, 1)
    optimiser = torch.optim.SGD(layer.parameters())
    for name in ("state", "state.part", "array.npy.part"):
        (here / name).mkdir()
    with pytest.raises(
        OutputError, match=r"^file '.*state' cannot be written: expected a place to write to, got .*\.$"
    ):
        save_state(here / "state", {"network": layer}, optimiser, {"epoch": 1})
    with pytest.raises(OutputError, match=r"array\.npy' cannot be written: .* got Is a directory\."):
        save_array(here / "array.npy", torch.zeros(2, 3).numpy())


def test_a_cache_that_cannot_be_made_is_one_line(here: Path) -> None:
    import numpy as np

    (here / "cache").write_text("no folder")
    with pytest.raises(OutputError, match=r"cache' cannot be written: expected a place to write to, got File exists\."):
        landmark_cache([draw("Happy", np.random.default_rng(0))], here / "cache", "train")


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{"epochs": 1, "clip_epochs": 1}, {"architecture": "resnet_se"}])
def test_a_training_that_diverges_is_one_line_and_leaves_no_weights(
    capsys: pytest.CaptureFixture[str], changes: dict[str, Any]
) -> None:
    assert train(lr=1e30, **{"size": "base" if "architecture" in changes else "tiny"}, **changes) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: training diverged at epoch 1 of stage spatial: expected finite loss, ")
    assert error.count("\n") == 1
    assert not list(Path("runs").rglob("*.safetensors"))


def test_the_default_replaces_nothing() -> None:
    from stemo.config import TrainingSettings

    Path("mine.safetensors").write_bytes(b"years of work")
    settings = TrainingSettings(data=("made",), size="tiny")
    with pytest.raises(OutputError, match="exists"):
        run_train(settings, "cpu", "mine.safetensors", print)
