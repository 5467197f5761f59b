"""Starting from a network that tells people apart: the published numbers land where they belong, and nothing moves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from einops import rearrange

from stemo.errors import ConfigError
from stemo.network.preprocessing import Preprocessing
from stemo.network.spatial import SpatialEncoder
from stemo.training.identity import BLOCKS, HEADS, LAST, STEM, Reader, settle_norms, start_from_identity


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file in the published layout: random values, small enough that no layer saturates."""
    sizes = [*HEADS, 27 * STEM, STEM, 2]
    for inputs, outputs in (*BLOCKS, LAST):
        sizes += [9 * inputs, inputs, inputs, 2, inputs * outputs, outputs, 2]
    values = np.random.default_rng(0).normal(0, 0.05, sum(sizes)).astype(np.float32)
    path = tmp_path_factory.mktemp("identity") / "identity.bin"
    values.tofile(path)
    return path


def faces() -> torch.Tensor:
    return torch.randn(4, 1, 32, 32, generator=torch.Generator().manual_seed(0))


def test_the_file_is_read_to_its_last_value(published: Path) -> None:
    reader = Reader(np.fromfile(published, np.float32))
    for length in HEADS:
        reader.skip(length)
    shapes = [tuple(kernel.shape) for kernel, _ in reader.convolutions()]
    assert shapes[:3] == [(32, 3, 3, 3), (32, 1, 3, 3), (64, 32, 1, 1)]
    assert len(shapes) == 27
    assert reader.take(0).numel() == 0
    assert reader._place == len(np.fromfile(published, np.float32))


def test_the_first_layers_compute_what_was_published(published: Path) -> None:
    encoder = SpatialEncoder()
    start_from_identity(encoder, published, faces(), Preprocessing())
    reader = Reader(np.fromfile(published, np.float32))
    for length in HEADS:
        reader.skip(length)
    (kernel, bias), (depth, depth_bias) = (next(pair) for pair in [reader.convolutions()] * 2)
    # what was published reads gray values around 115; zeros at the border are left out
    gray = rearrange(((faces() * 0.25 + 0.5) * 255 - 115).expand(-1, 3, -1, -1), "n c h w -> n c h w")
    expected = F.conv2d(gray, kernel, bias, 2, 1).clamp(0, 6)
    found = encoder.stem(faces().expand(-1, 3, -1, -1))
    torch.testing.assert_close(found[..., 1:, 1:], expected[..., 1:, 1:], atol=1e-3, rtol=1e-3)
    deeper = F.conv2d(found, depth, depth_bias, 1, 1, groups=32).clamp(0, 6)
    block = encoder.blocks[0]
    torch.testing.assert_close(block.get_submodule("depthwise")(found), deeper, atol=1e-4, rtol=1e-3)


def test_norms_are_settled_without_moving_the_output() -> None:
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 8, 3), torch.nn.BatchNorm2d(8), torch.nn.ReLU6()).eval()
    with torch.no_grad():
        before = network(faces())
        settle_norms(network, faces())
        torch.testing.assert_close(network(faces()), before)
        torch.testing.assert_close(network.train()(faces()), before, atol=1e-3, rtol=1e-3)


def test_another_width_is_refused(published: Path) -> None:
    with pytest.raises(ConfigError, match="stemo base"):
        start_from_identity(SpatialEncoder((24, 48, 96, 192)), published, faces(), Preprocessing())


def test_frozen_blocks_get_no_gradient() -> None:
    encoder = SpatialEncoder((16, 16, 32, 32))
    encoder.freeze(2)
    encoder(torch.randn(2, 1, 32, 32)).sum().backward()
    trained = {name.split(".")[1] for name, value in encoder.named_parameters() if value.grad is not None}
    assert trained == {str(place) for place in range(2, 13)}
    encoder.freeze(0)
    assert all(value.requires_grad for value in encoder.parameters())
