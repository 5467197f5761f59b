"""Weights: they come back as they were, and anything wrong with them is one clear error."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from stemo.errors import WeightsError
from stemo.network.checkpoint import WeightFacts, load_weights, save_weights
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


def test_a_pickle_is_never_opened(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    torch.save(Network().state_dict(), path)
    with pytest.raises(WeightsError, match="pickle"):
        load_weights(path)


@pytest.mark.parametrize(
    ("change", "words"),
    [({"format": 99}, "format 99"), ({"labels": ["A", "B"]}, "do not fit")],
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
