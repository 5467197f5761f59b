"""Optimiser and the moving average of weights."""

from __future__ import annotations

import copy
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

from stemo.errors import ConfigError

Module = TypeVar("Module", bound=nn.Module)


OPTIMISERS = ("adamw", "sgd")


def make_optimiser(
    modules: list[nn.Module], lr: float, weight_decay: float, kind: str = "adamw"
) -> torch.optim.Optimizer:
    """AdamW, or SGD with Nesterov momentum 0.9; norms, biases and other vectors are not decayed.

    Raises :class:`ConfigError` for another ``kind``.
    """
    if kind not in OPTIMISERS:
        raise ConfigError(f"optimiser {kind!r} is unknown: expected one of {', '.join(OPTIMISERS)}, got {kind!r}.")
    parameters = [p for module in modules for p in module.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    if kind == "sgd":
        return torch.optim.SGD(groups, lr=lr, momentum=0.9, nesterov=True)
    return torch.optim.AdamW(groups, lr=lr)


def set_rate(optimiser: torch.optim.Optimizer, lr: float) -> None:
    """Use ``lr`` from now on."""
    for group in optimiser.param_groups:
        group["lr"] = lr


def descend(
    loss: Tensor, network: nn.Module, optimiser: torch.optim.Optimizer, average: WeightAverage, clip: float
) -> Tensor:
    """One step down ``loss`` with gradients of at most norm ``clip``; ``average`` follows ``network``.

    Returns the norm that the gradients had before, ().
    """
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    norm = nn.utils.clip_grad_norm_(network.parameters(), clip)
    optimiser.step()
    average.update(network)
    return norm


class WeightAverage(Generic[Module]):
    """Exponential moving average of a module's weights and buffers, with a short memory at the start."""

    def __init__(self, module: Module, decay: float) -> None:
        self.module: Module = copy.deepcopy(module).eval().requires_grad_(False)
        self.decay = decay
        self.updates = 0

    @torch.no_grad()
    def update(self, module: nn.Module) -> None:
        """Move the average towards ``module``."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        source = module.state_dict()
        for name, value in self.module.state_dict().items():
            if value.dtype.is_floating_point:
                value.lerp_(source[name], 1 - decay)
            else:
                value.copy_(source[name])
