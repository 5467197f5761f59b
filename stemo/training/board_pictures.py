"""The pictures that a training shows: the confusion matrix, a grid of augmented samples and one of clips."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from einops import rearrange
from torch import Tensor

from stemo.records import Image
from stemo.training.augment import Strength, warp_still
from stemo.training.metrics import CategoryScore

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GRID = 8  # pictures per side


def sample_grid(images: Sequence[Image]) -> Tensor:
    """Training pictures as the network sees them after warping, (3 768 768) uint8."""
    rng = np.random.default_rng(0)
    warped = np.stack([warp_still(images[i % len(images)], 96, Strength(), rng) for i in range(GRID * GRID)])
    return rearrange(torch.from_numpy(warped), "(r q) h w c -> c (r h) (q w)", r=GRID)


def clip_grid(images: Sequence[Image], plan: np.ndarray, strength: Strength) -> Tensor:
    """Training clips, one per row, oldest frame left: ``plan`` (n t) says which image each frame shows.

    Half of the rows come from the end of the plan, where the sequences are. Returns (3 h w) uint8.
    """
    rng = np.random.default_rng(0)
    rows = [*rng.integers(0, len(plan), GRID // 2), *range(max(0, len(plan) - GRID // 2), len(plan))]
    warped = np.stack([warp_still(images[place], 64, strength, rng) for row in rows for place in plan[row]])
    return rearrange(torch.from_numpy(warped), "(n t) h w c -> c (n h) (t w)", n=len(rows))


def confusion_figure(result: CategoryScore) -> Figure:
    """The confusion matrix: counts, on a colour that is the share of the true class."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 5), layout="constrained")
    axes = figure.subplots()
    share = result.confusion / np.maximum(result.confusion.sum(1, keepdims=True), 1)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    places = range(len(result.labels))
    axes.set_xticks(places, result.labels, rotation=45, ha="right")
    axes.set_yticks(places, result.labels)
    axes.set(xlabel="predicted", ylabel="true", title=f"accuracy {result.accuracy:.1%}, n {result.n}")
    for row in places:
        for column in places:
            colour = "white" if share[row, column] > 0.5 else "black"
            axes.text(column, row, str(result.confusion[row, column]), ha="center", va="center", color=colour)
    return figure
