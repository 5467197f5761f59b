"""Learning-rate schedules: a factor on the learning rate, by progress and, for the plateau, by how training goes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

from stemo.config import did_you_mean
from stemo.errors import ConfigError

FLOOR = 0.01  # of the learning rate, at the end
WARM_UP_START = 1e-3
STEPS = ((0.6, 0.1), (0.85, 0.01))  # from this progress on, this factor


class Schedule(Protocol):
    """``factor`` for a progress in [0, 1]; ``observe`` takes each epoch's score; ``state`` is what a resume needs."""

    def factor(self, progress: float) -> float: ...
    def observe(self, score: float) -> None: ...
    def state(self) -> dict[str, Any]: ...
    def restore(self, state: dict[str, Any]) -> None: ...


@dataclass(slots=True)
class Cosine:
    """Linear warm-up, then a cosine down to the floor (Loshchilov & Hutter, ICLR 2017)."""

    warmup: float = 0.1

    def factor(self, progress: float) -> float:
        """1 after the warm-up, :data:`FLOOR` at the end."""
        if progress < self.warmup:
            return _rising(progress, self.warmup)
        return FLOOR + (1 - FLOOR) * _falling((progress - self.warmup) / (1 - self.warmup))

    def observe(self, score: float) -> None:
        """Nothing to learn from it."""

    def state(self) -> dict[str, Any]:
        """Nothing to keep."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Nothing to bring back."""


class OneCycle(Cosine):
    """A cosine up over the first 30 %, then down to nearly nothing (Smith & Topin, "Super-convergence", 2018)."""

    def factor(self, progress: float) -> float:
        """1 at 30 %."""
        if progress < 0.3:
            return 0.04 + 0.96 * (1 - _falling(progress / 0.3))
        return 1e-4 + (1 - 1e-4) * _falling((progress - 0.3) / 0.7)


class Step(Cosine):
    """Linear warm-up, then a tenth at 60 % and a hundredth at 85 %."""

    def factor(self, progress: float) -> float:
        """1, 0.1 or 0.01 after the warm-up."""
        if progress < self.warmup:
            return _rising(progress, self.warmup)
        return next((value for start, value in reversed(STEPS) if progress >= start), 1.0)


@dataclass(slots=True)
class Plateau:
    """Linear warm-up, then half as much whenever the score has not risen for ``patience`` epochs."""

    warmup: float = 0.1
    patience: int = 3
    scale: float = 1.0
    best: float = -math.inf
    waited: int = 0

    def factor(self, progress: float) -> float:
        """A power of 1/2 after the warm-up, not below :data:`FLOOR`."""
        return min(_rising(progress, self.warmup), 1.0) * self.scale

    def observe(self, score: float) -> None:
        """Halve after ``patience`` epochs without a better score."""
        self.waited = 0 if score > self.best else self.waited + 1
        self.best = max(self.best, score)
        if self.waited >= self.patience:
            self.scale, self.waited = max(self.scale / 2, FLOOR), 0

    def state(self) -> dict[str, Any]:
        """The scale, the best score and how long ago it was."""
        return {"scale": self.scale, "best": self.best, "waited": self.waited}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from :meth:`state`."""
        self.scale, self.best, self.waited = state["scale"], state["best"], state["waited"]


SCHEDULES = {"cosine": Cosine, "plateau": Plateau, "step": Step, "onecycle": OneCycle}


def make_schedule(name: str, warmup: float, state: dict[str, Any] | None = None) -> Schedule:
    """The schedule of that name; ``warmup`` is a share of the training, ``state`` that of an interrupted one.

    Raises :class:`ConfigError` for another name.
    """
    if name not in SCHEDULES:
        raise ConfigError(
            f"schedule {name!r} is unknown: expected one of {', '.join(SCHEDULES)}, got {name!r}."
            f"{did_you_mean(name, list(SCHEDULES))}"
        )
    schedule = SCHEDULES[name](warmup)
    if state is not None:
        schedule.restore(state)
    return schedule


def _rising(progress: float, warmup: float) -> float:
    return max(progress / warmup, WARM_UP_START) if warmup > 0 else 1.0


def _falling(share: float) -> float:
    return 0.5 * (1 + math.cos(math.pi * min(share, 1.0)))
