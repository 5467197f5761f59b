"""From an aligned picture to the network's input; the same in training and in use."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch
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
        """uint8 RGB (n h w 3) -> normalised float (n 1 h w) where ``gray``, else (n 3 h w)."""
        return self._normalised(self._channels(pictures))

    def fitted(self, pictures: Tensor) -> Tensor:
        """The same, brought to ``input_size`` pixels where the pictures (n h w 3) have another size."""
        return self._normalised(averaged(self._channels(pictures), self.input_size))

    def _channels(self, pictures: Tensor) -> Tensor:
        if self.gray:
            return rearrange(luminance(pictures), "n h w -> n 1 h w")
        return rearrange(pictures.float(), "n h w c -> n c h w")

    def _normalised(self, values: Tensor) -> Tensor:
        if self.gray:
            return (values - self.mean[0] * 255) / (self.std[0] * 255)
        mean, std = (torch.tensor(part, device=values.device) * 255 for part in (self.mean, self.std))
        return (values - rearrange(mean, "c -> c 1 1")) / rearrange(std, "c -> c 1 1")


def averaged(values: Tensor, size: int) -> Tensor:
    """(n c h w) -> (n c size size): averages over areas, as ``F.interpolate(..., mode="area")`` but in a fifth of its
    time: along each side they are a product with a constant matrix.
    """
    height, width = values.shape[-2:]
    if height == width == size:
        return values
    rows, columns = (area_matrix(side, size).to(values.device) for side in (height, width))
    return rows @ (values @ columns.T)


@cache
@torch.inference_mode(False)
def area_matrix(before: int, after: int) -> Tensor:
    """(after before): the averages over areas along one side of a picture. Not to be changed, as it is made once."""
    matrix = torch.zeros(after, before)
    for place in range(after):
        start, end = place * before // after, -(-(place + 1) * before // after)
        matrix[place, start:end] = 1 / (end - start)
    return matrix


def luminance(pictures: Tensor) -> Tensor:
    """uint8 RGB (n h w 3) -> float (n h w) in [0, 255]."""
    red, green, blue = pictures.unbind(-1)
    return red.float().mul_(LUMINANCE[0]).add_(green, alpha=LUMINANCE[1]).add_(blue, alpha=LUMINANCE[2])
