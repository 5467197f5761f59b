"""Networks that read each frame by itself: an encoder under a light head. The first training stage, and the rivals."""

from __future__ import annotations

from itertools import pairwise

import torch
from einops import reduce, repeat
from torch import Tensor, nn

from stemo.network.blocks import ResidualBlock
from stemo.network.model import FaceNetwork, FrameFeatures, Prediction
from stemo.network.spatial import StillHead


class FrameNetwork(FaceNetwork):
    """``encoder`` and a head on the average of its map; landmarks and earlier frames do not count."""

    def __init__(self, encoder: nn.Module, channels: int, classes: int = 7) -> None:
        super().__init__(classes, 1, channels)
        self.encoder = encoder
        self.head = StillHead(channels, classes)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(n 1|3 h w) -> logits (n k), valence (n) in [-1, 1], arousal (n) in [0, 1]."""
        return self.head(reduce(self.encoder(images), "n c h w -> n c", "mean"))

    def encode_frames(self, frames: Tensor, landmarks: Tensor) -> FrameFeatures:
        """(n 1|3 h w) -> the map's average (n c); the other two features are empty (n 0)."""
        empty = landmarks[:, :0]
        return FrameFeatures(reduce(self.encoder(frames), "n c h w -> n c", "mean"), empty, empty)

    def tokens(self, features: FrameFeatures) -> Tensor:
        """The map's average (... c)."""
        return features.average

    def read(self, tokens: Tensor) -> Prediction:
        """(b 1 c) -> the newest frame's reading."""
        logits, valence, arousal = self.head(tokens[:, -1])
        return Prediction(logits, valence, arousal, torch.ones_like(tokens[:, :, 0]))


class ResNetSE(nn.Module):
    """A residual network with squeeze-and-excitation for 48-pixel gray faces, after the engagement dashboards' own."""

    def __init__(self, channels: tuple[int, ...] = (32, 64, 128, 256)) -> None:
        super().__init__()
        self.channels = channels[-1]
        self.stem = nn.Sequential(
            nn.Conv2d(1, channels[0], 3, 1, 1, bias=False), nn.BatchNorm2d(channels[0]), nn.ReLU()
        )
        stages = [self._stage(channels[0], channels[0], 1)]
        stages += [self._stage(before, after, 2) for before, after in pairwise(channels)]
        self.stages = nn.Sequential(*stages)

    def forward(self, x: Tensor) -> Tensor:
        """(n 1 48 48) -> (n 256 6 6)."""
        return self.stages(self.stem(x))

    def _stage(self, inputs: int, outputs: int, stride: int) -> nn.Sequential:
        return nn.Sequential(ResidualBlock(inputs, outputs, stride), ResidualBlock(outputs, outputs))


class ResNet50(nn.Module):
    """torchvision's ResNet-50 (He et al., CVPR 2016) without its head, from fresh weights."""

    channels = 2048

    def __init__(self) -> None:
        super().__init__()
        from torchvision.models import resnet50

        network = resnet50(weights=None)
        self.trunk = nn.Sequential(*list(network.children())[:-2])

    def forward(self, x: Tensor) -> Tensor:
        """(n 1|3 h w) -> (n 2048 h/32 w/32)."""
        return self.trunk(repeat(x, "n 1 h w -> n c h w", c=3) if x.shape[1] == 1 else x)
