"""The loss of all three stages: how far readings are from votes, valence and arousal."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from stemo.training.affect_loss import affect_error
from stemo.training.category_loss import category_error

Weights = tuple[float, float, float]


def reading_loss(
    predicted: Sequence[Tensor], targets: Sequence[Tensor], weights: Weights, shift: Sequence[float] = ()
) -> Tensor:
    """Weighted cross-entropy with the vote distribution and squared errors of the known valence and arousal.

    ``predicted`` and ``targets`` begin with category (n k), valence (n) and arousal (n); ``weights`` are theirs, in
    this order, and ``shift`` is that of :func:`stemo.training.category_loss.prior_shift`.
    """
    logits, valence, arousal = predicted[:3]
    category, true_valence, true_arousal = targets
    return (
        weights[0] * category_error(logits, category, shift)
        + weights[1] * affect_error(valence, true_valence)
        + weights[2] * affect_error(arousal, true_arousal)
    )
