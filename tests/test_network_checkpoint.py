"""Weights: they come back as they were, and anything wrong with them is one clear error."""

from __future__ import annotations

import json
import math
import pickle
from pathlib import Path

import pytest
import torch

from stemo.errors import WeightsError
from stemo.network.checkpoint import WeightFacts, load_weights, read_weights, save_weights
from stemo.network.model import Network


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    path = tmp_path / "w.safetensors"
    save_weights(path, Network(), WeightFacts(training_data="nothing"))
    return path


def test_weights_and_facts_come_back(saved: Path) -> None:
    network, facts = load_weights(saved)
    torch.manual_seed(0)
    original = Network().state_dict()
    assert facts.training_data == "nothing"
    assert saved.stat().st_size < 17e6
    for name, value in original.items():
        torch.testing.assert_close(network.state_dict()[name], value.half().to(value.dtype), msg=name)


def test_tampered_weights_are_refused(saved: Path) -> None:
    data = bytearray(saved.read_bytes())
    data[-100] ^= 1
    saved.write_bytes(data)
    with pytest.raises(WeightsError, match="were changed: expected sha256"):
        load_weights(saved)


@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    [
        {"labels": ["Disgust", "Angry", "Fear", "Happy", "Neutral", "Sad", "Surprise"]},
        {"gray": False},
        {"mean": [0.4, 0.5, 0.5]},
        {"fps": 30.0},
    ],
)
def test_weights_described_otherwise_are_refused(saved: Path, change: dict[str, object]) -> None:
    beside = saved.with_suffix(".json")
    beside.write_text(json.dumps(json.loads(beside.read_text()) | change))
    with pytest.raises(
        WeightsError, match=r"were described otherwise: expected .*labels.* got others in w\.json\. Res"
    ):
        load_weights(saved)


def test_figures_and_words_in_a_description_may_change(saved: Path) -> None:
    beside = saved.with_suffix(".json")
    change = {"metrics": {"valid": {"n": 3}}, "licence": "none", "training_data": "other"}
    beside.write_text(json.dumps(json.loads(beside.read_text()) | change))
    assert load_weights(saved)[1].metrics == change["metrics"]


def test_descriptions_of_before_say_nothing_of_their_meaning(saved: Path) -> None:
    beside = saved.with_suffix(".json")
    facts = json.loads(beside.read_text())
    del facts["meaning"]
    beside.write_text(json.dumps(facts | {"fps": 30.0}))
    assert load_weights(saved)[1].fps == 30.0


def test_a_pickle_is_never_opened(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    torch.save(Network().state_dict(), path)
    with pytest.raises(WeightsError, match="pickle"):
        load_weights(path)


@pytest.mark.parametrize("length", [0x0280, 0x0580, 0x4B50])
def test_weights_whose_length_looks_like_a_pickles_beginning_are_none(tmp_path: Path, length: int) -> None:
    header = b"{}".ljust(length)
    path = tmp_path / "w.safetensors"
    path.write_bytes(length.to_bytes(8, "little") + header)
    assert read_weights(path).startswith((b"\x80", b"PK"))


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_plain_pickle_is_refused(tmp_path: Path, protocol: int) -> None:
    path = tmp_path / "w.safetensors"
    path.write_bytes(pickle.dumps({"weights": [1.0] * 99}, protocol))
    with pytest.raises(WeightsError, match="are a pickle"):
        read_weights(path)


@pytest.mark.parametrize("value", [math.nan, math.inf, 1e6])
def test_weights_that_the_file_cannot_hold_are_not_written(tmp_path: Path, value: float) -> None:
    network = Network(size="tiny")
    with torch.no_grad():
        network.get_parameter("heads.category.4.bias")[0] = value
    with pytest.raises(WeightsError, match=r"cannot be kept: expected finite numbers .* got others in heads\.category"):
        save_weights(tmp_path / "w.safetensors", network, WeightFacts(size="tiny"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": 99}, "format 99"),
        ({"labels": ["A", "B"], "meaning": ""}, "do not fit"),
        ({"labels": ["A", ""], "meaning": ""}, "wrong description"),  # a table could not tell it from a missing one
    ],
)
def test_weights_of_another_kind_are_refused(saved: Path, change: dict[str, object], words: str) -> None:
    beside = saved.with_suffix(".json")
    beside.write_text(json.dumps(json.loads(beside.read_text()) | change))
    with pytest.raises(WeightsError, match=words):
        load_weights(saved)


def test_missing_weights_and_missing_description(saved: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="cannot be read"):
        load_weights(tmp_path / "none.safetensors")
    saved.with_suffix(".json").unlink()
    with pytest.raises(WeightsError, match="lack their description"):
        load_weights(saved)
