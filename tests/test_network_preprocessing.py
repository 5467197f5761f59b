"""The network's input: luminance, normalised, and the same for gray and coloured faces of one brightness."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from einops import rearrange

from stemo.network.preprocessing import (
    LUMINANCE,
    TURNS,
    WHOLE,
    Channel,
    Preprocessing,
    View,
    area_matrix,
    averaged,
    block_matrices,
)


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


def test_a_fitted_picture_is_one_of_its_luminance() -> None:
    pictures = torch.randint(0, 255, (2, 224, 224, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    gray = pictures.double() @ torch.tensor(LUMINANCE, dtype=torch.double)
    expected = F.interpolate(gray[:, None], (128, 128), mode="area") / (255 * 0.25) - 2
    torch.testing.assert_close(Preprocessing().fitted(pictures).double(), expected, atol=1e-5, rtol=0)


def test_averages_over_areas_that_do_not_divide() -> None:
    assert area_matrix(3, 2).tolist() == [[0.5, 0.5, 0.0], [0.0, 0.5, 0.5]]


def seen(values: torch.Tensor, view: View = WHOLE) -> torch.Tensor:
    """(n 2 h w) -> (n 2 128 128), each channel as it is."""
    pictures = rearrange(values, "n c h w -> n h w c")
    return torch.cat([averaged(pictures, 128, Channel(only), view) for only in ((1.0, 0.0), (0.0, 1.0))], 1)


@pytest.mark.parametrize(
    "sides", [(224, 224), (90, 131), (128, 128)], ids=["crop", "larger and not square", "as it is"]
)
def test_areas_are_averaged_as_pytorch_does(sides: tuple[int, int]) -> None:
    values = torch.randn(3, 2, *sides, generator=torch.Generator().manual_seed(0))
    expected = F.interpolate(values, (128, 128), mode="area")
    torch.testing.assert_close(seen(values), expected, atol=1e-6, rtol=0)


def test_a_picture_is_averaged_alike_alone_and_among_others() -> None:
    pictures = torch.randint(0, 255, (5, 224, 224, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    together = Preprocessing().fitted(pictures)
    for one, expected in zip(pictures, together, strict=True):
        assert torch.equal(Preprocessing().fitted(one[None])[0], expected)


@pytest.mark.parametrize("view", [WHOLE, *TURNS])
@pytest.mark.parametrize("side", [224, 128])
def test_a_view_is_a_part_of_the_picture_made_smaller(view: View, side: int) -> None:
    values = torch.randn(1, 2, side, side, generator=torch.Generator().manual_seed(0))
    start = view.margin * side // 28
    part = values[..., start : side - start, start : side - start]
    expected = F.interpolate(part.flip(-1) if view.mirrored else part, (128, 128), mode="area")
    torch.testing.assert_close(seen(values, view), expected, atol=1e-6, rtol=0)


def test_the_turns_hold_both_sides_and_both_distances_and_change_sides_every_time() -> None:
    assert sorted((view.margin, view.mirrored) for view in TURNS) == [(0, False), (0, True), (1, False), (1, True)]
    assert all(one.mirrored != other.mirrored for one, other in zip(TURNS, TURNS[1:] + TURNS[:1], strict=True))


def test_each_picture_has_its_own_view_whatever_comes_with_it() -> None:
    pictures = torch.randint(0, 255, (4, 224, 224, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    together = Preprocessing().fitted(pictures, TURNS)
    for place, view in enumerate(TURNS):
        assert torch.equal(Preprocessing().fitted(pictures[place : place + 1], [view])[0], together[place])


def test_what_is_made_once_serves_training_too() -> None:
    block_matrices.cache_clear()
    with torch.inference_mode():
        block_matrices(6, 6, 3, Channel((1.0,)), torch.device("cpu"))
    values = torch.ones(1, 6, 6, 1, requires_grad=True)
    averaged(values, 3, Channel((1.0,))).sum().backward()
    torch.testing.assert_close(values.grad, torch.full((1, 6, 6, 1), 0.25))
