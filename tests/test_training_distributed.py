"""Two processes over gloo train the same network as one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import ROOT

from stemo.training.distributed import World

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
encoder = torch.nn.Sequential(torch.nn.Conv2d(1, 8, 5, 4), torch.nn.ReLU())
network = FrameNetwork(encoder, 8)
network.head.drop.p = 0.0  # the only chance that processes do not share
with joined(torch.device("cpu")) as world:
    train_spatial(network, made_stills(70), made_stills(21, 9), settings(2), Path({out!r}) / "state",
                  ListBoard(), torch.device("cpu"), world)
    torch.save({{k: v for k, v in network.state_dict().items()}}, Path({out!r}) / f"{{world.rank}}.pt")
"""


def train(folder: Path, processes: int) -> list[dict[str, torch.Tensor]]:
    folder.mkdir()
    script = folder / "train.py"
    script.write_text(TRAIN.format(root=str(ROOT), tests=str(ROOT / "tests"), out=str(folder)))
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


def test_shares_are_equal_and_whole() -> None:
    shares = [World(rank, 3).mine(np.arange(11)) for rank in range(3)]
    assert [len(share) for share in shares] == [3, 3, 3]
    assert sorted(np.concatenate(shares)) == list(range(9))
    assert list(World().mine(np.arange(5))) == list(range(5))
