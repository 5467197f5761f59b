"""What the encoders are built of: squeeze-and-excitation, a residual block and a depthwise separable one."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class SqueezeExcite(nn.Module):
    """Channel gate from the map's mean (Hu et al., "Squeeze-and-Excitation Networks", CVPR 2018)."""

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        width = max(channels // reduction, 4)
        self.squeeze = nn.Conv2d(channels, width, 1)
        self.excite = nn.Conv2d(width, channels, 1)

    def open(self) -> None:
        """Let nearly everything through (sigmoid(4) = 0.98), as where there was no gate before."""
        nn.init.zeros_(self.excite.weight)
        assert self.excite.bias is not None
        nn.init.constant_(self.excite.bias, 4.0)

    def forward(self, x: Tensor) -> Tensor:
        mean = F.adaptive_avg_pool2d(x, 1)  # (n c 1 1)
        return x * self.excite(self.squeeze(mean).relu()).sigmoid()


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with batch norm, SE and a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
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


class SeparableBlock(nn.Module):
    """A depthwise 3x3 and a pointwise convolution (Howard et al., "MobileNets", arXiv 1704.04861), then SE.

    Where shape allows there is a shortcut with a weight per channel; at zero it is the published block.
    """

    def __init__(self, inputs: int, outputs: int, stride: int = 1, dilation: int = 1, gated: bool = False) -> None:
        super().__init__()
        self.depthwise = nn.Sequential(
            nn.Conv2d(inputs, inputs, 3, stride, dilation, dilation, groups=inputs, bias=False),
            nn.BatchNorm2d(inputs),
            nn.ReLU6(),
        )
        self.pointwise = nn.Sequential(nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU6())
        self.gate = SqueezeExcite(outputs, reduction=8) if gated else nn.Identity()
        residual = stride == 1 and inputs == outputs
        self.shortcut = nn.Parameter(torch.ones(outputs, 1, 1)) if residual else None

    def forward(self, x: Tensor) -> Tensor:
        # each channel over space, then all channels at each place, gated
        y = self.gate(self.pointwise(self.depthwise(x)))

        # residual
        return y if self.shortcut is None else y + self.shortcut * x
