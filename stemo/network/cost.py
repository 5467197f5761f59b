"""What the network weighs: parameters and multiply-accumulates of its parts."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from einops import repeat
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from stemo.network.model import LANDMARK_FEATURES, FaceNetwork, Network
from stemo.network.preprocessing import INPUT_SIZE


@dataclass(frozen=True, slots=True)
class PartCost:
    """Parameters and multiply-accumulates of a part of the network, the latter per new frame in streaming."""

    name: str
    parameters: int
    macs: int


PARTS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("spatial CNN", ("spatial",)),
    ("multi-scale temporal attention", ("temporal",)),
    ("dynamic channel + spatial attention", ("channel", "place")),
    ("landmark processor", ("landmark",)),
    ("cross-modal fusion", ("recent", "fusion")),
    ("heads", ("heads",)),
)
FRAME_PARTS: tuple[tuple[str, tuple[str, ...]], ...] = (("encoder", ("encoder",)), ("head", ("head",)))


class _NewFrame(nn.Module):
    """One streaming step as one call, so that the counter names the parts below it."""

    def __init__(self, network: FaceNetwork, pixels: int) -> None:
        super().__init__()
        self.network = network
        self.pixels = pixels

    def forward(self) -> None:
        pictures, landmarks = torch.zeros(1, 1, self.pixels, self.pixels), torch.zeros(1, LANDMARK_FEATURES)
        tokens = self.network.encode(pictures, landmarks)
        self.network.read(repeat(tokens, "b c -> b t c", t=self.network.length))


@torch.inference_mode()
def part_costs(network: FaceNetwork, pixels: int = INPUT_SIZE) -> list[PartCost]:
    """Each part's parameters and its MACs for one new frame of ``pixels`` squared, with a full buffer behind it."""
    was_training = network.training
    network.eval()
    with FlopCounterMode(display=False) as counter:
        _NewFrame(network, pixels)()
    network.train(was_training)
    macs = {name: sum(counts.values()) // 2 for name, counts in counter.get_flop_counts().items()}
    prefix = f"{_NewFrame.__name__}.network."
    if isinstance(network, Network):
        macs[f"{prefix}channel"] += _lstm_macs(network.channel.lstm, network.length)
        for name in ("temporal", "channel"):  # what they see of a frame by itself is not counted in them
            macs[f"{prefix}{name}"] += macs[f"{prefix}{name}.squeeze"]
    return [
        PartCost(
            title,
            sum(parameters(getattr(network, name)) for name in names),
            sum(macs.get(f"{prefix}{name}", 0) for name in names),
        )
        for title, names in (PARTS if isinstance(network, Network) else FRAME_PARTS)
    ]


def parameters(module: nn.Module) -> int:
    """How many numbers are learned."""
    return sum(parameter.numel() for parameter in module.parameters())


def _lstm_macs(lstm: nn.LSTM, steps: int) -> int:
    # the flop counter does not see into the fused LSTM kernel
    return steps * sum(weight.numel() for name, weight in lstm.named_parameters() if name.startswith("weight"))
