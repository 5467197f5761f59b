"""Two processes over gloo train the same network as one, and both the same."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import ROOT
from torch import distributed

from stemo.config import TrainingSettings
from stemo.errors import ConfigError
from stemo.network.checkpoint import load_weights
from stemo.training.distributed import World
from stemo.training.run import _train

TRAIN = """
import sys, torch
from pathlib import Path
sys.path[:0] = [{root!r}, {tests!r}]
from stemo.network.frame_network import FrameNetwork
from stemo.training.distributed import joined
from stemo.training.spatial_stage import train_spatial
from test_training_stages import ListBoard, made_stills, settings
torch.manual_seed(0)
torch.set_num_threads(1)
norm = torch.nn.BatchNorm2d(8) if {norm} else torch.nn.Identity()
encoder = torch.nn.Sequential(torch.nn.Conv2d(1, 8, 5, 4), norm, torch.nn.ReLU())
network = FrameNetwork(encoder, 8)
network.head.drop.p = 0.0  # the only chance that processes do not share
with joined(torch.device("cpu")) as world:
    valid = made_stills(21 if world.first else 8, 9)  # so that the accuracies differ
    top = train_spatial(network, made_stills(70), valid, settings(2), Path({out!r}) / "state",
                        ListBoard(), torch.device("cpu"), world)
    torch.save({{**network.state_dict(), "top": torch.tensor(top)}}, Path({out!r}) / f"{{world.rank}}.pt")
"""


def train(folder: Path, processes: int, *, norm: bool = False) -> list[dict[str, torch.Tensor]]:
    folder.mkdir()
    script = folder / "train.py"
    script.write_text(TRAIN.format(root=str(ROOT), tests=str(ROOT / "tests"), out=str(folder), norm=norm))
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    command = [*launcher, str(script)] if processes > 1 else [sys.executable, str(script)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(processes)]


@pytest.mark.slow
def test_two_processes_train_like_one(tmp_path: Path) -> None:
    [alone] = train(tmp_path / "one", 1)
    first, second = train(tmp_path / "two", 2)
    for name, value in alone.items():
        torch.testing.assert_close(first[name], value, atol=2e-3, rtol=2e-2)
        assert torch.equal(first[name], second[name]), name


@pytest.mark.slow
def test_processes_agree_on_the_statistics_of_norms_and_on_the_accuracy(tmp_path: Path) -> None:
    first, second = train(tmp_path / "two", 2, norm=True)
    assert 0 < first["top"] < 1
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


@pytest.mark.slow
def test_the_program_trains_on_two_processes_and_writes_once(tmp_path: Path) -> None:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    config = ["--config", str(ROOT / "configs" / "tiny.yaml"), "--size", "tiny", "--device", "cpu"]
    done = subprocess.run(
        [*launcher, str(ROOT / "main.py"), "--train", *config],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("data: made") == 1
    assert done.stdout.count("wrote runs/tiny/stemo_tiny.safetensors and stemo_tiny.json") == 1
    assert sorted(path.name for path in tmp_path.rglob("stemo_*")) == ["stemo_tiny.json", "stemo_tiny.safetensors"]
    assert load_weights(tmp_path / "runs" / "tiny" / "stemo_tiny.safetensors")[1].trained


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_processes_part_after_the_spatial_stage(tmp_path: Path, rank: int) -> None:
    """The first one's norms would wait for the others, which are gone."""
    distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/meeting", rank=0, world_size=1)
    try:
        settings = TrainingSettings(
            **{"data": ("made",), "name": "r", "size": "tiny", "epochs": 0, "clip_epochs": 0, "joint_epochs": 0},
            landmarks=False,
        )
        result = _train(settings, tmp_path, torch.device("cpu"), World(rank, 2), lambda _: None)
        assert (result is None) == (rank == 1)
        assert not distributed.is_initialized()
        World(rank, 2).leave()  # once is enough
    finally:
        if distributed.is_initialized():
            distributed.destroy_process_group()


def test_one_process_agrees_with_itself() -> None:
    norm = torch.nn.BatchNorm2d(2)
    World().agree_on_buffers(norm)
    assert World().agreed(0.3, torch.device("cpu")) == 0.3
    assert [World().any(value, torch.device("cpu")) for value in (True, False)] == [True, False]
    assert norm.running_var is not None
    assert norm.running_var.tolist() == [1.0, 1.0]


@pytest.mark.parametrize("batch", [99, 128])
def test_a_batch_too_small_for_the_processes_is_one_line(tmp_path: Path, batch: int) -> None:
    settings = TrainingSettings(data=("made",), name="r", size="tiny", landmarks=False, batch=batch)
    with pytest.raises(ConfigError, match=r"^batch \d+ is too small for 100 processes: expected [^\n]*nproc-per-node"):
        _train(settings, tmp_path, torch.device("cpu"), World(0, 100), lambda _: None)


def test_shares_are_equal_and_whole() -> None:
    shares = [World(rank, 3).mine(np.arange(11)) for rank in range(3)]
    assert [len(share) for share in shares] == [3, 3, 3]
    assert sorted(np.concatenate(shares)) == list(range(9))
    assert list(World().mine(np.arange(5))) == list(range(5))
