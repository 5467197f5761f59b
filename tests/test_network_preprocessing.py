"""The network's input: luminance, normalised, and the same for gray and coloured faces of one brightness."""

from __future__ import annotations

import torch

from stemo.network.preprocessing import Preprocessing


def test_colour_is_read_as_its_luminance() -> None:
    colour = torch.tensor([200, 100, 50], dtype=torch.uint8).expand(1, 4, 4, 3)
    found = Preprocessing()(colour)
    expected = (0.299 * 200 + 0.587 * 100 + 0.114 * 50) / 255
    assert found.shape == (1, 1, 4, 4)
    torch.testing.assert_close(found, torch.full((1, 1, 4, 4), (expected - 0.5) / 0.25))


def test_without_gray_the_channels_stay() -> None:
    colour = torch.tensor([255, 0, 51], dtype=torch.uint8).expand(2, 4, 4, 3)
    found = Preprocessing(gray=False)(colour)
    torch.testing.assert_close(found[0, :, 0, 0], torch.tensor([2.0, -2.0, -1.2]))
