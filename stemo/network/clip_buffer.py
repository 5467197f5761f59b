"""The last frames of one face, by time, and in which view each is seen.

A network reads a face and its mirror image, or another part of its picture, a little differently, and all together
better than any (test-time augmentation). Here that costs nothing: from one 1/25 s to the next a face is seen in another
of its views (``preprocessing.TURNS``), so a clip holds them all. They are counted by face and not by time alone, so
that no frame rate keeps to the same view.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from stemo.network.model import CLIP_LENGTH
from stemo.network.preprocessing import views_of
from stemo.records import State

BUFFER_FPS = 25.0
LONGEST_GAP = 1.0  # seconds without a face after which a buffer starts anew


class Sighting(NamedTuple):
    """A moment in seconds, and the number of the view in which a face was seen then."""

    time: float
    view: int


def begins(last: float | None, time: float) -> bool:
    """Whether a face at ``time``, seen at ``last`` before, begins a clip: new, long gone, or a step back in time."""
    return last is None or not 0 <= time - last <= LONGEST_GAP


def gone(last: float, time: float) -> bool:
    """Whether a face seen at ``last`` is given up at ``time``."""
    return abs(time - last) > LONGEST_GAP


def turns(length: int) -> Tensor:
    """The number of the view in each place of a still face, oldest first: (t), the newest in the first."""
    return -torch.arange(length - 1, -1, -1) % len(views_of(length))


def views_at(time: float, last: Sighting | None, length: int) -> tuple[int, ...]:
    """The numbers of the views to encode of a face at ``time``, of which ``last`` was seen before.

    The next view in every new 1/25 s; a face that begins is seen in all, that of the moment first.
    """
    count = len(views_of(length))
    if last is None or begins(last.time, time):
        return tuple(range(count))
    return ((last.view + (_place(last.time) != _place(time))) % count,)


def _place(time: float) -> int:
    """Which 1/25 s a moment lies in."""
    # an eighth of a place off, so that few frame rates have frames just between two places
    return math.floor(time * BUFFER_FPS + 0.125)


class ClipBuffer:
    """The last frames of one face, by time: 16 places, 1/25 s apart, the newest frame in the last.

    Each place holds the frame nearest to its time, so a 60-fps video and a 15-fps camera show the same motion. Places
    before the first frame repeat it, in all its views where they are known.
    """

    def __init__(self, length: int = CLIP_LENGTH, fps: float = BUFFER_FPS) -> None:
        self.length = length
        self.fps = fps
        self.times: list[float] = []
        self.tokens: list[Tensor] = []
        self.view = 0

    @property
    def last(self) -> Sighting | None:
        """When the face was seen last, and in which view."""
        return Sighting(self.times[-1], self.view) if self.times else None

    def push(self, time: float, views: Sequence[int], tokens: Sequence[Tensor]) -> None:
        """Add a frame, the tokens (each (c,)) of its ``views``; a step back or a long gap empties the buffer first.

        With several views the buffer starts anew: all its places show the frame, in the views in turns.
        """
        if len(views) > 1 or (self.times and begins(self.times[-1], time)):
            self.times, self.tokens = [], []
        if len(views) > 1:
            backs = range(self.length - 1, 0, -1)
            self.times = [time - back / self.fps for back in backs]
            self.tokens = [tokens[-back % len(views)] for back in backs]
        self.times.append(time)
        self.tokens.append(tokens[0])
        self.view = views[0]
        self._forget(time - self.length / self.fps)

    def clip(self) -> Tensor:
        """The buffer's tokens (t c), oldest first."""
        return torch.stack([self.tokens[place] for place in nearest_places(self.times, self.length, self.fps)])

    def state(self) -> State:
        """The frames' times and tokens, an array (t c), and the last view."""
        tokens = torch.stack(self.tokens) if self.tokens else torch.zeros(0, 0)
        return {"times": list(self.times), "tokens": tokens.cpu().numpy(), "view": self.view}

    def restore(self, state: State, device: torch.device) -> None:
        """Go on from :meth:`state`, on any device."""
        self.times, self.view = list(state["times"]), state["view"]
        self.tokens = list(torch.from_numpy(state["tokens"]).to(device))

    def _forget(self, before: float) -> None:
        # one frame at or before the oldest place's time must stay
        drop = max(0, bisect.bisect_right(self.times, before) - 1)
        del self.times[:drop], self.tokens[:drop]


def nearest_places(times: Sequence[float], length: int, fps: float) -> list[int]:
    """Indices into ``times`` (ascending) of the frames nearest to the ``length`` moments ending at the newest."""
    moments = [times[-1] - back / fps for back in reversed(range(length))]
    return [_nearest(times, moment) for moment in moments]


def _nearest(times: Sequence[float], moment: float) -> int:
    """The last of equal times: the newest frame must be in the newest place."""
    right = bisect.bisect_right(times, moment)
    if right == 0:
        return 0
    if right == len(times):
        return len(times) - 1
    return right if times[right] - moment < moment - times[right - 1] else right - 1


def clip_views(times: Sequence[float], length: int) -> list[tuple[int, int]]:
    """What a stream's buffer shows at the last of a face's ``times``: which frame, in which view, oldest first.

    The slow and plain way to say what :meth:`ClipBuffer.push` does in a stream.
    """
    count = len(views_of(length))
    views = [0]
    for before, time in pairwise(times):
        views.append((views[-1] + (_place(before) != _place(time))) % count)
    begun = [(times[0] - back / BUFFER_FPS, 0, -back % count) for back in range(length - 1, 0, -1)]
    seen = [*begun, *zip(times, range(len(times)), views, strict=True)]
    return [seen[place][1:] for place in nearest_places([time for time, *_ in seen], length, BUFFER_FPS)]
