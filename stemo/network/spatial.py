"""The spatial stream: one aligned face -> a feature map. Runs once per frame."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import repeat
from torch import Tensor, nn

WORKING_SIZE = 112  # larger inputs are averaged down by a whole factor before the first convolution


class SqueezeExcite(nn.Module):
    """Channel gate from the map's mean (Hu et al., "Squeeze-and-Excitation Networks", CVPR 2018)."""

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        width = max(channels // reduction, 4)
        self.squeeze = nn.Conv2d(channels, width, 1)
        self.excite = nn.Conv2d(width, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        mean = F.adaptive_avg_pool2d(x, 1)  # (n c 1 1)
        return x * self.excite(self.squeeze(mean).relu()).sigmoid()


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with batch norm, SE and a shortcut; ``width`` makes it a bottleneck."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1, width: int | None = None) -> None:
        super().__init__()
        width = width or outputs
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, outputs, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.gate = SqueezeExcite(outputs)
        self.shortcut = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.AvgPool2d(stride) if stride > 1 else nn.Identity(),
                nn.Conv2d(inputs, outputs, 1, bias=False),
                nn.BatchNorm2d(outputs),
            )

    def forward(self, x: Tensor) -> Tensor:
        # two convolutions, gated
        y = self.norm1(self.conv1(x)).relu()
        y = self.gate(self.norm2(self.conv2(y)))

        # residual
        return (y + self.shortcut(x)).relu()


class SpatialEncoder(nn.Module):
    """CNN 64 -> 128 -> 256 -> 512 with residual SE blocks, about 3.2 M parameters and 0.4 GMAC a frame.

    A 224-pixel face is averaged 2 x 2 first: expression survives at 112 px (most training faces are 48 px wide), and
    the four-fold saving is what makes one pass per frame cheap. Inputs of up to 112 px are taken as they are.
    """

    def __init__(self, channels: tuple[int, int, int, int] = (64, 128, 256, 512)) -> None:
        super().__init__()
        c1, c2, c3, c4 = channels
        self.channels = c4
        self.stem = nn.Sequential(
            nn.Conv2d(3, c1 // 2, 3, 2, 1, bias=False),
            nn.BatchNorm2d(c1 // 2),
            nn.ReLU(),
            nn.Conv2d(c1 // 2, c1, 3, 2, 1, bias=False),
            nn.BatchNorm2d(c1),
            nn.ReLU(),
        )
        self.stages = nn.Sequential(
            nn.Sequential(ResidualBlock(c1, c1), ResidualBlock(c1, c1)),
            nn.Sequential(ResidualBlock(c1, c2, 2), ResidualBlock(c2, c2)),
            nn.Sequential(ResidualBlock(c2, c3, 2)),
            nn.Sequential(ResidualBlock(c3, c4, width=c3 * 7 // 8)),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(n 3 h w), or gray (n 1 h w) -> (n 512 h/16 w/16) maps, h and w after averaging down to about 112."""
        # average large pictures down
        factor = max(1, x.shape[-1] // WORKING_SIZE)
        if factor > 1:
            x = F.avg_pool2d(x, factor)

        # gray counts as three equal channels
        if x.shape[1] == 1:
            x = repeat(x, "n 1 h w -> n c h w", c=3)

        # convolutions
        return self.stages(self.stem(x))


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
