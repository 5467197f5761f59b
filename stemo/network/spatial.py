"""The spatial stream: one aligned face -> a feature map. Runs once per frame."""

from __future__ import annotations

import torch
from einops import repeat
from torch import Tensor, nn

from stemo.network.blocks import SeparableBlock


class SpatialEncoder(nn.Module):
    """CNN 64 -> 128 -> 256 -> 512 of depthwise separable blocks with SE and shortcuts.

    The size "base" has about 3.1 M parameters and 0.2 GMAC a frame. Its blocks are those of MobileNet, so that it can
    start from a network that tells millions of people apart: features that do carry over to expressions (Savchenko,
    arXiv 2103.17107). The last two blocks keep the map at a sixteenth of the picture's size, for the spatial attention.

    It reads faces averaged down from 224 to 128 pixels (see :class:`Preprocessing`): most training faces are 48 pixels
    wide, and the three-fold saving is what makes one pass per frame cheap.
    """

    def __init__(self, channels: tuple[int, int, int, int] = (64, 128, 256, 512)) -> None:
        super().__init__()
        c1, c2, c3, c4 = channels
        self.inputs, self.channels = 3, c4
        stem = nn.Conv2d(3, c1 // 2, 3, 2, 1, bias=False)
        self.stem = nn.Sequential(stem, nn.BatchNorm2d(c1 // 2), nn.ReLU6())
        self.blocks = nn.Sequential(
            SeparableBlock(c1 // 2, c1),
            SeparableBlock(c1, c2, 2),
            SeparableBlock(c2, c2),
            SeparableBlock(c2, c3, 2),
            SeparableBlock(c3, c3),
            SeparableBlock(c3, c4, 2),
            *(SeparableBlock(c4, c4, gated=True) for _ in range(5)),
            SeparableBlock(c4, 2 * c4),
            SeparableBlock(2 * c4, c4, dilation=2, gated=True),
        )

    def freeze(self, blocks: int) -> None:
        """Train neither the stem nor the first ``blocks`` blocks: they see edges, and cost most of a training step."""
        self.requires_grad_(True)
        for part in (self.stem, *self.blocks[:blocks]) if blocks else ():
            part.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        """(n 3 h w), or gray (n 1 h w) -> (n 512 h/16 w/16)."""
        # gray counts as three equal channels
        if x.shape[1] < self.inputs:
            x = repeat(x, "n 1 h w -> n c h w", c=3)

        # convolutions
        return self.blocks(self.stem(x))


class StillHead(nn.Module):
    """The light head with which the spatial stream is trained on stills: the map's average -> predictions."""

    def __init__(self, channels: int, classes: int, dropout: float = 0.3) -> None:
        super().__init__()
        self.drop = nn.Dropout(dropout)
        self.category = nn.Linear(channels, classes)
        self.affect = nn.Linear(channels, 2)

    def forward(self, pooled: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(n c) -> logits (n k), valence (n) in [-1, 1], arousal (n) in [0, 1]."""
        pooled = self.drop(pooled)
        valence, arousal = self.affect(pooled).unbind(-1)
        return self.category(pooled), torch.tanh(valence), torch.sigmoid(arousal)
