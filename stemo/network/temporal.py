"""Multi-scale temporal attention: how the features move over short, middle and longer spans."""

from __future__ import annotations

import torch
from einops import rearrange, reduce
from torch import Tensor, nn


class MultiScaleTemporalAttention(nn.Module):
    """Parallel temporal convolutions with kernels 1, 3 and 5, weighted by a softmax over the scales.

    The result is added to the input and starts at zero, so an untrained temporal part changes nothing.
    """

    def __init__(self, channels: int, width: int = 240, kernels: tuple[int, ...] = (1, 3, 5)) -> None:
        super().__init__()
        self.squeeze = nn.Linear(channels, width)
        self.norm = nn.LayerNorm(width)
        self.scales = nn.ModuleList(
            nn.Conv1d(width, width, k, padding=k // 2, padding_mode="replicate") for k in kernels
        )
        self.weigh = nn.Linear(width, len(kernels))
        self.expand = nn.Linear(width, channels)
        nn.init.zeros_(self.expand.weight)
        nn.init.zeros_(self.expand.bias)

    def seen(self, x: Tensor) -> Tensor:
        """What is seen of each frame (... c) by itself: (... w)."""
        return self.norm(self.squeeze(x))

    def forward(self, x: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
        """Frames (b t c), what is ``seen`` of each (b t w) -> (b t c) and each scale's weight (b k), summing to 1."""
        # convolve at every scale
        y = rearrange(seen, "b t w -> b w t")
        scales = torch.stack([torch.relu(conv(y)) for conv in self.scales], 1)  # (b k w t)

        # weigh the scales by what the clip shows
        weights = self.weigh(reduce(scales, "b k w t -> b w", "mean")).softmax(-1)  # (b k)
        mixed = (scales * rearrange(weights, "b k -> b k 1 1")).sum(1)  # (b w t)

        # add to the input
        return x + self.expand(rearrange(mixed, "b w t -> b t w")), weights


class RecentPooling(nn.Module):
    """Attention over the buffer with the newest frame as the query (Vaswani et al., 2017): which frames count now.

    It starts out attending mostly to the newest frame, so that a reading follows the face without delay.
    """

    def __init__(self, channels: int, length: int, width: int = 32) -> None:
        super().__init__()
        self.query = nn.Linear(channels, width)
        self.key = nn.Linear(channels, width)
        self.recency = nn.Parameter(torch.linspace(-4.0, 0.0, length))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(b t c) -> the pooled features (b c) and the weight of each frame (b t), summing to 1."""
        query, keys = self.query(x[:, -1]), self.key(x)  # (b w), (b t w)
        scores = torch.einsum("b w, b t w -> b t", query, keys) * query.shape[-1] ** -0.5
        weights = (scores + self.recency[-x.shape[1] :]).softmax(-1)
        return torch.einsum("b t, b t c -> b c", weights, x), weights
