"""A run keeps every epoch before it shows it, and looks at a few pictures at a time."""

from __future__ import annotations

import shutil
import weakref
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import made_data
import numpy as np
import pytest
import torch
from test_training_stages import CPU, STILL, ListBoard, fresh, made_stills, settings

from stemo.config import TrainingSettings
from stemo.errors import OutputError
from stemo.network.architectures import build
from stemo.network.checkpoint import WeightFacts, load_weights, save_weights
from stemo.network.clip_buffer import turns
from stemo.network.model import LANDMARK_FEATURES, Network
from stemo.records import EMOTIONS, Image
from stemo.training.boards import TensorBoard
from stemo.training.clip_stage import ClipSettings, train_clips
from stemo.training.clips import plan_stills
from stemo.training.collection import Collection
from stemo.training.datasets import Still
from stemo.training.distillation import soften
from stemo.training.distributed import ALONE
from stemo.training.evaluation import Pictures
from stemo.training.feature_bank import FeatureBank, build_bank
from stemo.training.joint_stage import JointSettings, train_joint
from stemo.training.metrics import CategoryReadings
from stemo.training.run import CACHE, _stages, _train
from stemo.training.run_state import Run
from stemo.training.spatial_stage import train_spatial
from stemo.training.state import epochs_done

FULL = OutputError("the disk is full")
THREE = ("Sad", "Happy", "Angry")


def unknown(stills: list[Still]) -> np.ndarray:
    return np.full((len(stills), LANDMARK_FEATURES), np.nan, np.float32)


def banked(network: Network, stills: list[Still]) -> FeatureBank:
    return build_bank(network, Pictures(stills), unknown(stills), views(network), 32, STILL, CPU)


def views(network: Network) -> int:
    """In how many views a face is seen."""
    return int(turns(network.length).max()) + 1


def spatial_epoch(checkpoint: Path, board: ListBoard) -> None:
    train_spatial(fresh(), made_stills(14), made_stills(7, 1), settings(1), checkpoint, board, CPU)


def clip_epoch(checkpoint: Path, board: ListBoard) -> None:
    network, stills = Network(size="tiny"), made_stills(7)
    bank, plan = banked(network, stills), plan_stills(stills, network.length)
    labels = [still.label for still in stills if still.label is not None]
    train_clips(network, bank, plan, bank, labels, ClipSettings(epochs=1), checkpoint, board, CPU)


def joint_epoch(checkpoint: Path, board: ListBoard) -> None:
    stills = made_stills(7)
    read = CategoryReadings(np.arange(7), np.eye(7, dtype=np.float32), EMOTIONS)
    joint = JointSettings(batch=7, size=32, strength=STILL)
    train_joint(Network(size="tiny"), stills, unknown(stills), lambda _: read, joint, checkpoint, board, CPU)


@pytest.mark.slow
@pytest.mark.parametrize("epoch", [spatial_epoch, clip_epoch, joint_epoch])
def test_an_epoch_is_kept_where_its_curves_are_refused(
    tmp_path: Path, epoch: Callable[[Path, ListBoard], None]
) -> None:
    with pytest.raises(OutputError, match="the disk is full"):
        epoch(tmp_path / "state", ListBoard(error=(1, FULL)))
    assert epochs_done(tmp_path / "state") == 1


class Shelf:
    """Pictures that are read anew on every look; ``most`` of them were in memory at once."""

    def __init__(self) -> None:
        self._held = self.most = 0

    def put(self, still: Still) -> Still:
        return replace(still, picture=partial(self._look, still.image))

    def _look(self, image: Image) -> Image:
        found = image.copy()
        weakref.finalize(found, self._drop).atexit = False
        self._held += 1
        self.most = max(self.most, self._held)
        return found

    def _drop(self) -> None:
        self._held -= 1


@pytest.mark.slow
def test_a_run_never_holds_all_its_pictures(tmp_path: Path) -> None:
    shelf = Shelf()
    train, valid = ([shelf.put(still) for still in made_stills(count, count)] for count in (14, 7))
    changes: dict[str, Any] = {"data": ("made",), "name": "r", "size": "tiny", "full_size": 32, "small_size": 32}
    chosen = TrainingSettings(**changes, epochs=0, clip_epochs=1, joint_epochs=0, views=1)
    (tmp_path / CACHE).mkdir()
    with TensorBoard(tmp_path / "r", lambda _: None) as board:
        collection = Collection(train=train, valid=valid, names=["made"], rules=["made"])
        result = _stages(Run(chosen, tmp_path / "r", CPU, ALONE, collection, board, lambda _: None, ["made"], {}))
    assert result is not None
    assert 1 <= shelf.most <= 4  # what loops still know of their last turn


@pytest.mark.slow
@pytest.mark.parametrize("hidden", ["", "Sad"])
def test_classes_that_nothing_is_chosen_by_are_said(tmp_path: Path, hidden: str) -> None:
    data = made_data.image_folder(tmp_path / "faces", THREE, splits=("train", "val"))
    if hidden:
        shutil.rmtree(data / "val" / hidden)
    chosen = TrainingSettings((str(data),), THREE, "r", "resnet_se", epochs=0)
    said: list[str] = []
    assert _train(chosen, tmp_path, CPU, ALONE, said.append) is not None
    lines = [line for line in said if line.startswith("no stills to choose by")]
    assert lines == ([f"no stills to choose by: {hidden}; how well these are read will not be known"] if hidden else [])


@pytest.mark.slow
def test_rarer_classes_gain_more_by_the_adjustment_whatever_their_order(tmp_path: Path) -> None:
    data = made_data.image_folder(tmp_path / "faces", THREE, count=1, splits=("val",))
    for label, count in zip(THREE, (2, 5, 1), strict=True):
        made_data.image_folder(data, (label,), count, splits=("train",))
    chosen = TrainingSettings((str(data),), THREE, "r", "resnet_se", epochs=0)
    bias = []
    for strength in (0.0, 0.5):
        result = _train(replace(chosen, logit_adjustment=strength), tmp_path, CPU, ALONE, lambda _: None)
        assert result is not None
        bias.append(load_weights(result[0])[0].state_dict()["head.category.bias"])
    gained = bias[1] - bias[0]
    assert gained.argsort().tolist() == [THREE.index(label) for label in ("Happy", "Sad", "Angry")]
    shares = (-gained / 0.5).exp()  # of the votes, some of which count for every class
    torch.testing.assert_close(shares, torch.tensor([2, 5, 1]) / 8, atol=0.05, rtol=0)
    assert float(shares.sum()) == pytest.approx(1, abs=0.01)


def test_teachers_never_hold_all_pictures(tmp_path: Path) -> None:
    shelf, stills = Shelf(), made_stills(7)
    teacher = tmp_path / "teacher.safetensors"
    facts = WeightFacts(name="resnet_se", architecture="resnet_se", input_size=48, trained=True)
    save_weights(teacher, build("resnet_se"), facts)
    held = soften(stills, [teacher], 0.5, EMOTIONS, tmp_path / "held", CPU)
    read = soften([shelf.put(still) for still in stills], [teacher], 0.5, EMOTIONS, tmp_path / "read", CPU)
    assert 1 <= shelf.most <= 2
    for one, other in zip(held, read, strict=True):
        np.testing.assert_array_equal(one.distribution, other.distribution)
    (first, second) = (path.name for folder in ("held", "read") for path in (tmp_path / folder).iterdir())
    assert first == second


def test_a_bank_of_pictures_read_one_by_one_is_the_same() -> None:
    network, stills = Network(size="tiny"), made_stills(7)
    whole = build_bank(network, [still.image for still in stills], unknown(stills), views(network), 32, STILL, CPU)
    assert torch.equal(banked(network, stills).average, whole.average)


def test_a_slice_of_pictures_looks_at_none() -> None:
    shelf = Shelf()
    pictures = Pictures([shelf.put(still) for still in made_stills(7)])[2:]
    assert len(pictures) == 5
    assert shelf.most == 0
    assert [picture.shape for picture in pictures] == [(48, 48, 3)] * 5
