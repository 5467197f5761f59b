"""Whether a training has lost itself in numbers that are none: looked at after every epoch, before it is judged."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from stemo.errors import ConfigError
from stemo.training.distributed import ALONE, World
from stemo.training.metrics import CategoryReadings

CPU = torch.device("cpu")


def check_epoch(
    stage: str,
    epoch: int,
    loss: float,
    network: nn.Module,
    readings: CategoryReadings,
    world: World = ALONE,
    device: torch.device = CPU,
) -> None:
    """Raise :class:`ConfigError` where the ``epoch`` (from 1) of ``stage`` came to anything that is not finite.

    That is its mean ``loss``, the averaged weights of ``network`` or what it reads. All processes of the ``world``,
    which train on ``device``, raise where one would.
    """
    lost = _lost(network, readings) if np.isfinite(loss) else f"a loss of {loss}"
    if world.any(bool(lost), device):
        raise _diverged(f"at epoch {epoch} of stage {stage}", lost or "others in another process")


def check_result(network: nn.Module, readings: CategoryReadings) -> None:
    """Raise :class:`ConfigError` where what a training came to has weights or readings that are not finite."""
    if lost := _lost(network, readings):
        raise _diverged("in an earlier run", lost)


def _lost(network: nn.Module, readings: CategoryReadings) -> str:
    values = [value for value in network.state_dict().values() if value.is_floating_point()]
    if not all(bool(value.isfinite().all()) for value in values):
        return "weights that are not"
    return "" if np.isfinite(readings.probabilities).all() else "readings that are not"


def _diverged(where: str, lost: str) -> ConfigError:
    return ConfigError(
        f"training diverged {where}: expected finite loss, weights and readings, got {lost}. "
        "Choose another --name and a lower lr (training: in --config)."
    )
