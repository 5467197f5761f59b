"""What the stages of one training run share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from stemo.config import TrainingSettings
from stemo.training.boards import TensorBoard
from stemo.training.collection import Collection
from stemo.training.distributed import World
from stemo.training.origin import Origin
from stemo.training.starting import FRESH, Start

Say = Callable[[str], None]


@dataclass(slots=True)
class Run:
    """Settings, data, places and what was found out before the first stage."""

    settings: TrainingSettings
    folder: Path
    device: torch.device
    world: World
    collection: Collection
    board: TensorBoard
    say: Say
    names: list[str]  # of the data sets, those behind the starting weights too
    origin: Origin
    shift: tuple[float, ...] = ()  # of logits in training, for rare classes
    adjustment: tuple[float, ...] = ()  # of logits in the end, for the same
    begun: Start = FRESH

    @property
    def loss_weights(self) -> tuple[float, float, float]:
        """Weights of the category, valence and arousal losses."""
        return self.settings.category_weight, self.settings.valence_weight, self.settings.arousal_weight
