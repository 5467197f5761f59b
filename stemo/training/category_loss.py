"""The loss of the categories: cross-entropy with the votes. It may ask more of rare classes, and so may its weights."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stemo.network.checkpoint import category_layer
from stemo.network.model import FaceNetwork
from stemo.training.datasets import Still

LEAST = 1e-4  # the share of a class that nobody voted for


def prior_shift(stills: Sequence[Still], strength: float) -> tuple[float, ...]:
    """``strength`` times the log of each class's share of the votes: logit adjustment (Menon et al., ICLR 2021).

    Added to the logits in training, the network has to raise those of rare classes to overcome it, and reads without
    it; :func:`adjust` takes it away from a trained network's logits. 0 is plain cross-entropy, 1 aims at the mean
    recall of the classes. Empty for 0, and where nobody voted.
    """
    votes = [still.distribution for still in stills if still.distribution.any()]
    if not votes or not strength:
        return ()
    return tuple((strength * np.log(np.maximum(np.mean(votes, axis=0), LEAST))).tolist())


@torch.no_grad()
def adjust(network: FaceNetwork, shift: Sequence[float]) -> None:
    """Let ``network`` say logits lower by ``shift`` (k,) from now on; an empty one changes nothing."""
    if not shift:
        return
    layer = network.get_submodule(category_layer(network))
    assert isinstance(layer, nn.Linear)
    layer.bias.sub_(torch.tensor(shift, device=layer.bias.device))


def category_error(logits: Tensor, target: Tensor, shift: Sequence[float] = ()) -> Tensor:
    """Cross-entropy of logits (n k), moved by ``shift`` (k,) where given, with distributions (n k)."""
    moved = logits + torch.tensor(shift, device=logits.device) if shift else logits
    return F.cross_entropy(moved, target)
