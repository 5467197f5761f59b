"""Teachers' readings join the votes, once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from stemo.errors import ConfigError, WeightsError
from stemo.network.architectures import build
from stemo.network.checkpoint import WeightFacts, adopt, load_weights, save_weights
from stemo.network.frame_network import FrameNetwork
from stemo.records import EMOTIONS
from stemo.training.datasets import Still
from stemo.training.distillation import soften
from stemo.training.labels import one_hot

CPU = torch.device("cpu")


@pytest.fixture
def teacher(tmp_path: Path) -> Path:
    """A teacher that says Sad of every face, with a probability of e / (e + 6)."""
    network = build("resnet_se")
    assert isinstance(network, FrameNetwork)
    with torch.no_grad():
        network.head.category.weight.zero_()
        network.head.category.bias.copy_(torch.from_numpy(one_hot(5)))
    path = tmp_path / "teacher.safetensors"
    save_weights(path, network, WeightFacts(name="resnet_se", architecture="resnet_se", input_size=48, trained=True))
    return path


def stills() -> list[Still]:
    rng = np.random.default_rng(0)
    made = [rng.integers(0, 255, (48, 48, 3), np.uint8) for _ in range(3)]
    voted = [Still(f"{i}", image, one_hot(i), 0.0, 0.5, i, "", f"{i}") for i, image in enumerate(made)]
    return [*voted[:2], replace(voted[2], distribution=np.zeros(7, np.float32))]


def test_a_share_of_the_votes_is_the_teachers(teacher: Path, tmp_path: Path) -> None:
    soft = soften(stills(), [teacher], 0.25, EMOTIONS, tmp_path / "cache", CPU)
    opinion = np.exp(one_hot(5)) / np.exp(one_hot(5)).sum()
    for index in range(2):
        np.testing.assert_allclose(soft[index].distribution, 0.75 * one_hot(index) + 0.25 * opinion, atol=1e-4)
        assert soft[index].label == index
    assert not soft[2].distribution.any()  # nobody named a category


def test_readings_are_kept_and_used_again(teacher: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    first = soften(stills(), [teacher], 1.0, EMOTIONS, cache, CPU)
    (kept,) = cache.glob("teacher-*.npy")
    np.save(kept, np.roll(np.load(kept), 1, axis=1))
    second = soften(stills(), [teacher, teacher], 1.0, EMOTIONS, cache, CPU)
    np.testing.assert_allclose(second[0].distribution, np.roll(first[0].distribution, 1))


def test_processes_at_the_same_teacher_do_not_meet(teacher: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    soften(stills(), [teacher], 0.5, EMOTIONS, cache, CPU)
    (kept,) = cache.iterdir()
    kept.unlink()
    Path(f"{kept}.part").mkdir()  # another process, half-way
    soften(stills(), [teacher], 0.5, EMOTIONS, cache, CPU)
    assert sorted(path.name for path in cache.iterdir()) == [kept.name, f"{kept.name}.part"]


@pytest.mark.parametrize("share", [-0.1, 1.5])
def test_a_share_out_of_range_is_refused(teacher: Path, tmp_path: Path, share: float) -> None:
    with pytest.raises(ConfigError, match="expected 0 to 1"):
        soften(stills(), [teacher], share, EMOTIONS, tmp_path, CPU)


def test_a_teacher_of_other_categories_is_refused(teacher: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="other categories"):
        soften(stills(), [teacher], 0.5, ("Bored", "Happy"), tmp_path, CPU)


def test_training_goes_on_from_weights_with_a_new_last_layer(teacher: Path) -> None:
    network = build("resnet_se", classes=3)
    adopted = adopt(network, teacher, ("a", "b", "c"))
    fresh = adopted.fresh
    assert sorted(fresh) == ["head.category.bias", "head.category.weight"]
    assert adopted.new == ("a", "b", "c")
    given = load_weights(teacher)[0].state_dict()
    for name, value in network.state_dict().items():
        assert name in fresh or torch.equal(value, given[name])


def test_weights_of_another_architecture_are_refused(teacher: Path) -> None:
    with pytest.raises(WeightsError, match="do not fit the network to train"):
        adopt(build("stemo", "tiny"), teacher, EMOTIONS)
