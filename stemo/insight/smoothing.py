"""Steadier readings: each track is averaged over its own recent past, and forgotten when it is gone.

Both smoothers answer the same three questions, so that the pipeline does not care which one it has::

    smoother = MovingAverage(5)            # or Ema(0.4)
    affect = smoother.update(track_id, raw, time)
    box = smoother.update_box(track_id, box, time)
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import astuple
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from stemo.errors import ConfigError
from stemo.records import Affect, Box, State

FORGET_AFTER = 1.0  # seconds
T = TypeVar("T")


class Smoother(Protocol):
    """What the pipeline asks of a smoother; ``time`` is the frame's PTS in seconds."""

    def update(self, track_id: int, affect: Affect, time: float) -> Affect:
        """The smoothed reading of this track, ``affect`` included."""
        ...

    def update_box(self, track_id: int, box: Box, time: float) -> Box:
        """The smoothed box of this track, in pixels, ``box`` included."""
        ...


class MovingAverage:
    """The mean of the last ``n`` readings of a track (n >= 1; 1 changes nothing). Boxes pass as they are.

    A track not updated for more than ``forget_after`` seconds, or met again earlier than before, starts afresh.
    Raises :class:`ConfigError` for an ``n`` below 1.
    """

    def __init__(self, n: int = 5, *, forget_after: float = FORGET_AFTER) -> None:
        if n < 1:
            raise ConfigError(f"smoothing {n!r} is out of range: expected a count >= 1, got {n}. Use 1 for none.")
        self._tracks: _Tracks[deque[Affect]] = _Tracks(forget_after, lambda: deque(maxlen=n))

    def update(self, track_id: int, affect: Affect, time: float) -> Affect:
        """The mean of the last readings of ``track_id``; probabilities sum to 1."""
        recent = self._tracks.get(track_id, time)
        recent.append(affect)
        if len(recent) == 1:
            return affect
        return _from_values([sum(values) / len(recent) for values in zip(*map(_values, recent), strict=True)], affect)

    def update_box(self, track_id: int, box: Box, time: float) -> Box:  # noqa: ARG002
        """``box`` unchanged: a moving average would let it trail behind the face."""
        return box

    def state(self) -> State:
        """The last readings of every track."""
        return {"readings": self._tracks.state(lambda recent: [astuple(affect) for affect in recent])}

    def restore(self, state: State) -> None:
        """Go on from :meth:`state`."""
        self._tracks.restore(state["readings"], lambda recent, kept: recent.extend(Affect(*one) for one in kept))


class Ema:
    """Exponential moving average: ``alpha`` (0 < alpha <= 1) is the weight of the newest reading; 1 changes nothing.

    Applied to readings and boxes. Forgets tracks as :class:`MovingAverage` does. Raises :class:`ConfigError` for an
    ``alpha`` out of range.
    """

    def __init__(self, alpha: float, *, forget_after: float = FORGET_AFTER) -> None:
        if not 0.0 < alpha <= 1.0:
            raise ConfigError(f"ema {alpha!r} is out of range: expected 0 < alpha <= 1, got {alpha}. Use 1 for none.")
        self._alpha = alpha
        self._affects: _Tracks[_Average] = _Tracks(forget_after, _Average)
        self._boxes: _Tracks[_Average] = _Tracks(forget_after, _Average)

    def update(self, track_id: int, affect: Affect, time: float) -> Affect:
        """The running average of ``track_id``; probabilities sum to 1."""
        average = self._affects.get(track_id, time)
        fresh = average.value is None or self._alpha == 1.0
        vector = average.blend(np.array(_values(affect)), self._alpha)
        return affect if fresh else _from_values(vector.tolist(), affect)

    def update_box(self, track_id: int, box: Box, time: float) -> Box:
        """The running average of the boxes of ``track_id``, in pixels."""
        x1, y1, x2, y2 = self._boxes.get(track_id, time).blend(np.asarray(box, dtype=np.float64), self._alpha).tolist()
        return (x1, y1, x2, y2)

    def state(self) -> State:
        """The running averages of every track."""
        return {name: tracks.state(_Average.read) for name, tracks in self._kinds()}

    def restore(self, state: State) -> None:
        """Go on from :meth:`state`."""
        for name, tracks in self._kinds():
            tracks.restore(state[name], _Average.set)

    def _kinds(self) -> tuple[tuple[str, _Tracks[_Average]], ...]:
        return ("readings", self._affects), ("boxes", self._boxes)


class _Average:
    """One running vector."""

    def __init__(self) -> None:
        self.value: np.ndarray | None = None

    def blend(self, vector: np.ndarray, alpha: float) -> np.ndarray:
        self.value = vector if self.value is None else self.value + alpha * (vector - self.value)
        return self.value

    def read(self) -> np.ndarray | None:
        return self.value

    def set(self, value: np.ndarray | None) -> None:
        self.value = value


class _Tracks(Generic[T]):
    """A state per track, dropped when its track has not been seen for a while."""

    def __init__(self, forget_after: float, make: Callable[[], T]) -> None:
        self._forget_after = forget_after
        self._make = make
        self._states: dict[int, tuple[float, T]] = {}

    def get(self, track_id: int, time: float) -> T:
        self._states = {
            key: (seen, state) for key, (seen, state) in self._states.items() if 0 <= time - seen <= self._forget_after
        }
        _, state = self._states.get(track_id, (time, None))
        state = self._make() if state is None else state
        self._states[track_id] = (time, state)
        return state

    def state(self, read: Callable[[T], Any]) -> list[tuple[int, float, Any]]:
        return [(key, seen, read(state)) for key, (seen, state) in self._states.items()]

    def restore(self, kept: list[tuple[int, float, Any]], put: Callable[[T, Any], None]) -> None:
        self._states = {key: (seen, self._make()) for key, seen, _ in kept}
        for key, _, state in kept:
            put(self._states[key][1], state)

    def __len__(self) -> int:
        return len(self._states)


def _values(affect: Affect) -> tuple[float, ...]:
    return (*affect.probabilities, affect.valence, affect.arousal)


def _from_values(values: Sequence[float], like: Affect) -> Affect:
    *chances, valence, arousal = values
    whole = sum(chances)
    return Affect(tuple(chance / whole for chance in chances), valence, arousal, like.labels)
