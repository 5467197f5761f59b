"""What an epoch comes to."""

from __future__ import annotations

import pytest
import torch

from stemo.training.tally import Tally

CPU = torch.device("cpu")


def test_hits_are_those_on_the_top_class_of_the_target() -> None:
    tally = Tally(CPU)
    logits = torch.tensor([[2.0, 1.0], [0.0, 1.0], [3.0, 0.0]])
    votes = torch.tensor([[0.6, 0.4], [0.9, 0.1], [0.0, 0.0]])  # right, wrong, nobody named a category
    tally.add(torch.tensor(1.0), logits, votes, torch.tensor(4.0))
    tally.add(torch.tensor(2.0), logits[:1], votes[:1], torch.tensor(5.0))
    epoch = tally.epoch(1e-3, 40.0)
    assert (epoch.loss, epoch.rate, epoch.speed) == (1.5, 1e-3, 40.0)
    assert epoch.accuracy == pytest.approx(2 / 3)
    assert epoch.gradients.tolist() == [4.0, 5.0]


def test_without_votes_there_is_no_accuracy() -> None:
    tally = Tally(CPU)
    tally.add(torch.tensor(1.0), torch.ones(2, 3), torch.zeros(2, 3), torch.tensor(0.0))
    assert tally.accuracy is None
