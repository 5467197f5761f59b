"""The whole network: 16 frames of one face and their landmark features -> category logits, valence, arousal.

What a frame gives by itself (:meth:`FaceNetwork.encode`, one vector, its token) is kept apart from what the last 16
frames say together (:meth:`FaceNetwork.read`), so that streaming runs the first once per frame and only the second
again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from einops import rearrange
from torch import Tensor, nn

from stemo.network.attention import DynamicChannelAttention, SpatialAttention, over_time, pool
from stemo.network.fusion import CrossModalFusion, Heads
from stemo.network.landmarks import LandmarkEncoder
from stemo.network.spatial import SpatialEncoder
from stemo.network.temporal import MultiScaleTemporalAttention, RecentPooling

LANDMARK_FEATURES = 205
CLIP_LENGTH = 16


class FrameFeatures(NamedTuple):
    """What one frame shows: ``average`` and ``maximum`` (... 512) of its map, ``landmark`` (... 128)."""

    average: Tensor
    maximum: Tensor
    landmark: Tensor


class Prediction(NamedTuple):
    """``logits`` (b k), ``valence`` (b) in [-1, 1], ``arousal`` (b) in [0, 1], ``frame_weights`` (b t)."""

    logits: Tensor
    valence: Tensor
    arousal: Tensor
    frame_weights: Tensor


class FaceNetwork(nn.Module):
    """What every architecture offers: a frame's own features, and the reading of the last ``length`` of them.

    The features are what training keeps and mixes; the token made of them is what streaming keeps, ``token_width``
    numbers.
    """

    def __init__(self, classes: int, length: int, token_width: int) -> None:
        super().__init__()
        self.classes = classes
        self.length = length
        self.token_width = token_width
        self.register_buffer("temperature", torch.ones(()))
        self.temperature: Tensor

    def encode_frames(self, frames: Tensor, landmarks: Tensor) -> FrameFeatures:
        """(n c h w) normalised faces, (n 205) landmark features (NaN: none) -> the features of each frame by itself."""
        raise NotImplementedError

    def tokens(self, features: FrameFeatures) -> Tensor:
        """Features of frames, each (... c) -> all that is read of each in one vector, (... token_width)."""
        raise NotImplementedError

    def read(self, tokens: Tensor) -> Prediction:
        """Tokens of at most ``length`` frames (b t token_width), oldest first -> the newest frame's reading."""
        raise NotImplementedError

    def encode(self, frames: Tensor, landmarks: Tensor) -> Tensor:
        """(n c h w) normalised faces, (n 205) landmark features (NaN: none) -> the token of each frame."""
        return self.tokens(self.encode_frames(frames, landmarks))

    def read_clip(self, clip: FrameFeatures) -> Prediction:
        """Features of at most ``length`` frames, each (b t c), oldest first -> the newest frame's reading."""
        return self.read(self.tokens(clip))

    def probabilities(self, prediction: Prediction) -> Tensor:
        """Calibrated probabilities (b k)."""
        return calibrated(prediction.logits, self.temperature)


@dataclass(frozen=True, slots=True)
class Size:
    """How wide the parts of :class:`Network` are; the defaults are the size "base"."""

    channels: tuple[int, int, int, int] = (64, 128, 256, 512)
    temporal: int = 240
    memory: int = 128  # of the LSTM, per direction
    landmark: tuple[int, int, int] = (256, 400, 128)  # width, hidden, outputs
    fusion: tuple[int, int] = (768, 1024)  # width, hidden
    head: int = 464


SIZES = {
    "base": Size(),
    "small": Size((40, 80, 160, 320), 144, 80, (160, 256, 80), (448, 640), 272),
    "tiny": Size((24, 48, 96, 192), 80, 48, (96, 160, 48), (256, 320), 144),
}


class Network(FaceNetwork):
    """stemo's spatiotemporal network, about 8 M parameters in its size "base"."""

    def __init__(self, classes: int = 7, length: int = CLIP_LENGTH, size: str = "base") -> None:
        wide = SIZES[size]
        channels, landmark = wide.channels[-1], wide.landmark[2]
        parts = channels, wide.temporal, wide.memory, landmark
        super().__init__(classes, length, sum(parts))
        self.size = size
        self.token_parts = parts
        self.spatial = SpatialEncoder(wide.channels)
        self.temporal = MultiScaleTemporalAttention(channels, wide.temporal)
        self.place = SpatialAttention()
        self.channel = DynamicChannelAttention(channels, wide.memory)
        self.landmark = LandmarkEncoder(LANDMARK_FEATURES, *wide.landmark)
        self.recent = RecentPooling(channels + landmark, length)
        self.fusion = CrossModalFusion(channels, landmark, *wide.fusion)
        self.heads = Heads(wide.fusion[0], classes, wide.head)

    def forward(self, clips: Tensor, landmarks: Tensor) -> Prediction:
        """(b t 3 h w) normalised faces and (b t 205) landmark features (NaN: none) -> the newest frame's reading."""
        batch = clips.shape[0]

        # every frame by itself
        frames = rearrange(clips, "b t c h w -> (b t) c h w")
        features = self.encode_frames(frames, rearrange(landmarks, "b t f -> (b t) f"))

        # all of them together
        return self.read_clip(FrameFeatures(*(over_time(part, batch) for part in features)))

    def encode_frames(self, frames: Tensor, landmarks: Tensor) -> FrameFeatures:
        """(n 3 h w), (n 205) -> the features of each frame by itself, (n 512), (n 512), (n 128)."""
        return FrameFeatures(*self.encode_pictures(frames), self.landmark(landmarks))

    def encode_pictures(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """(n 3 h w) -> average and maximum of the gated map, each (n 512)."""
        maps, _ = self.place(self.spatial(frames))
        return pool(maps)

    def tokens(self, features: FrameFeatures) -> Tensor:
        """(... 512), (... 512), (... 128) -> (... 1008): the average, what each temporal part sees, the landmarks."""
        average, maximum, landmark = features
        return torch.cat([average, self.temporal.seen(average), self.channel.seen(average, maximum), landmark], -1)

    def read(self, tokens: Tensor) -> Prediction:
        """Tokens of t <= 16 frames (b t 1008), oldest first -> the newest frame's reading."""
        # motion at three scales, then channels gated by what time shows
        average, moving, gating, landmarks = tokens.split(self.token_parts, -1)
        x, _ = self.temporal(average, moving)
        x = self.channel(x, gating)

        # weigh the frames, seen from the newest
        joined, weights = self.recent(torch.cat([x, landmarks], -1))
        visual, landmark = joined.split([x.shape[-1], landmarks.shape[-1]], -1)

        # fuse and read
        logits, valence, arousal = self.heads(self.fusion(visual, landmark))
        return Prediction(logits, valence, arousal, weights)


def calibrated(logits: Tensor, temperature: Tensor | float) -> Tensor:
    """Logits (b k) -> probabilities (b k): softmax over the fitted temperature (Guo et al., ICML 2017)."""
    return (logits.float() / temperature).softmax(-1)


def calibrated_numbers(logits: Sequence[float], temperature: float) -> list[float]:
    """:func:`calibrated` of one face's logits, without tensors: for seven numbers in a fifth of their time."""
    top = max(logits)
    powers = [math.exp((logit - top) / temperature) for logit in logits]
    whole = sum(powers)
    return [power / whole for power in powers]
