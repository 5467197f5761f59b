"""What an epoch of training comes to, added up batch by batch."""

from __future__ import annotations

import torch
from torch import Tensor

from stemo.training.boards import Epoch


class Tally:
    """Losses, hits and gradient norms of an epoch; the sums stay on ``device``, so that no step waits for them."""

    def __init__(self, device: torch.device) -> None:
        self._loss, self._hits, self._faces = torch.zeros(3, device=device).unbind()
        self._norms: list[Tensor] = []

    def add(self, loss: Tensor, logits: Tensor, category: Tensor, norm: Tensor) -> None:
        """Count a batch: its loss (), logits (n k), target distributions (n k) and gradient norm ().

        A hit is a face whose highest logit is its target's top class; with mixup that of the mixed target, of which
        the network sees two faces at once. Faces without votes are not counted.
        """
        voted = category.sum(-1) > 0
        hits = (logits.detach().argmax(-1) == category.argmax(-1)) & voted
        self._loss, self._hits = self._loss + loss.detach(), self._hits + hits.sum()
        self._faces = self._faces + voted.sum()
        self._norms.append(norm)

    @property
    def loss(self) -> float:
        """The mean over the batches."""
        return float(self._loss / len(self._norms))

    @property
    def accuracy(self) -> float | None:
        """Share of hits in [0, 1]; ``None`` where no face had votes."""
        return float(self._hits / self._faces) if self._faces else None

    def epoch(self, rate: float, speed: float) -> Epoch:
        """The epoch for the board: ``rate`` is the learning rate at its end, ``speed`` faces per second."""
        return Epoch(self.loss, self.accuracy, torch.stack(self._norms), rate, speed)
