"""Stages whose every answer follows from all that they saw before, so that nothing can be forgotten unnoticed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from fakes import FixedReader, FixedRecognizer

from stemo.insight.smoothing import MovingAverage
from stemo.pipeline import Pipeline, Scene
from stemo.records import Affect, Box, Face, Frame, State


class RememberingRecognizer(FixedRecognizer):
    """A :class:`stemo.recognizer.Recognizer` without models whose boxes and readings depend on every frame so far.

    ``pace`` is what a frame takes, in seconds.
    """

    def __init__(
        self, count: int = 2, *, pace: float = 0.0, meanwhile: Callable[[Frame], object] = lambda _frame: None
    ) -> None:
        super().__init__(count, meanwhile=meanwhile)
        self._pace = pace
        self._seen = 0

    def find(self, frame: Frame) -> list[Face]:
        time.sleep(self._pace)
        self._seen = (self._seen * 31 + frame.index + int(frame.image[0, 0, 0])) % 1009
        left, top = float(self._seen % 40), float(self._seen % 11)
        box: Box = (left, top, left + 20.0, top + 20.0)
        return [Face(box, face.score, face.track_id, crop=face.crop) for face in super().find(frame)]

    def state(self) -> State:
        return {"seen": self._seen}

    def restore(self, state: State) -> None:
        self._seen = state["seen"]

    @contextmanager
    def stages(self, scene: Scene | None = None, *, in_turn: bool = False) -> Iterator[Pipeline]:  # noqa: ARG002
        self._seen = 0
        yield Pipeline(self, RememberingReader(), MovingAverage(5), scene)


class RememberingReader(FixedReader):
    """Readings move with the sum of all boxes so far."""

    def __init__(self) -> None:
        super().__init__()
        self._sum = 0.0

    def read(self, faces: Sequence[Face], time: float) -> list[Affect]:
        self._sum = (self._sum * 0.9 + sum(face.box[0] + face.box[1] for face in faces)) % 7.0
        return [self.affect(face.track_id, time + self._sum) for face in faces]

    def state(self) -> State:
        return {"sum": self._sum}

    def restore(self, state: State) -> None:
        self._sum = state["sum"]
