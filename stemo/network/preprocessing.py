"""From an aligned picture to the network's input; the same in training and in use."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import torch
from einops import rearrange
from torch import Tensor

PICTURE_SIZE = 224  # of the aligned faces that come
INPUT_SIZE = 128  # of what the network reads of them
LUMINANCE = (0.299, 0.587, 0.114)  # ITU-R BT.601


class View(NamedTuple):
    """One way to see a picture: without ``margin`` 28ths of a side at each border, ``mirrored`` or not."""

    margin: int = 0
    mirrored: bool = False


class Channel(NamedTuple):
    """A channel made of ``colours``: how much there is of each in it, and what is added."""

    colours: tuple[float, ...]
    offset: float = 0.0


WHOLE = View()
# Several views together are read better than one (Krizhevsky et al., "ImageNet Classification with Deep Convolutional
# Neural Networks", NIPS 2012, takes ten): the whole picture and 8 % closer, each as it is and mirrored.
TURNS = (View(0, True), View(1), View(1, True), View(0))
PARTS = 28  # of a side, in which margins are counted
COLOURS = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
BLOCK = 16  # numbers in a row that processors compute at once


def views_of(length: int) -> tuple[View, ...]:
    """The views in which a network that reads ``length`` frames sees a face in turns."""
    return TURNS if length > 1 else (WHOLE,)


def views_in(length: int, numbers: Iterable[int]) -> list[View]:
    """The views of :func:`views_of` that have these ``numbers``, in the same order."""
    views = views_of(length)
    return [views[number] for number in numbers]


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

    def fitted(self, pictures: Tensor, views: Sequence[View] = ()) -> Tensor:
        """The same of pictures (n h w 3) of any size, brought to ``input_size`` pixels, each in one of n ``views``.

        Without ``views`` each is seen whole.
        """
        if not views:
            return self._seen(pictures, WHOLE)
        # one by one, so that a picture is the same to the bit in whatever batch it comes
        seen = [self._seen(picture, view) for picture, view in zip(pictures.split(1), views, strict=True)]
        return torch.cat(seen) if len(seen) > 1 else seen[0]

    def _seen(self, pictures: Tensor, view: View) -> Tensor:
        channels = [averaged(pictures, self.input_size, channel, view) for channel in input_channels(self)]
        return torch.cat(channels, 1) if len(channels) > 1 else channels[0]

    def _channels(self, pictures: Tensor) -> Tensor:
        if self.gray:
            return rearrange(luminance(pictures), "n h w -> n 1 h w")
        return rearrange(pictures.float(), "n h w c -> n c h w")

    def _normalised(self, values: Tensor) -> Tensor:
        if self.gray:
            return (values - self.mean[0] * 255).div_(self.std[0] * 255)
        mean, std = (torch.tensor(part, device=values.device) * 255 for part in (self.mean, self.std))
        return (values - rearrange(mean, "c -> c 1 1")) / rearrange(std, "c -> c 1 1")


@cache
def input_channels(preprocessing: Preprocessing) -> list[Channel]:
    """What a network reads of a picture, normalised."""
    colours = (LUMINANCE,) if preprocessing.gray else COLOURS
    scales = zip(preprocessing.mean, preprocessing.std, strict=True)
    return [
        Channel(tuple(part / (255 * std) for part in mix), -mean / std)
        for mix, (mean, std) in zip(colours, scales, strict=False)
    ]


def averaged(pictures: Tensor, size: int, channel: Channel, view: View = WHOLE) -> Tensor:
    """(n h w i) -> float (n 1 size size), in a ``view``: averages over areas of what ``channel`` makes of i colours.

    As ``F.interpolate(..., mode="area")`` of the part that is seen, but in a tenth of its time: along each side they
    are a product with a constant matrix, and with a small one, as all the side's blocks have the same.
    """
    if view.margin:
        top, left = (view.margin * side // PARTS for side in pictures.shape[1:3])
        pictures = pictures[:, top : pictures.shape[1] - top, left : pictures.shape[2] - left]
    rows, columns, offset, blocks = block_matrices(*pictures.shape[1:3], size, channel, pictures.device)
    across = rearrange(pictures.float(), "n h (k w) i -> (n h k) (w i)", k=blocks) @ columns
    across = rearrange(across, "(n j h k) w -> (n j) h (k w)", n=len(pictures), h=rows.shape[1], k=blocks)
    seen = torch.baddbmm(offset, rows.expand(len(across), -1, -1), across)
    seen = rearrange(seen, "(n j) h w -> n 1 (j h) w", n=len(pictures))
    return seen.flip(-1) if view.mirrored else seen


@cache
@torch.inference_mode(False)
def block_matrices(
    height: int, width: int, size: int, channel: Channel, device: torch.device
) -> tuple[Tensor, Tensor, Tensor, int]:
    """The averages over areas in one block of each side, the offset, and how many blocks there are across.

    Not to be changed. Down, (rows of the result, rows of the picture), and across, (columns and colours of the picture,
    columns of the result).
    """
    down, blocks = (math.gcd(side, size, max(1, size // BLOCK)) for side in (height, width))
    rows, columns = area_matrix(height // down, size // down), area_matrix(width // blocks, size // blocks)
    across = torch.kron(columns, torch.tensor(channel.colours)).T.contiguous()
    return rows.to(device), across.to(device), torch.tensor(channel.offset, device=device), blocks


def area_matrix(before: int, after: int, margin: int = 0) -> Tensor:
    """(after before): the averages over areas along one side of a picture, without margins as :class:`View` has."""
    first = margin * before // PARTS
    seen = before - 2 * first
    matrix = torch.zeros(after, before)
    for place in range(after):
        start, end = first + place * seen // after, first - (-(place + 1) * seen // after)
        matrix[place, start:end] = 1 / (end - start)
    return matrix


def luminance(pictures: Tensor) -> Tensor:
    """uint8 RGB (n h w 3) -> float (n h w) in [0, 255]."""
    red, green, blue = pictures.unbind(-1)
    return red.float().mul_(LUMINANCE[0]).add_(green, alpha=LUMINANCE[1]).add_(blue, alpha=LUMINANCE[2])
