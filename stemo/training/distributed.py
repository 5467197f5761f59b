"""Training on several processes started by ``torchrun``: who am I, which pictures are mine, whose gradients count.

The spatial stage, by far the longest, is shared; the short stages after it run on the first process alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import distributed, nn

from stemo.errors import ConfigError


@dataclass(frozen=True, slots=True)
class World:
    """This process's ``rank`` among ``size`` processes."""

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this process writes files and speaks."""
        return self.rank == 0

    def mine(self, chosen: np.ndarray) -> np.ndarray:
        """This process's share of a batch's indices (n,); all shares are equally long, so that means agree."""
        return chosen[: len(chosen) // self.size * self.size][self.rank :: self.size] if self.size > 1 else chosen

    def check_batch(self, faces: int) -> None:
        """Raise :class:`ConfigError` where a batch of ``faces`` would leave a process without any."""
        if faces < self.size > 1:
            raise ConfigError(
                f"batch {faces!r} is too small for {self.size} processes: expected a face for each, got {faces} in a "
                "batch or in all. Raise batch, add data, or start fewer processes (--nproc-per-node)."
            )

    def leave(self) -> None:
        """Work alone from here on: norms that :meth:`share` made common would wait for the others for ever."""
        if self.size > 1 and distributed.is_initialized():
            distributed.destroy_process_group()

    def share(self, network: nn.Module, device: torch.device) -> nn.Module:
        """``network`` such that its gradients are the mean over all processes."""
        if self.size == 1:
            return network
        if device.type == "cuda":
            network = nn.SyncBatchNorm.convert_sync_batchnorm(network)
        return nn.parallel.DistributedDataParallel(network, device_ids=[device] if device.type == "cuda" else None)

    def agreed(self, value: float, device: torch.device) -> float:
        """The first process's ``value``, in every process; ``device`` is what they train on."""
        if self.size == 1:
            return value
        known = torch.tensor(value, dtype=torch.float64, device=device)
        distributed.broadcast(known, 0)
        return known.item()

    def any(self, value: bool, device: torch.device) -> bool:
        """Whether ``value`` holds in any process; ``device`` is what they train on."""
        if self.size == 1:
            return value
        known = torch.tensor(int(value), device=device)
        distributed.all_reduce(known, distributed.ReduceOp.MAX)
        return bool(known.item())

    def agree_on_buffers(self, network: nn.Module) -> None:
        """Give the buffers of ``network`` the first process's values: on CPUs each has norms of its own pictures."""
        if self.size > 1:
            for buffer in network.buffers():
                distributed.broadcast(buffer, 0)


ALONE = World()


@contextmanager
def joined(device: torch.device) -> Iterator[World]:
    """The world that ``torchrun`` describes in the environment, joined until it is left; alone without it."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield ALONE
        return
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    world = World(distributed.get_rank(), distributed.get_world_size())
    try:
        yield world
    finally:
        world.leave()


def own_device(device: torch.device) -> torch.device:
    """With several processes on GPUs, each has its own; otherwise ``device``."""
    local = os.environ.get("LOCAL_RANK")
    return torch.device("cuda", int(local)) if device.type == "cuda" and local is not None else device
