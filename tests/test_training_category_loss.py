"""Logit adjustment asks more of rare classes, in training or of the weights made."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from einops import rearrange

from stemo.network.architectures import build, describe
from stemo.network.model import FrameFeatures
from stemo.training.category_loss import adjust, category_error, prior_shift
from stemo.training.datasets import Still
from stemo.training.labels import one_hot


def still(label: int, distribution: np.ndarray | None = None) -> Still:
    votes = one_hot(label) if distribution is None else distribution
    return Still("a", np.zeros((4, 4, 3), np.uint8), votes, 0.0, 0.5, label, "", "a")


def test_the_shift_is_the_log_of_the_shares() -> None:
    stills = [still(3)] * 6 + [still(4)] * 2 + [still(0, np.zeros(7, np.float32))]
    shift = prior_shift(stills, 0.5)
    assert shift[3] == pytest.approx(0.5 * np.log(0.75))
    assert shift[4] == pytest.approx(0.5 * np.log(0.25))
    assert shift[0] == pytest.approx(0.5 * np.log(1e-4))


def test_without_a_shift_it_is_cross_entropy() -> None:
    logits, target = torch.randn(5, 7), torch.softmax(torch.randn(5, 7), -1)
    torch.testing.assert_close(category_error(logits, target), F.cross_entropy(logits, target))


@pytest.mark.slow
def test_a_network_that_knows_nothing_reads_rare_classes_as_often_as_others() -> None:
    target = torch.tensor([[0.9, 0.1]])
    plain, adjusted = torch.zeros(1, 2, requires_grad=True), torch.zeros(1, 2, requires_grad=True)
    for logits, shift in ((plain, ()), (adjusted, (float(np.log(0.9)), float(np.log(0.1))))):
        for _ in range(2000):
            (gradient,) = torch.autograd.grad(category_error(logits, target, shift), logits)
            logits.data -= gradient
    torch.testing.assert_close(plain.softmax(-1), target, atol=1e-3, rtol=0)
    torch.testing.assert_close(adjusted.softmax(-1), torch.full((1, 2), 0.5), atol=1e-3, rtol=0)


@pytest.mark.parametrize(("architecture", "size"), [("stemo", "tiny"), ("resnet_se", "base")])
def test_an_adjusted_network_says_logits_lower_by_the_shift(architecture: str, size: str) -> None:
    network = build(architecture, size, 3).eval()
    pixels = describe(architecture, size).input_size
    frames, landmarks = torch.rand(network.length, 1, pixels, pixels), torch.zeros(network.length, 205)
    with torch.inference_mode():
        features = network.encode_frames(frames, landmarks)
        clip = FrameFeatures(*(rearrange(part, "t c -> 1 t c") for part in features))
        before = network.read_clip(clip)
        adjust(network, (-1.0, 0.0, 2.0))
        after = network.read_clip(clip)
    torch.testing.assert_close(before.logits - after.logits, torch.tensor([[-1.0, 0.0, 2.0]]))
    torch.testing.assert_close((before.valence, before.arousal), (after.valence, after.arousal), rtol=0, atol=0)


def test_without_strength_or_votes_nothing_is_adjusted() -> None:
    network = build("resnet_se", "base", 2)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    assert prior_shift([still(3)], 0.0) == ()
    assert prior_shift([still(0, np.zeros(7, np.float32))], 0.5) == ()
    adjust(network, ())
    torch.testing.assert_close(network.state_dict(), before, rtol=0, atol=0)
