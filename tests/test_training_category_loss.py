"""Logit adjustment asks more of rare classes, and only in training."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from stemo.training.category_loss import category_error, prior_shift
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


def test_a_network_that_knows_nothing_reads_rare_classes_as_often_as_others() -> None:
    target = torch.tensor([[0.9, 0.1]])
    plain, adjusted = torch.zeros(1, 2, requires_grad=True), torch.zeros(1, 2, requires_grad=True)
    for logits, shift in ((plain, ()), (adjusted, (float(np.log(0.9)), float(np.log(0.1))))):
        for _ in range(2000):
            (gradient,) = torch.autograd.grad(category_error(logits, target, shift), logits)
            logits.data -= gradient
    torch.testing.assert_close(plain.softmax(-1), target, atol=1e-3, rtol=0)
    torch.testing.assert_close(adjusted.softmax(-1), torch.full((1, 2), 0.5), atol=1e-3, rtol=0)
