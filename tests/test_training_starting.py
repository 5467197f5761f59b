"""Weights to go on from: rows of the categories are found by their names, whatever their order."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from stemo.network.architectures import build
from stemo.network.checkpoint import WeightFacts, save_weights
from stemo.records import EMOTIONS
from stemo.training.starting import Start, start

BACKWARDS = EMOTIONS[::-1]
OTHERS = ("bored", "Happy", "calm", "Sad", "tired", "Fear", "proud")
LAYERS = {"stemo": "heads.category.4", "resnet_se": "head.category", "resnet50": "head.category"}
SIZES = {"stemo": "tiny"}


def saved(
    folder: Path, architecture: str, *, trained: bool = True, adjusted: float = 0.0
) -> tuple[Path, dict[str, Tensor]]:
    """Weights of that kind for the seven emotions, and the tensors in them."""
    torch.manual_seed(0)
    network = build(architecture, SIZES.get(architecture, "base"))
    path = folder / "source.safetensors"
    facts = WeightFacts(
        architecture=architecture,
        size=SIZES.get(architecture, "base"),
        trained=trained,
        training_data="one, two",
        metrics={"settings": {"logit_adjustment": adjusted}},
    )
    save_weights(path, network, facts)
    return path, {name: value.half().float() for name, value in network.state_dict().items()}


def started(source: Path, architecture: str, labels: tuple[str, ...]) -> tuple[dict[str, Tensor], Start, list[str]]:
    """The tensors of a network of ``labels`` after its start, what that was, and what has been said."""
    torch.manual_seed(1)
    network = build(architecture, SIZES.get(architecture, "base"), len(labels))
    said: list[str] = []
    begun = start(network, str(source), labels, [], 0, said.append)
    return network.state_dict(), begun, said


@pytest.mark.slow
@pytest.mark.parametrize("architecture", LAYERS)
def test_rows_follow_the_names_of_the_categories(tmp_path: Path, architecture: str) -> None:
    source, given = saved(tmp_path, architecture)
    got, begun, said = started(source, architecture, BACKWARDS)
    for name, value in given.items():
        wanted = value.flip(0) if name.startswith(LAYERS[architecture]) else value
        torch.testing.assert_close(got[name], wanted.to(got[name].dtype), rtol=0, atol=0, msg=name)
    assert begun == Start(("one", "two"), whole=True)
    assert said == [f"goes on from {source}"]


@pytest.mark.parametrize("architecture", ["stemo", "resnet_se"])
def test_rows_of_new_categories_stay_fresh_and_are_named(tmp_path: Path, architecture: str) -> None:
    source, given = saved(tmp_path, architecture)
    torch.manual_seed(1)
    own = build(architecture, SIZES.get(architecture, "base"), 7).state_dict()
    got, begun, said = started(source, architecture, OTHERS)
    for ending in ("weight", "bias"):
        name = f"{LAYERS[architecture]}.{ending}"
        for row, label in enumerate(OTHERS):
            wanted = given[name][EMOTIONS.index(label)] if label in EMOTIONS else own[name][row]
            assert torch.equal(got[name][row], wanted), label
    assert not begun.whole
    assert said == [f"goes on from {source}, with fresh rows for bored, calm, tired, proud"]


def test_fewer_categories_keep_their_rows(tmp_path: Path) -> None:
    source, given = saved(tmp_path, "resnet_se")
    got, begun, _ = started(source, "resnet_se", ("Sad", "Happy"))
    rows = [EMOTIONS.index("Sad"), EMOTIONS.index("Happy")]
    assert torch.equal(got["head.category.weight"], given["head.category.weight"][rows])
    assert begun.whole


def test_none_in_common_leaves_the_last_layer_fresh(tmp_path: Path) -> None:
    source, _ = saved(tmp_path, "resnet_se")
    _, begun, said = started(source, "resnet_se", ("bored", "calm"))
    assert said == [f"goes on from {source}, with fresh rows for bored, calm, without 2 tensors"]
    assert not begun.whole


def test_an_adjustment_that_the_weights_bring_along_is_said(tmp_path: Path) -> None:
    source, _ = saved(tmp_path, "resnet_se", adjusted=0.07)
    _, _, said = started(source, "resnet_se", EMOTIONS)
    assert said == [f"goes on from {source}, whose logits are adjusted for rare classes already, by 0.07"]


def test_weights_that_are_not_trained_make_no_trained_start(tmp_path: Path) -> None:
    source, _ = saved(tmp_path, "resnet_se", trained=False)
    assert not started(source, "resnet_se", EMOTIONS)[1].whole
