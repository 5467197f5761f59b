"""The error of valence and arousal over the faces that have a target."""

from __future__ import annotations

from torch import Tensor


def affect_error(predicted: Tensor, target: Tensor) -> Tensor:
    """Mean squared error of (n,) over the finite targets; 0, with a gradient of 0, where there is none.

    A face of a category without a place on the circumplex that nobody rated has nan here.
    """
    known = target.isfinite()
    squares = (predicted - target.nan_to_num()).square() * known
    return squares.sum() / known.sum().clamp(min=1)
