"""The last frames of one face, by time, and which of them are seen mirrored.

A network reads a face and its mirror image a little differently, and both together better than either (test-time
augmentation). Here that costs nothing: every other 1/25 s a face is seen mirrored, so a clip holds both views of it.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence

import torch

from stemo.network.model import CLIP_LENGTH, FrameFeatures
from stemo.records import State

BUFFER_FPS = 25.0
LONGEST_GAP = 1.0  # seconds without a face after which a buffer starts anew


def mirrored(time: float) -> bool:
    """Whether the frame at ``time`` seconds is seen mirrored."""
    # an eighth of a place off, so that few frame rates have frames just between two places
    return math.floor(time * BUFFER_FPS + 0.125) % 2 == 1


def begins(last: float | None, time: float) -> bool:
    """Whether a face at ``time``, seen at ``last`` before, begins a clip: new, long gone, or a step back in time."""
    return last is None or not 0 <= time - last <= LONGEST_GAP


def gone(last: float, time: float) -> bool:
    """Whether a face seen at ``last`` is given up at ``time``."""
    return abs(time - last) > LONGEST_GAP


def turns(length: int) -> torch.Tensor:
    """Which places of a still face are mirrored (1) and which not (0), oldest first: (t), the newest not."""
    return torch.arange(length - 1, -1, -1) % 2


def views_at(time: float, last: float | None, length: int) -> tuple[bool, ...]:
    """The views to encode of a face at ``time``, seen at ``last`` before: as it is, mirrored (``True``), or both.

    It begins in both, that of the moment first; a network that reads one frame sees it as it is.
    """
    if length == 1:
        return (False,)
    view = mirrored(time)
    return (view, not view) if begins(last, time) else (view,)


class ClipBuffer:
    """The last frames of one face, by time: 16 places, 1/25 s apart, the newest frame in the last.

    Each place holds the frame nearest to its time, so a 60-fps video and a 15-fps camera show the same motion. Places
    before the first frame repeat it, in both views where both are known.
    """

    def __init__(self, length: int = CLIP_LENGTH, fps: float = BUFFER_FPS) -> None:
        self.length = length
        self.fps = fps
        self.times: list[float] = []
        self.items: list[FrameFeatures] = []

    def push(self, time: float, features: FrameFeatures, other: FrameFeatures | None = None) -> None:
        """Add the features of a frame (each (c,)); a step back in time or a long gap empties the buffer first.

        With those of the ``other`` view of the frame the buffer starts anew: all its places show the frame, in turns.
        """
        if other is not None or (self.times and begins(self.times[-1], time)):
            self.times, self.items = [], []
        if other is not None:
            backs = range(self.length - 1, 0, -1)
            self.times = [time - back / self.fps for back in backs]
            self.items = [other if back % 2 else features for back in backs]
        self.times.append(time)
        self.items.append(features)
        self._forget(time - self.length / self.fps)

    def clip(self) -> FrameFeatures:
        """The buffer's features (t c) each, oldest first."""
        chosen = [self.items[place] for place in nearest_places(self.times, self.length, self.fps)]
        return FrameFeatures(*(torch.stack(parts) for parts in zip(*chosen, strict=True)))

    def state(self) -> State:
        """The frames' times and features, as arrays (t c)."""
        parts = zip(*self.items, strict=True)
        return {"times": list(self.times), "features": [torch.stack(part).cpu().numpy() for part in parts]}

    def restore(self, state: State, device: torch.device) -> None:
        """Go on from :meth:`state`, on any device."""
        features = [torch.from_numpy(part).to(device) for part in state["features"]]
        self.times = list(state["times"])
        self.items = [FrameFeatures(*frame) for frame in zip(*features, strict=True)]

    def _forget(self, before: float) -> None:
        # one frame at or before the oldest place's time must stay
        drop = max(0, bisect.bisect_right(self.times, before) - 1)
        del self.times[:drop], self.items[:drop]


def nearest_places(times: Sequence[float], length: int, fps: float) -> list[int]:
    """Indices into ``times`` (ascending) of the frames nearest to the ``length`` moments ending at the newest."""
    moments = [times[-1] - back / fps for back in reversed(range(length))]
    return [_nearest(times, moment) for moment in moments]


def _nearest(times: Sequence[float], moment: float) -> int:
    right = bisect.bisect_left(times, moment)
    if right == 0:
        return 0
    if right == len(times):
        return len(times) - 1
    return right if times[right] - moment < moment - times[right - 1] else right - 1


def clip_views(times: Sequence[float], length: int) -> list[tuple[int, bool]]:
    """What a stream's buffer shows at the last of a face's ``times``: which frame, and whether mirrored, oldest first.

    The slow and plain way to say what :meth:`ClipBuffer.push` does in a stream.
    """
    if length == 1:
        return [(len(times) - 1, False)]
    before = [(times[0] - back / BUFFER_FPS, 0, mirrored(times[0]) != (back % 2 == 1)) for back in range(1, length)]
    seen = [*reversed(before), *((time, place, mirrored(time)) for place, time in enumerate(times))]
    return [seen[place][1:] for place in nearest_places([time for time, *_ in seen], length, BUFFER_FPS)]
