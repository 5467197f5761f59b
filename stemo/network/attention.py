"""Where to look and what to weigh: spatial attention on a map, channel attention over time."""

from __future__ import annotations

import torch
from einops import rearrange, reduce
from torch import Tensor, nn


class SpatialAttention(nn.Module):
    """A 7x7 convolution over the average and maximum maps gates every place of a frame.

    From Woo et al., "CBAM" (ECCV 2018). It sees one frame only, so it stands before the temporal parts here and its
    result is cached with the frame's features.
    """

    def __init__(self, kernel: int = 7) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 1, kernel, padding=kernel // 2)
        nn.init.zeros_(self.conv.weight)
        nn.init.constant_(self.conv.bias, 2.0)  # pyright: ignore[reportArgumentType]

    def forward(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """(n c h w) -> the gated maps and the gate (n 1 h w) in [0, 1]."""
        average = reduce(maps, "n c h w -> n 1 h w", "mean")
        maximum = reduce(maps, "n c h w -> n 1 h w", "max")
        gate = self.conv(torch.cat([average, maximum], 1)).sigmoid()
        return maps * gate, gate


class DynamicChannelAttention(nn.Module):
    """A bidirectional LSTM reads each frame's average and maximum features over time and gates the channels."""

    def __init__(self, channels: int, width: int = 128) -> None:
        super().__init__()
        self.squeeze = nn.Linear(2 * channels, width)
        self.norm = nn.LayerNorm(width)
        self.lstm = nn.LSTM(width, width, batch_first=True, bidirectional=True)
        self.excite = nn.Linear(2 * width, channels)
        nn.init.zeros_(self.excite.weight)
        nn.init.zeros_(self.excite.bias)

    def seen(self, average: Tensor, maximum: Tensor) -> Tensor:
        """What is seen of each frame (... c), (... c) by itself: (... w)."""
        return self.norm(self.squeeze(torch.cat([average, maximum], -1)).relu())

    def forward(self, x: Tensor, seen: Tensor) -> Tensor:
        """Gate ``x`` (b t c) by what is ``seen`` of its frames (b t w) over time; a closed gate is 0, an open one 2."""
        # read them in both directions
        memory, _ = self.lstm(seen)  # (b t 2w)

        # gate
        return x * 2 * self.excite(memory).sigmoid()


def pool(maps: Tensor) -> tuple[Tensor, Tensor]:
    """(n c h w) -> average and maximum over places, each (n c)."""
    return reduce(maps, "n c h w -> n c", "mean"), reduce(maps, "n c h w -> n c", "max")


def over_time(x: Tensor, batch: int) -> Tensor:
    """((b t) c) -> (b t c)."""
    return rearrange(x, "(b t) c -> b t c", b=batch)
