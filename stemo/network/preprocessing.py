"""From an aligned picture to the network's input; the same in training and in use."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

PICTURE_SIZE = 224  # of the aligned faces that come
INPUT_SIZE = 128  # of what the network reads of them
LUMINANCE = (0.299, 0.587, 0.114)  # ITU-R BT.601


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """The input that a network's weights expect, as their JSON says it.

    ``gray`` makes pictures of one channel, the luminance: nearly all labelled faces are gray, and a network that sees
    the few coloured ones in colour learns which data set a face is from, not what it shows. The first of ``mean`` and
    ``std`` counts then.
    """

    input_size: int = INPUT_SIZE
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    std: tuple[float, float, float] = (0.25, 0.25, 0.25)
    gray: bool = True

    def __call__(self, pictures: Tensor) -> Tensor:
        """uint8 RGB (n h w 3) -> normalised float (n 1 h w) where ``gray``, else (n 3 h w), channels last in memory."""
        if self.gray:
            values = luminance(pictures).sub_(self.mean[0] * 255).div_(self.std[0] * 255)
            return rearrange(values, "n h w -> n 1 h w")
        mean = torch.tensor(self.mean, device=pictures.device) * 255
        std = torch.tensor(self.std, device=pictures.device) * 255
        # normalising before the move keeps the memory order that the convolutions like
        return rearrange((pictures.float() - mean) / std, "n h w c -> n c h w")

    def fitted(self, pictures: Tensor) -> Tensor:
        """The same, brought to ``input_size`` pixels where the pictures (n h w 3) have another size."""
        values = self(pictures)
        if values.shape[-1] == self.input_size:
            return values
        return F.interpolate(values, (self.input_size, self.input_size), mode="area")


def luminance(pictures: Tensor) -> Tensor:
    """uint8 RGB (n h w 3) -> float (n h w) in [0, 255]."""
    red, green, blue = (part.float() * weight for part, weight in zip(pictures.unbind(-1), LUMINANCE, strict=True))
    return red + green + blue
