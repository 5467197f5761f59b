"""From an aligned picture to the network's input; the same in training and in use."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from einops import rearrange
from torch import Tensor

LUMINANCE = (0.299, 0.587, 0.114)  # ITU-R BT.601


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """The input that a network's weights expect, as their JSON says it.

    ``gray`` gives every channel the luminance: nearly all labelled faces are gray, and a network that sees the few
    coloured ones in colour learns which data set a face is from, not what it shows.
    """

    input_size: int = 224
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    std: tuple[float, float, float] = (0.25, 0.25, 0.25)
    gray: bool = True

    def __call__(self, pictures: Tensor) -> Tensor:
        """uint8 RGB (n h w 3) -> float (n 3 h w), normalised, channels last in memory."""
        mean = torch.tensor(self.mean, device=pictures.device) * 255
        std = torch.tensor(self.std, device=pictures.device) * 255
        values = pictures.float()
        if self.gray:
            values = (values @ values.new_tensor(LUMINANCE)).unsqueeze(-1)
        # normalising before the move keeps the memory order that the convolutions like
        return rearrange((values - mean) / std, "n h w c -> n c h w")
