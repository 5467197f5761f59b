"""From an aligned picture to the network's input; the same in training and in use."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from einops import rearrange
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """The input that a network's weights expect, as their JSON says it."""

    input_size: int = 224
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    std: tuple[float, float, float] = (0.25, 0.25, 0.25)

    def __call__(self, pictures: Tensor) -> Tensor:
        """uint8 RGB (n h w 3) -> float (n 3 h w), normalised, channels last in memory."""
        mean = torch.tensor(self.mean, device=pictures.device) * 255
        std = torch.tensor(self.std, device=pictures.device) * 255
        # normalising before the move keeps the memory order that the convolutions like
        return rearrange((pictures.float() - mean) / std, "n h w c -> n c h w")
