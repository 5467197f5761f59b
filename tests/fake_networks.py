"""Networks whose answers are known beforehand; apart from ``fakes.py``, which does without torch."""

from __future__ import annotations

import torch

from stemo.network.model import FaceNetwork, FrameFeatures, Prediction
from stemo.records import EMOTIONS

NEUTRAL = EMOTIONS.index("Neutral")


class Brightness(FaceNetwork):
    """Reads bright frames as ``bright`` and dark ones as ``dark``; valence grows with ``slope``, arousal with light."""

    def __init__(self, bright: int, slope: float = 1.0, *, dark: int = NEUTRAL) -> None:
        super().__init__(7, 16, 1)
        self.bright, self.dark, self.slope = bright, dark, slope

    def encode_frames(self, frames: torch.Tensor, landmarks: torch.Tensor) -> FrameFeatures:
        light = frames.mean((1, 2, 3)).unsqueeze(-1)
        return FrameFeatures(light, light, landmarks[:, :1])

    def tokens(self, features: FrameFeatures) -> torch.Tensor:
        return features.average

    def read(self, tokens: torch.Tensor) -> Prediction:
        now = tokens[:, -1, 0]
        logits = torch.zeros(len(now), 7)
        logits[:, self.bright], logits[:, self.dark] = 4 * now, -4 * now
        return Prediction(logits, torch.tanh(self.slope * now), torch.sigmoid(now), torch.ones(len(now), 16))
