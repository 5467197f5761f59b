"""When a stage stops, what it keeps, and what it goes on from."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from test_training_run import banked, unknown
from test_training_stages import CPU, STILL, ListBoard, made_stills, settings
from torch import nn

from stemo.errors import ConfigError
from stemo.network.frame_network import FrameNetwork
from stemo.network.model import Network
from stemo.records import EMOTIONS
from stemo.training.clip_stage import ClipSettings, train_clips
from stemo.training.clips import plan_stills
from stemo.training.divergence import check_epoch, check_result
from stemo.training.joint_stage import JointSettings, train_joint
from stemo.training.metrics import CategoryReadings
from stemo.training.progress import UNJUDGED, Progress
from stemo.training.spatial_stage import train_spatial
from stemo.training.state import epochs_done, read_facts

Stage = Callable[..., ListBoard]
RIGHT = CategoryReadings(np.arange(7), np.eye(7, dtype=np.float32), EMOTIONS)


def spatial(checkpoint: Path, epochs: int, **changes: Any) -> ListBoard:
    """Train an encoder without norms, so that a learning rate of 0 changes nothing."""
    board, encoder = ListBoard(), nn.Sequential(nn.Conv2d(1, 8, 5, 4), nn.ReLU())
    chosen = settings(epochs, **changes)
    train_spatial(FrameNetwork(encoder, 8), made_stills(14), made_stills(7, 1), chosen, checkpoint, board, CPU)
    return board


def clip(checkpoint: Path, epochs: int, **changes: Any) -> ListBoard:
    board, network, stills = ListBoard(), Network(size="tiny"), made_stills(7)
    bank, plan = banked(network, stills), plan_stills(stills, network.length)
    labels = [still.label for still in stills if still.label is not None]
    train_clips(network, bank, plan, bank, labels, ClipSettings(epochs=epochs, **changes), checkpoint, board, CPU)
    return board


def joint(checkpoint: Path, epochs: int, **changes: Any) -> ListBoard:
    board, stills = ListBoard(), made_stills(7)
    chosen = JointSettings(epochs, **{"batch": 7, **changes}, size=32, strength=STILL)
    train_joint(Network(size="tiny"), stills, unknown(stills), lambda _: RIGHT, chosen, checkpoint, board, CPU)
    return board


STAGES = pytest.mark.parametrize("stage", [spatial, clip, joint])


@pytest.mark.slow
@STAGES
def test_early_stopping_after_as_many_epochs_without_gain_and_for_good(tmp_path: Path, stage: Stage) -> None:
    # nothing is learnt: the first epoch gains on nothing at all, and the joint stage came with its accuracy
    done = 2 if stage is joint else 3
    state = tmp_path / "state"
    stage(state, 9, patience=2, lr=0.0)
    assert epochs_done(state) == done
    before = state.read_bytes()
    stage(state, 9, patience=2, lr=0.0)
    assert state.read_bytes() == before
    stage(state, 9, patience=3, lr=0.0)
    assert epochs_done(state) == done + 1


@pytest.mark.slow
@STAGES
def test_a_learning_rate_far_too_large_is_one_line_and_leaves_no_checkpoint(tmp_path: Path, stage: Stage) -> None:
    with pytest.raises(ConfigError, match=rf"^training diverged at epoch 1 of stage {stage.__name__}: [^\n]*lower lr"):
        # one step shows only in what is read after it, which is made up here for the joint stage
        stage(tmp_path / "state", 2, lr=1e30, **({"batch": 3} if stage is joint else {}))
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@STAGES
def test_every_stage_follows_schedule_and_optimiser(tmp_path: Path, stage: Stage) -> None:
    board = stage(tmp_path / "state", 4, lr=1e-4, schedule="step", optimiser="sgd", warmup=0.0)
    rates = [value for (name, _), value in board.scalars.items() if name.endswith("/lr")]
    assert len(rates) == 4
    assert rates[:2] == [1e-4, 1e-4]
    assert rates[3] == pytest.approx(1e-5)
    assert any("momentum_buffer" in name for name in load_file(tmp_path / "state"))
    with pytest.raises(ConfigError, match="optimiser"):
        stage(tmp_path / "other", 1, optimiser="adam")


@pytest.mark.slow
@STAGES
def test_a_plateau_is_gone_on_with_and_a_state_of_before_has_none(tmp_path: Path, stage: Stage) -> None:
    state = tmp_path / "state"
    stage(state, 1, schedule="plateau", lr=0.0)
    assert read_facts(state)["schedule"]["best"] > 0
    facts = read_facts(state)
    del facts["schedule"]
    save_file(load_file(state), state, {"facts": json.dumps(facts)})
    stage(state, 2, schedule="plateau", lr=0.0)
    assert read_facts(state)["schedule"]["waited"] == 0


@pytest.mark.slow
@STAGES
def test_training_and_validation_are_both_shown(tmp_path: Path, stage: Stage) -> None:
    board = stage(tmp_path / "state", 1)
    found = {name.partition("/")[2]: value for (name, _), value in board.scalars.items()}
    assert 0 <= found["train_accuracy"] <= 1
    assert found["loss"] > 0
    assert board.read


def layer(value: float) -> nn.Linear:
    made = nn.Linear(1, 1)
    nn.init.constant_(made.weight, value)
    return made


def progressed(checkpoint: Path, network: nn.Linear) -> Progress[nn.Linear]:
    return Progress(network, torch.optim.SGD(network.parameters()), 0.0, checkpoint)


def test_weights_are_kept_though_they_read_nothing_right(tmp_path: Path) -> None:
    network = layer(1.0)
    progress = progressed(tmp_path / "state", network)
    progress.average.module.load_state_dict(layer(2.0).state_dict())
    progress.judge(0.0)
    assert (progress.top, progress.waited) == (0.0, 0)
    assert progress.finish() == 0.0
    assert network.weight.item() == 2.0


def test_no_epoch_has_no_accuracy(tmp_path: Path) -> None:
    assert progressed(tmp_path / "state", layer(1.0)).finish() == 0.0


@pytest.mark.parametrize(("waited", "top"), [(2, UNJUDGED), (1, 0.0)])
def test_a_state_of_before_that_never_gained_counts_as_unjudged(tmp_path: Path, waited: int, top: float) -> None:
    progress = progressed(tmp_path / "state", layer(1.0))
    progress.epoch, progress.top, progress.waited = 2, 0.0, waited
    progress.save()
    assert progressed(tmp_path / "state", layer(3.0)).top == top


@pytest.mark.parametrize("patience", [0, 1])
def test_the_least_patience_is_an_epoch(tmp_path: Path, patience: int) -> None:
    progress = progressed(tmp_path / "state", layer(1.0))
    seen = []
    for accuracy in (0.1, 0.2, 0.2):
        seen.append(progress.goes_on(9, patience))
        progress.judge(accuracy)
    assert seen == [True, True, True]
    assert not progress.goes_on(9, patience)


@pytest.mark.parametrize(
    ("loss", "weight", "readings", "words"),
    [
        (float("nan"), 1.0, RIGHT, "got a loss of nan"),
        (float("inf"), 1.0, RIGHT, "got a loss of inf"),
        (1.0, float("inf"), RIGHT, "got weights that are not"),
        (1.0, 1.0, replace(RIGHT, probabilities=np.full((7, 7), np.nan)), "got readings that are not"),
    ],
)
def test_what_is_not_finite_is_named(loss: float, weight: float, readings: CategoryReadings, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        check_epoch("clip", 3, loss, layer(weight), readings)


def test_a_finite_epoch_passes() -> None:
    check_epoch("clip", 3, 1.0, layer(1.0), RIGHT)
    check_result(layer(1.0), RIGHT)


def test_what_an_earlier_run_left_is_looked_at_too() -> None:
    with pytest.raises(ConfigError, match=r"^training diverged in an earlier run: [^\n]* got weights that are not\."):
        check_result(layer(float("nan")), RIGHT)
