"""Folding batch norms changes nothing but the cost."""

from __future__ import annotations

import torch
from torch import nn

from stemo.network.folding import folded
from stemo.network.model import Network


def test_folded_network_reads_the_same() -> None:
    torch.manual_seed(0)
    network = Network().eval()
    for module in network.spatial.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.5, 0.5)  # type: ignore[arg-type]
            nn.init.uniform_(module.running_var, 0.5, 2.0)  # type: ignore[arg-type]
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.5, 0.5)
    lean = folded(network)
    gray = torch.randn(2, 1, 96, 96)
    for pictures, copied in ((torch.randn(2, 3, 96, 96), lean), (gray, lean), (gray, folded(network, gray=True))):
        with torch.inference_mode():
            for one, other in zip(network.encode_pictures(pictures), copied.encode_pictures(pictures), strict=True):
                torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)
    assert folded(network, gray=True).spatial.stem[0].weight.shape == (32, 1, 3, 3)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in lean.spatial.modules())
    assert any(isinstance(module, nn.BatchNorm2d) for module in network.spatial.modules())
