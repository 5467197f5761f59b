"""The loss of the categories: cross-entropy with the votes, which may ask more of rare classes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from stemo.training.datasets import Still

LEAST = 1e-4  # the share of a class that nobody voted for


def prior_shift(stills: Sequence[Still], strength: float) -> tuple[float, ...]:
    """What logit adjustment (Menon et al., ICLR 2021) adds to each logit in training: ``strength`` times log prior.

    The network then has to raise the logits of rare classes to overcome it, and reads without it. 0 is plain
    cross-entropy, 1 aims at the mean recall of the classes.
    """
    votes = np.mean([still.distribution for still in stills if still.distribution.any()], axis=0)
    return tuple((strength * np.log(np.maximum(votes, LEAST))).tolist())


def category_error(logits: Tensor, target: Tensor, shift: Sequence[float] = ()) -> Tensor:
    """Cross-entropy of logits (n k), moved by ``shift`` (k,) where given, with distributions (n k)."""
    moved = logits + torch.tensor(shift, device=logits.device) if shift else logits
    return F.cross_entropy(moved, target)
