"""How far a stage of training is: its averaged weights, its best ones, and all of it on disk after every epoch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Generic

import torch

from stemo.training.optim import Module, WeightAverage
from stemo.training.origin import ORIGIN, Origin, rests_on_another
from stemo.training.state import load_state, save_state

UNJUDGED = -1.0  # below every accuracy


class Progress(Generic[Module]):
    """The progress of training ``network`` with ``optimiser``; goes on from ``checkpoint`` where it exists.

    ``decay`` is that of the averaged weights (:class:`WeightAverage`), ``top`` the best accuracy in [0, 1] so far, or
    :data:`UNJUDGED`, and ``waited`` the number of epochs since. ``origin`` is written down with every epoch; whether
    ``checkpoint`` is of the same one is :func:`check_origin`'s to say. One that rests on other weights
    (:func:`rests_on_another`) is not gone on from, and replaced by the first :meth:`save`.
    """

    def __init__(
        self,
        network: Module,
        optimiser: torch.optim.Optimizer,
        decay: float,
        checkpoint: Path,
        origin: Origin | None = None,
    ) -> None:
        self.average = WeightAverage(network, decay)
        self.epoch, self.top, self.waited = 0, UNJUDGED, 0
        self.facts: dict[str, Any] = {}
        self._network, self._optimiser, self._checkpoint = network, optimiser, checkpoint
        self._origin = origin or {}
        self._best = WeightAverage(network, 0.0).module
        self._modules = {"network": network, "average": self.average.module, "best": self._best}
        if checkpoint.exists() and not rests_on_another(checkpoint, self._origin):
            self._resume()

    def goes_on(self, epochs: int, patience: int) -> bool:
        """Whether another of ``epochs`` is due: not after ``patience`` epochs (at least 1) without gain."""
        return self.epoch < epochs and self.waited < max(patience, 1)

    def judge(self, accuracy: float) -> None:
        """Count an epoch that came to ``accuracy``, and keep the averaged weights where none were better."""
        self.epoch += 1
        self.waited = 0 if accuracy > self.top else self.waited + 1
        if accuracy > self.top:
            self.top = accuracy
            self._best.load_state_dict(self.average.module.state_dict())

    def save(self, facts: Mapping[str, Any] | None = None) -> None:
        """Write everything that the training goes on from, ``facts`` (anything JSON can hold) with it."""
        own = {"epoch": self.epoch, "best": self.top, "waited": self.waited, "updates": self.average.updates}
        known = {**own, ORIGIN: self._origin, **(facts or {})}
        save_state(self._checkpoint, self._modules, self._optimiser, known)

    def finish(self) -> float:
        """Put the best weights into the network and return their accuracy; 0 where no epoch was judged."""
        self._network.load_state_dict(self._best.state_dict())
        return max(self.top, 0.0)

    def _resume(self) -> None:
        self.facts = load_state(self._checkpoint, self._modules, self._optimiser)
        self.epoch, self.top = self.facts["epoch"], self.facts["best"]
        self.waited, self.average.updates = self.facts.get("waited", 0), self.facts["updates"]
        if self.top <= 0 and self.waited >= self.epoch:
            self.top = UNJUDGED  # earlier states began at 0, and kept fresh weights where nothing was above
