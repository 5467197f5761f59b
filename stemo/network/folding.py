"""A network made lean for inference: the same readings, fewer products and fewer passes over memory."""

from __future__ import annotations

import copy
from typing import TypeVar

from einops import reduce
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from stemo.network.blocks import ResidualBlock
from stemo.network.model import FaceNetwork, Network
from stemo.network.spatial import SpatialEncoder

AnyNetwork = TypeVar("AnyNetwork", bound=FaceNetwork)


def folded(network: AnyNetwork, *, gray: bool = False) -> AnyNetwork:
    """A copy of ``network`` for inference whose convolutions have no batch norm behind them.

    One that only ever sees ``gray`` pictures has one channel in its first convolution, where it had three equal ones.
    """
    network = copy.deepcopy(network).eval()
    if gray and isinstance(network, Network):
        _fold_colours(network.spatial)
    for module in network.modules():
        if isinstance(module, nn.Sequential):
            _fold_sequence(module)
        elif isinstance(module, ResidualBlock):
            module.conv1 = fuse_conv_bn_eval(module.conv1, module.norm1)
            module.conv2 = fuse_conv_bn_eval(module.conv2, module.norm2)
            module.norm1 = module.norm2 = nn.Identity()  # type: ignore[assignment]
    return network


def _fold_colours(encoder: SpatialEncoder) -> None:
    first = encoder.stem[0]
    assert isinstance(first, nn.Conv2d)
    first.weight = nn.Parameter(reduce(first.weight, "o i h w -> o 1 h w", "sum"))
    encoder.inputs = first.in_channels = 1


def _fold_sequence(sequence: nn.Sequential) -> None:
    for place in range(1, len(sequence)):
        convolution, norm = sequence[place - 1], sequence[place]
        if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            sequence[place - 1] = fuse_conv_bn_eval(convolution, norm)
            sequence[place] = nn.Identity()
