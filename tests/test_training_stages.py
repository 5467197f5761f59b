"""The stages learn, resume bit for bit, and see the same pictures as a run does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from stemo.network.frame_network import FrameNetwork, ResNetSE
from stemo.network.model import Network
from stemo.records import EMOTIONS
from stemo.training.augment import Strength, warp_still
from stemo.training.clips import plan_sequences, retime
from stemo.training.datasets import LabelledSequence, Still
from stemo.training.evaluation import calibration_error
from stemo.training.labels import one_hot, weak_affect
from stemo.training.metrics import CategoryReadings, score
from stemo.training.optim import WeightAverage
from stemo.training.pictures import fit
from stemo.training.spatial_stage import SpatialSettings, read_stills, train_spatial

CPU = torch.device("cpu")
STILL = Strength(0, 0, 0, 0, 0, 0, 0, 0)


def made_stills(count: int, seed: int = 0) -> list[Still]:
    """Bright discs whose height tells the class."""
    rng = np.random.default_rng(seed)
    stills = []
    for index in range(count):
        label = index % 7
        image = rng.integers(0, 50, (48, 48, 3), np.uint8)
        image[6 * label + 1 : 6 * label + 6, 10:38] = 220
        valence, arousal = weak_affect(one_hot(label))
        stills.append(Still(f"{index}", image, one_hot(label), valence, arousal, label, "", f"p{index}"))
    return stills


def settings(epochs: int, **changes: Any) -> SpatialSettings:
    return SpatialSettings(
        epochs=epochs, batch=14, sizes=((1.0, 48),), mixup=0.0, average=0.5, strength=STILL, **changes
    )


def fresh() -> FrameNetwork:
    torch.manual_seed(0)
    return FrameNetwork(ResNetSE((16, 16, 32, 32)), 32, len(EMOTIONS))


class ListBoard:
    """A :class:`stemo.training.boards.Board` that keeps what it is shown; raises ``error`` at a loss of that step."""

    def __init__(self, *, error: tuple[int, Exception] | None = None) -> None:
        self.scalars: dict[tuple[str, int], float] = {}
        self.histograms: dict[tuple[str, int], torch.Tensor] = {}
        self.read: dict[tuple[str, int], CategoryReadings] = {}
        self._error = error

    def scalar(self, name: str, value: float, step: int) -> None:
        if self._error is not None and name.endswith("loss") and step == self._error[0]:
            raise self._error[1]
        self.scalars[name, step] = value

    def histogram(self, name: str, values: torch.Tensor, step: int) -> None:
        self.histograms[name, step] = values

    def readings(self, stage: str, readings: CategoryReadings, step: int) -> None:
        self.read[stage, step] = readings


@pytest.mark.slow
def test_the_spatial_stage_learns(tmp_path: Path) -> None:
    network, stills = fresh(), made_stills(70)
    before = read_stills(network, stills, 48, CPU).score.accuracy
    board = ListBoard()
    top = train_spatial(network, stills, made_stills(35, 9), settings(12), tmp_path / "c", board, CPU)
    assert before < 0.4
    assert top > 0.9
    assert max(readings.score.accuracy for readings in board.read.values()) == top
    assert [step for stage, step in board.read if stage == "spatial"] == list(range(1, 13))
    assert all(len(values) == 5 for (name, _), values in board.histograms.items() if name.endswith("norms"))
    assert all(np.isfinite(value) for value in board.scalars.values())


@pytest.mark.slow
@pytest.mark.parametrize("schedule", ["cosine", "plateau"])
def test_resume_continues_bit_for_bit(tmp_path: Path, schedule: str) -> None:
    stills, valid = made_stills(28), made_stills(14, 5)
    chosen = settings(3, schedule=schedule)
    whole = fresh()
    train_spatial(whole, stills, valid, chosen, tmp_path / "whole", ListBoard(), CPU)

    class Stop(Exception):
        pass

    interrupted = fresh()
    with pytest.raises(Stop):
        train_spatial(interrupted, stills, valid, chosen, tmp_path / "part", ListBoard(error=(2, Stop())), CPU)
    resumed = fresh()
    train_spatial(resumed, stills, valid, chosen, tmp_path / "part", ListBoard(), CPU)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_warp_without_strength_is_the_run_time_resize() -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (48, 48, 3), np.uint8)
    warped = warp_still(image, 112, STILL, rng)
    difference = np.abs(warped.astype(int) - fit(image, 112).astype(int))
    assert difference.mean() < 1.0


def test_retimed_sequences_rise_and_fall_within_bounds() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        course = retime(4, 16, rng)
        assert course.shape == (16,)
        assert course.min() >= 0
        assert course.max() <= 3
        assert np.abs(np.diff(course)).max() <= 3


def test_sequence_targets_follow_the_newest_frame() -> None:
    images = tuple(np.zeros((8, 8, 3), np.uint8) for _ in range(4))
    happy = LabelledSequence("s", images, EMOTIONS.index("Happy"), "p")
    plan = plan_sequences([happy], 100, 16, 300, np.random.default_rng(1))
    newest = plan.pictures[:, -1] - 100
    for place, category, valence in zip(newest, plan.category, plan.valence, strict=True):
        expected = "Neutral" if place == 0 else "Happy"
        assert EMOTIONS[int(category.argmax())] == expected
        assert valence.item() == pytest.approx({0: 0.0, 1: 0.648, 2: 0.729, 3: 0.81}[int(place)], abs=1e-3)
    assert set(newest.tolist()) == {0, 1, 2, 3}


def test_weight_average_lags_behind() -> None:
    layer = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.zeros_(layer.weight)
    average = WeightAverage(layer, 0.9)
    torch.nn.init.ones_(layer.weight)
    seen = []
    for _ in range(50):
        average.update(layer)
        seen.append(average.module.weight.item())
    assert seen == sorted(seen)
    assert seen[0] < 1
    assert seen[-1] > 0.95


def test_scores() -> None:
    result = score([0, 0, 1, 3], [0, 1, 1, 3])
    assert (result.n, result.accuracy) == (4, 0.75)
    assert result.macro_recall == pytest.approx((0.5 + 1 + 1) / 3)
    assert np.isnan(result.per_class_recall["Fear"])


def test_calibration_error_of_known_cases() -> None:
    sure = torch.tensor([[1.0, 0.0]] * 10)
    assert calibration_error(sure, torch.zeros(10, dtype=torch.long)) == pytest.approx(0.0)
    assert calibration_error(sure, torch.tensor([0] * 5 + [1] * 5)) == pytest.approx(0.5)


def test_network_of_another_class_count() -> None:
    network = Network(classes=5).eval()
    with torch.inference_mode():
        assert network(torch.zeros(1, 2, 3, 64, 64), torch.zeros(1, 2, 205)).logits.shape == (1, 5)
