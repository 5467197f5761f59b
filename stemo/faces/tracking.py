"""Stable ids: which face of this frame is which face of the frames before."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from stemo.faces.regions import centre, iou
from stemo.records import Array, Box, Face, Image, State

KEEP = 1.0  # seconds that an absent face keeps its id
EXPECT = 0.3  # seconds that an absent face is still looked for where it should be
STALE = 9.0  # seconds between two frames after which they have nothing to do with each other
MOMENT = 0.03  # least seconds over which a speed is measured: boxes tremble
FASTEST = 10.0  # a face's own widths per second: what seems faster is no motion
FORBIDDEN = 1e6
LOOK = 16  # side of the small picture by which a face is recognised

Matrix = npt.NDArray[np.float64]


@dataclass(slots=True)
class Track:
    """What is remembered of one face: its last sight, its speed in pixels per second, and its looks."""

    face: Face
    time: float
    looks: Array | None
    speed: tuple[float, float] = (0.0, 0.0)
    since: tuple[float, Box] | None = None  # the sight, before the last, from which the next speed is measured

    def at(self, time: float) -> Face:
        """The face moved to where it should be at ``time``, at constant speed for a third of a second at most."""
        elapsed = min(max(time - self.time, 0.0), EXPECT)
        return replace(self.face, box=_shifted(self.face.box, self.speed[0] * elapsed, self.speed[1] * elapsed))


class Tracker:
    """Gives every face the id of the person it was before, from place, speed, size and looks.

    An id is kept for ``keep`` seconds of absence by the stream's clock and is never given to another person later.
    Time without frames is no absence: who was in the frame before is expected in the next one.
    """

    def __init__(self, *, keep: float = KEEP) -> None:
        self._keep = keep
        self._tracks: dict[int, Track] = {}
        self._next: int = 1
        self._before: float | None = None  # the time of the last frame

    def expected(self, time: float) -> list[Face]:
        """The faces of the frame before, and those seen until just now, where they should be at ``time`` in seconds."""
        return [track.at(time) for track in self._tracks.values() if 0 <= self._absent(track, time) <= EXPECT]

    def missing(self, time: float) -> list[Face]:
        """Those absent for longer whose ids are kept, where they should have been soon after they were last seen."""
        tracks = self._tracks.values()
        return [track.at(time) for track in tracks if EXPECT < self._absent(track, time) <= self._keep]

    def update(self, faces: Sequence[Face], time: float, *, cut: bool = False) -> list[Face]:
        """``faces`` (with crops of any size) with their ``track_id``, in order of it.

        A ``cut`` ends all ids, but for a face that is in the same place and looks the same (a flash, not a cut). Time
        that runs backwards starts afresh.
        """
        self._forget(time)
        ids = list(self._tracks)
        sights = [(face, looks(face.crop)) for face in faces]
        costs = np.array([[self._cost(self._tracks[id], *sight, time, cut) for sight in sights] for id in ids])
        matched = {column: ids[row] for row, column in assign(costs.reshape(len(ids), len(faces)))}
        if cut:
            self._tracks = {id: self._tracks[id] for id in matched.values()}
        seen = [self._note(*sight, matched.get(column), time, cut) for column, sight in enumerate(sights)]
        self._before = time
        return sorted(seen, key=lambda face: face.track_id)

    def state(self) -> State:
        """The next id, and the tracks in their order: of their faces what later ones are compared with."""
        tracks = [
            (id, face.box, face.score, face.landmarks, track.time, track.looks, track.speed, track.since)
            for id, track in self._tracks.items()
            for face in (track.face,)
        ]
        return {"next": self._next, "before": self._before, "tracks": tracks}

    def restore(self, state: State) -> None:
        """Go on from :meth:`state`."""
        self._next, self._before = state["next"], state["before"]
        self._tracks = {
            id: Track(Face(box, score, landmarks=landmarks), *rest)
            for id, box, score, landmarks, *rest in state["tracks"]
        }

    def _absent(self, track: Track, time: float) -> float:
        """Seconds since a face was seen; none for one that the frame before showed."""
        elapsed = time - track.time
        return 0.0 if track.time == self._before and 0 <= elapsed <= STALE else elapsed

    def _forget(self, time: float) -> None:
        if any(time < track.time for track in self._tracks.values()):
            self._tracks.clear()
        self._tracks = {id: track for id, track in self._tracks.items() if self._absent(track, time) <= self._keep}

    def _cost(self, track: Track, face: Face, seen: Array | None, time: float, cut: bool) -> float:
        alike = likeness(track.looks, seen)
        expected = track.at(time).box
        if cut and not (alike > 0.9 and iou(expected, face.box) > 0.3):
            return FORBIDDEN
        elapsed = min(max(time - track.time, 0.0), self._keep)
        distance = _distance(expected, face.box)
        # the longer ago a face was seen, the further it may have moved, and the more its looks must agree
        if distance > 0.8 + 2.0 * elapsed or not 0.4 < _size(face.box) / _size(expected) < 2.5:
            return FORBIDDEN
        if alike < (0.2 if elapsed < EXPECT else 0.5):
            return FORBIDDEN
        return 0.4 * (1 - iou(expected, face.box)) + 0.3 * distance + 0.6 * (1 - alike)

    def _note(self, face: Face, seen: Array | None, id: int | None, time: float, cut: bool) -> Face:
        if id is None:
            id, self._next = self._next, self._next + 1
            self._tracks[id] = Track(face, time, seen)
        else:
            track = self._tracks[id]
            motion = ((0.0, 0.0), None) if cut else _motion(track, face.box, time)
            self._tracks[id] = Track(face, time, _blend(track.looks, seen), *motion)
        return replace(face, track_id=id)


def assign(costs: Matrix) -> list[tuple[int, int]]:
    """Pairs (row, column) of least total cost, each row and column once; forbidden pairs are left out."""
    if costs.size == 0:
        return []
    if costs.shape[0] > costs.shape[1]:
        return sorted((row, column) for column, row in assign(costs.T))
    columns = _hungarian(costs) if len(costs) > 1 else [int(costs.argmin())]
    return [(row, column) for row, column in enumerate(columns) if costs[row, column] < FORBIDDEN]


def _hungarian(costs: Matrix) -> list[int]:
    """The column of each row (rows <= columns) at least total cost: shortest augmenting paths over dual prices."""
    rows, columns = costs.shape
    # index 0 of every list stands for "none yet", so rows and columns count from 1
    price_row, price_column = np.zeros(rows + 1), np.zeros(columns + 1)
    owner = np.zeros(columns + 1, int)
    for row in range(1, rows + 1):
        owner[0], here = row, 0
        nearest, previous = np.full(columns + 1, np.inf), np.zeros(columns + 1, int)
        done = np.zeros(columns + 1, bool)
        while owner[here]:
            done[here] = True
            reduced = costs[owner[here] - 1] - price_row[owner[here]] - price_column[1:]
            better = ~done[1:] & (reduced < nearest[1:])
            nearest[1:][better], previous[1:][better] = reduced[better], here
            after = int(np.where(done, np.inf, nearest).argmin())
            step = nearest[after]
            price_row[owner[done]] += step
            price_column[done] -= step
            nearest[~done] -= step
            here = after
        while here:
            owner[here], here = owner[previous[here]], int(previous[here])
    return [int(np.flatnonzero(owner[1:] == row)[0]) for row in range(1, rows + 1)]


def looks(crop: Image | None) -> Array | None:
    """What a face looks like, as a unit vector: its tiny colour picture without the mean and scale of the light."""
    if crop is None:
        return None
    tiny = cv2.resize(crop, (LOOK, LOOK), interpolation=cv2.INTER_AREA).astype(np.float32)
    centred = (tiny - tiny.mean()).ravel()
    return (centred / max(float(np.linalg.norm(centred)), 1e-6)).astype(np.float32)


def likeness(one: Array | None, other: Array | None) -> float:
    """How alike two looks are, in [-1, 1]; 0.7, which decides nothing, where one is missing."""
    return 0.7 if one is None or other is None else float(one @ other)


def _blend(before: Array | None, now: Array | None) -> Array | None:
    if before is None or now is None:
        return now if before is None else before
    mixed = 0.9 * before + 0.1 * now
    return (mixed / max(float(np.linalg.norm(mixed)), 1e-6)).astype(np.float32)


def _motion(track: Track, box: Box, time: float) -> tuple[tuple[float, float], tuple[float, Box] | None]:
    """The speed of a track that is now at ``box``, and the sight to measure the next one from."""
    begun, before = track.since or (track.time, track.face.box)
    elapsed = time - begun
    if elapsed < MOMENT:
        return track.speed, (begun, before)
    (x0, y0), (x1, y1), most = centre(before), centre(box), FASTEST * _size(box)
    right, down = (min(max(way / elapsed, -most), most) for way in (x1 - x0, y1 - y0))
    return (0.5 * track.speed[0] + 0.5 * right, 0.5 * track.speed[1] + 0.5 * down), None


def _distance(one: Box, other: Box) -> float:
    (x0, y0), (x1, y1) = centre(one), centre(other)
    return math.hypot(x1 - x0, y1 - y0) / max(_size(one), _size(other))


def _size(box: Box) -> float:
    return math.sqrt(max(box[2] - box[0], 1e-3) * max(box[3] - box[1], 1e-3))


def _shifted(box: Box, right: float, down: float) -> Box:
    return box[0] + right, box[1] + down, box[2] + right, box[3] + down
