"""The landmark stream: geometry of the face mesh, blendshapes and head pose of a frame -> 128 features."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class LandmarkEncoder(nn.Module):
    """(205,) -> 256 -> 128 through one residual MLP, about 0.3 M parameters.

    A frame without landmarks, marked by NaN, gets a learned "none" instead, and so do some frames in training
    (modality dropout), so that the network can do without.
    """

    def __init__(self, inputs: int, width: int = 256, hidden: int = 400, outputs: int = 128, drop: float = 0.3) -> None:
        super().__init__()
        self.drop = drop
        self.norm = nn.BatchNorm1d(inputs)
        self.enter = nn.Linear(inputs, width)
        self.mix = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))
        self.leave = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, outputs))
        self.none = nn.Parameter(torch.zeros(outputs))

    def forward(self, features: Tensor) -> Tensor:
        """(n 205), NaN where there are no landmarks -> (n 128)."""
        # which frames have landmarks
        present = torch.isfinite(features).all(-1, keepdim=True)  # (n 1)
        if self.training:
            present = present & (torch.rand_like(present, dtype=torch.float) >= self.drop)
        known = torch.where(torch.isfinite(features), features, 0.0)

        # encode
        x = self.enter(self.norm(known)).relu()
        x = self.leave(x + self.mix(x))

        # the learned "none" where there are none
        return torch.where(present, x, self.none)
