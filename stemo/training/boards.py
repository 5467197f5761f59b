"""Pictures for TensorBoard: the confusion matrix, a grid of augmented samples and one of clips."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from einops import rearrange
from torch.utils.tensorboard.writer import SummaryWriter

from stemo.records import Image
from stemo.training.augment import Strength, warp_still
from stemo.training.metrics import CategoryScore

GRID = 8  # pictures per side


def log_samples(board: SummaryWriter, images: Sequence[Image]) -> None:
    """A grid of training pictures as the network sees them after warping."""
    rng = np.random.default_rng(0)
    chosen = [images[i % len(images)] for i in range(GRID * GRID)]
    warped = np.stack([warp_still(image, 96, Strength(), rng) for image in chosen])
    grid = rearrange(torch.from_numpy(warped), "(r q) h w c -> c (r h) (q w)", r=GRID)
    board.add_image("samples", grid, 0)


def log_clips(board: SummaryWriter, images: Sequence[Image], plan: np.ndarray, strength: Strength) -> None:
    """A grid of training clips, one per row, oldest frame left: ``plan`` (n t) says which image each frame shows.

    Half of the rows come from the end of the plan, where the sequences are.
    """
    rng = np.random.default_rng(0)
    rows = [*rng.integers(0, len(plan), GRID // 2), *range(max(0, len(plan) - GRID // 2), len(plan))]
    warped = np.stack([warp_still(images[place], 64, strength, rng) for row in rows for place in plan[row]])
    grid = rearrange(torch.from_numpy(warped), "(n t) h w c -> c (n h) (t w)", n=len(rows))
    board.add_image("clips", grid, 0)


def log_confusion(board: SummaryWriter, result: CategoryScore, step: int = 0) -> None:
    """The confusion matrix, rows normalised to recall."""
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
    board.add_figure("confusion", figure, step)
