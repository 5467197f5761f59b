"""The heads-up display: everything known about a frame, drawn beside what it is about."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import astuple
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np

from stemo.output import panels, text
from stemo.output.palette import INK, QUIET, emotion_colour
from stemo.output.placement import Layout, Placer
from stemo.records import Affect, Box, FrameResult, Image, Reading, SceneObject, State

FEW = 2  # up to so many faces get the full panel
SMALLEST = 9  # pixels: no full panel is shrunk below this letter size
LEAST = 32  # pixels: a picture with a shorter side is left as it is, as nothing could be read on it


class Hud:
    """Draws results on their pictures: boxes, ids, readings with their last ``seconds``, objects, rate.

    Everything scales with the picture (measured as its geometric mean side; 640x360 is one unit). It remembers where
    each panel was and what each face did, so give one ``Hud`` one video, in order.
    """

    def __init__(self, seconds: float = 3.0) -> None:
        self._seconds = seconds
        self._placer = Placer()
        self._pasts: dict[int, deque[Moment]] = {}

    def draw(self, result: FrameResult) -> Image:
        """A new picture (h w 3) with the display on it; the frame itself is not changed."""
        image = result.frame.image.copy()
        if min(image.shape[:2]) < LEAST:
            return image
        unit = scale(image)
        boxes = [reading.face.box for reading in result.faces if reading.face]
        for item in result.objects:
            _draw_object(image, item, boxes, unit)
        self._remember(result)
        for reading in result.faces:
            _draw_box(image, reading, unit, with_id=len(boxes) > 1)
        taken = self._draw_panels(image, result, unit)
        if not boxes:
            draw_hint(image, "No face in view", unit)
        if result.fps > 0:
            _draw_rate(image, result.fps, [*boxes, *taken], unit)
        return image

    def state(self) -> State:
        """Where each panel is, and what each face did."""
        pasts = [(id, [(one.time, astuple(one.affect)) for one in past]) for id, past in self._pasts.items()]
        return {"panels": self._placer.state(), "pasts": pasts}

    def restore(self, state: State) -> None:
        """Go on from :meth:`state`."""
        self._placer.restore(state["panels"])
        self._pasts = {id: deque(Moment.of(time, Affect(*one)) for time, one in past) for id, past in state["pasts"]}

    def _draw_panels(self, image: Image, result: FrameResult, unit: float) -> list[Box]:
        readings = {r.face.track_id: r for r in result.faces if r.face and _affect(r) is not None}
        faces = [(track_id, _grown(r.face.box, 2 * unit)) for track_id, r in readings.items() if r.face]
        categories = max((len(affect.labels) for affect in map(_affect, readings.values()) if affect), default=0)
        layouts = _layouts(len(faces), unit, categories)
        frame = (image.shape[1], image.shape[0])
        spots = self._placer.place(faces, layouts, frame, 8 * unit, result.frame.time)
        for track_id, spot in spots.items():
            affect = _affect(readings[track_id])
            if affect is not None:
                past = self._past(track_id, result.frame.time)
                panels.draw(image, spot.layout, round(spot.x), round(spot.y), track_id, affect, past)
        return [spot.box for spot in spots.values()]

    def _remember(self, result: FrameResult) -> None:
        now = result.frame.time
        for reading in result.faces:
            affect = _affect(reading)
            if reading.face is not None and affect is not None:
                self._pasts.setdefault(reading.face.track_id, deque()).append(Moment.of(now, affect))
        for track_id, past in list(self._pasts.items()):
            while past and not 0 <= now - past[0].time <= self._seconds:
                past.popleft()
            if not past:
                del self._pasts[track_id]

    def _past(self, track_id: int, now: float) -> panels.History:
        past = self._pasts[track_id]
        return panels.History(
            ages=1 + (np.array([one.time for one in past]) - now) / self._seconds,
            valence=np.array([one.affect.valence for one in past]),
            arousal=np.array([one.affect.arousal for one in past]),
            emotions=[one.emotion for one in past],
        )


class Moment(NamedTuple):
    """What a face showed at a ``time`` in seconds."""

    time: float
    affect: Affect
    emotion: str

    @classmethod
    def of(cls, time: float, affect: Affect) -> Moment:
        """The moment, its emotion found once: it is drawn for seconds."""
        return cls(time, affect, affect.emotion)


def scale(image: Image) -> float:
    """Pixels per unit: 1 at 640x360, 6 at 4K; by the geometric mean side, so that upright videos are served as well."""
    return math.sqrt(image.shape[0] * image.shape[1]) / 480


@lru_cache(maxsize=32)
def _layouts(faces: int, unit: float, categories: int) -> list[Layout]:
    full = [panels.layout("tall", unit, categories)]
    if 9.5 * unit * 0.84 >= SMALLEST:
        full.append(panels.layout("tall", unit * 0.84, categories))
    small = [panels.layout(name, unit, categories) for name in ("compact", "tag")]
    return [*full, panels.layout("wide", unit, categories), *small] if faces <= FEW else small


def _affect(reading: Reading) -> Affect | None:
    return reading.smoothed or reading.raw


def _grown(box: Box, by: float) -> Box:
    return (box[0] - by, box[1] - by, box[2] + by, box[3] + by)


def _draw_box(image: Image, reading: Reading, unit: float, *, with_id: bool) -> None:
    """Four rounded corners around the face, in the colour of its emotion; its id where panels could be confused."""
    affect = _affect(reading)
    colour = emotion_colour(affect.emotion if affect else "Neutral")
    if reading.face is None:
        return
    lines = _corners(reading.face.box)
    thick = max(1, round(1.8 * unit))
    cv2.polylines(image, lines, False, INK, thick + max(2, round(0.9 * unit)), cv2.LINE_AA, 3)
    cv2.polylines(image, lines, False, colour, thick, cv2.LINE_AA, 3)
    if with_id:
        x1, y1, x2, y2 = reading.face.box
        outwards = max(0.0, panels.CHIP * unit - 0.2 * min(x2 - x1, y2 - y1))
        panels.chip(image, x1 - outwards, y1 - outwards, reading.face.track_id, colour, unit)


def _corners(box: Box) -> list[np.ndarray]:
    """The bends of the four corners, in eighths of a pixel."""
    x1, y1, x2, y2 = box
    arm = 0.17 * min(x2 - x1, y2 - y1)
    places = np.array([[[x1, y1]], [[x2, y1]], [[x1, y2]], [[x2, y2]]])  # (corner 1 xy)
    return list(np.rint((places + arm * _BENDS) * 8).astype(np.int32))


def _bends() -> np.ndarray:
    """The four corners (corner point xy) of arms of length 1, from the end of the upright one to that of the level."""
    turn, radius = np.linspace(0, math.pi / 2, 7), 0.4
    across = np.concatenate(([0.0], radius * (1 - np.cos(turn)), [1.0]))
    down = np.concatenate(([1.0], radius * (1 - np.sin(turn)), [0.0]))
    inwards = np.array([[[1, 1]], [[-1, 1]], [[1, -1]], [[-1, -1]]])
    return np.stack([across, down], axis=1) * inwards


_BENDS = _bends()


def _draw_object(image: Image, item: SceneObject, faces: Sequence[Box], unit: float) -> None:
    """A thin frame and a small word: there for who looks for it."""
    x1, y1, x2, y2 = (round(value) for value in item.box)
    cv2.rectangle(image, (x1, y1), (x2, y2), QUIET, max(1, round(0.5 * unit)), cv2.LINE_AA)
    size = max(8, round(9 * unit))
    words = f"{item.label} {item.confidence:.0%}"
    width, height, pad = text.width(words, size), text.height(size), 3 * unit
    x = min(max(pad, x1 + pad), max(pad, image.shape[1] - width - pad))
    for y in (y1 + pad, y2 - height - pad, y1 - height - pad):
        area = (x, y, x + width, y + height)
        if 0 <= y <= image.shape[0] - height and not any(_touch(area, face) for face in faces):
            text.write(image, words, x, y, size, QUIET, middle=False, shadow=True)
            return


def _draw_rate(image: Image, fps: float, taken: Sequence[Box], unit: float) -> None:
    """The processing rate in the first corner that is free."""
    size, margin = max(8, round(9 * unit)), 8 * unit
    words = f"{fps:.0f} fps"
    width, height = text.width(words, size), text.height(size)
    right, bottom = image.shape[1] - margin - width, image.shape[0] - margin - height
    for x, y in ((right, margin), (margin, margin), (right, bottom), (margin, bottom)):
        if not any(_touch((x, y, x + width, y + height), box) for box in taken):
            text.write(image, words, x, y, size, QUIET, middle=False, shadow=True)
            return


def draw_hint(image: Image, words: str, unit: float) -> None:
    """Words on a small pane at the lower edge, in place."""
    size = max(8, round(10 * unit))
    width, height = text.width(words, size) + round(24 * unit), round(22 * unit)
    x, y = (image.shape[1] - width) // 2, image.shape[0] - height - round(14 * unit)
    panels.glass(image, x, y, width, height, height // 2)
    text.write(image, words, x + width / 2, y + height / 2, size, QUIET, align="centre")


def _touch(one: Box, other: Box) -> bool:
    return min(one[2], other[2]) > max(one[0], other[0]) and min(one[3], other[3]) > max(one[1], other[1])
