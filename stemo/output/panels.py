"""The panels of the HUD: glass, bars, gauges and a sparkline, in four sizes of detail.

A panel has a still part (glass, words, empty tracks), drawn once per size and cached, and a moving part, drawn per
frame. All measures are in units of one pixel at 640x360.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt

from stemo.output import text
from stemo.output.palette import AROUSAL, FAINT, INK, LINE, MUTED, TEXT, VALENCE, Colour, emotion_colour
from stemo.output.placement import Layout
from stemo.records import Affect, Image

GLASS = 0.84  # how much of the picture a panel takes
CHIP = 7.4  # units: the radius of an id badge
SIZES: dict[str, tuple[int, int]] = {"tall": (180, 190), "wide": (372, 66), "compact": (142, 52), "tag": (124, 20)}
USUAL = 7  # categories that these sizes hold
ROW, WIDE_COLUMN, COLUMN = 12, 23, 6  # what each further one takes: a row of "tall", a column of "wide", of "compact"


@dataclass(frozen=True, slots=True)
class History:
    """The last seconds of one face, oldest first; ``ages`` in [0, 1], where 1 is now."""

    ages: npt.NDArray[np.float64]
    valence: npt.NDArray[np.float64]
    arousal: npt.NDArray[np.float64]
    emotions: Sequence[str]


def size(name: str, categories: int = USUAL) -> tuple[int, int]:
    """Width and height of the layout ``name`` in units, with room for so many categories."""
    width, height = SIZES[name]
    more = further(categories)
    across = {"wide": WIDE_COLUMN, "compact": COLUMN}.get(name, 0)
    return width + across * more, height + (ROW * more if name == "tall" else 0)


def further(categories: int) -> int:
    """How many categories there are beyond the :data:`USUAL` ones."""
    return max(0, categories - USUAL)


def layout(name: str, unit: float, categories: int = USUAL) -> Layout:
    """The layout ``name`` at ``unit`` pixels per unit, with room for so many categories."""
    width, height = size(name, categories)
    return Layout(name, round(width * unit), round(height * unit))


def draw(image: Image, place: Layout, x: int, y: int, track_id: int, affect: Affect, past: History) -> None:
    """Draw a panel into ``image`` in place with its upper left corner at ``x, y`` (inside the image)."""
    text.lay(image, _still(place.name, place.width, place.height, affect.labels), x, y)
    region = image[y : y + place.height, x : x + place.width]
    pen = Pen(region, place.width / size(place.name, len(affect.labels))[0])
    _MOVING[place.name](pen, track_id, affect, past)


def glass(image: Image, x: int, y: int, width: int, height: int, radius: int) -> None:
    """Lay a plain rounded pane over ``image`` in place, clipped at its edges."""
    text.lay(image, _plain(width, height, radius), x, y)


class Pen:
    """Draws on a panel in units."""

    def __init__(self, image: Image, unit: float) -> None:
        self.image = image
        self.unit = unit

    def write(self, words: str, x: float, y: float, size: float, colour: Colour, **options: object) -> None:
        u = self.unit
        text.write(self.image, words, x * u, y * u, max(7, round(size * u)), colour, **options)  # type: ignore[arg-type]

    def bar(self, x: float, y: float, width: float, height: float, colour: Colour) -> None:
        """A filled box, its ends exact to a part of a pixel."""
        u = self.unit
        top, bottom = round(y * u), max(round(y * u) + 1, round((y + height) * u))
        left, right = x * u, (x + width) * u
        rows = self.image[top:bottom]
        first, last = round(left), int(right)
        rows[:, first : max(first, last)] = colour
        if len(rows) and first <= last < rows.shape[1]:
            edge, share = rows[:, last : last + 1], right - last
            cv2.addWeighted(edge, 1 - share, _strip(bottom - top, colour)[: len(edge)], share, 0, edge)

    def column(self, x: float, bottom: float, width: float, height: float, colour: Colour) -> None:
        """A box that grows upwards from ``bottom``, at least one pixel high."""
        u = self.unit
        floor = round(bottom * u)
        self.image[floor - max(1, round(height * u)) : floor, round(x * u) : round((x + width) * u)] = colour

    def dot(self, x: float, y: float, radius: float, colour: Colour) -> None:
        u = self.unit
        centre = (round(x * u * 16), round(y * u * 16))
        cv2.circle(self.image, centre, round(radius * u * 16), colour, -1, cv2.LINE_AA, 4)

    def curve(self, xs: npt.NDArray[np.float64], ys: npt.NDArray[np.float64], colour: Colour) -> None:
        points = np.rint(np.stack((xs, ys), axis=1) * self.unit * 16).astype(np.int32)
        cv2.polylines(self.image, [points], False, colour, max(1, round(1.3 * self.unit)), cv2.LINE_AA, 4)

    def spark(self, x: float, y: float, width: float, height: float, past: History) -> None:
        """Valence and arousal of the last seconds, over a ribbon of the emotions."""
        if len(past.ages) > 1:
            xs = x + past.ages * width
            self.curve(xs, y + (1 - past.arousal) * (height - 5), AROUSAL)
            self.curve(xs, y + (1 - past.valence) / 2 * (height - 5), VALENCE)
            self.dot(xs[-1], y + (1 - past.valence[-1]) / 2 * (height - 5), 1.6, VALENCE)
        self._ribbon(x, y + height - 2, width, past)

    def _ribbon(self, x: float, y: float, width: float, past: History) -> None:
        u = self.unit
        left, right = round(x * u), round((x + width) * u)
        top, bottom = round(y * u), max(round(y * u) + 1, round((y + 2) * u))
        ages = np.linspace(0, 1, right - left)
        emotions = past.emotions
        begins = [place for place in range(len(emotions)) if place == 0 or emotions[place] != emotions[place - 1]]
        edges = [*np.searchsorted(ages, past.ages[begins] - 1e-9).tolist(), len(ages)]
        for begin, (first, last) in zip(begins, pairwise(edges), strict=True):
            self.image[top:bottom, left + first : left + last] = emotion_colour(emotions[begin])

    def gauge(self, x: float, y: float, width: float, value: float, colour: Colour, *, from_middle: bool) -> None:
        """A thin track with its value filled in: from the middle for [-1, 1], else from the left for [0, 1]."""
        if not from_middle:
            self.bar(x, y, width * value, 3, colour)
            return
        reach = width / 2 * value
        self.bar(x + width / 2 + min(0.0, reach), y, abs(reach), 3, colour)


def chip(image: Image, x: float, y: float, track_id: int, colour: Colour, unit: float) -> None:
    """A round badge with an id, centred at ``x, y`` pixels, in place."""
    centre = (round(x * 16), round(y * 16))
    cv2.circle(image, centre, round(CHIP * unit * 16), INK, -1, cv2.LINE_AA, 4)
    cv2.circle(image, centre, round(0.9 * CHIP * unit * 16), colour, -1, cv2.LINE_AA, 4)
    text.write(image, str(track_id), x, y, max(7, round(8.5 * unit)), INK, bold=True, align="centre")


@lru_cache(maxsize=64)
def _strip(height: int, colour: Colour) -> Image:
    """One column of pixels (height 1 3) of a ``colour``."""
    return np.full((height, 1, 3), colour, np.uint8)


def _head(pen: Pen, track_id: int, affect: Affect, y: float, width: float, size: float) -> None:
    """Id, emotion and confidence on one line."""
    emotion = affect.emotion
    colour = emotion_colour(emotion)
    radius = size * 0.62
    pen.dot(9 + radius - 1, y, radius, colour)
    pen.write(str(track_id), 8 + radius, y, size * 0.78, INK, bold=True, align="centre")
    pen.write(emotion, 12 + 2 * radius, y, size, colour, bold=True)
    pen.write(f"{affect.confidence:.0%}", width - 9, y, size, TEXT, align="right")


def _tall(pen: Pen, track_id: int, affect: Affect, past: History) -> None:
    _head(pen, track_id, affect, 15, 180, 13)
    emotion = affect.emotion
    for row, (label, chance) in enumerate(zip(affect.labels, affect.probabilities, strict=True)):
        y = 36 + ROW * row
        first = label == emotion
        pen.bar(66, y - 2.5, 76 * chance, 5, emotion_colour(label))
        pen.write(f"{100 * chance:.0f}", 171, y, 9.5, TEXT if first else MUTED, align="right")
        if first:
            pen.write(label, 9, y, 9.5, TEXT)
    low = ROW * further(len(affect.labels))
    pen.write(_signed(affect.valence), 85, low + 127, 9.5, TEXT, align="right")
    pen.write(f"{affect.arousal:.2f}", 171, low + 127, 9.5, TEXT, align="right")
    pen.gauge(9, low + 136, 76, affect.valence, VALENCE, from_middle=True)
    pen.gauge(95, low + 136, 76, affect.arousal, AROUSAL, from_middle=False)
    pen.spark(9, low + 148, 162, 34, past)


def _tall_still(pen: Pen, labels: tuple[str, ...]) -> None:
    for row, label in enumerate(labels):
        pen.write(label, 9, 36 + ROW * row, 9.5, MUTED)
        pen.bar(66, 36 + ROW * row - 2.5, 76, 5, LINE)
    low = ROW * further(len(labels))
    pen.write("Valence", 9, low + 127, 9, VALENCE)
    pen.write("Arousal", 95, low + 127, 9, AROUSAL)
    pen.bar(9, low + 136, 76, 3, LINE)
    pen.bar(95, low + 136, 76, 3, LINE)
    pen.bar(46.5, low + 134.5, 1, 6, MUTED)
    pen.bar(9, low + 162.5, 162, 0.5, LINE)


def _wide(pen: Pen, track_id: int, affect: Affect, past: History) -> None:
    _head(pen, track_id, affect, 15, 128, 12)
    pen.write(_signed(affect.valence), 84, 35, 9.5, TEXT, align="right")
    pen.write(f"{affect.arousal:.2f}", 84, 51, 9.5, TEXT, align="right")
    pen.gauge(90, 33.5, 30, affect.valence, VALENCE, from_middle=True)
    pen.gauge(90, 49.5, 30, affect.arousal, AROUSAL, from_middle=False)
    emotion = affect.emotion
    for place, (label, chance) in enumerate(zip(affect.labels, affect.probabilities, strict=True)):
        x = 136 + WIDE_COLUMN * place
        pen.column(x, 48, 17, 38 * chance, emotion_colour(label))
        if label == emotion:
            pen.write(label[:3], x + 8.5, 55.5, 8.5, TEXT, align="centre")
    pen.spark(306 + WIDE_COLUMN * further(len(affect.labels)), 10, 57, 48, past)


def _wide_still(pen: Pen, labels: tuple[str, ...]) -> None:
    pen.write("Valence", 9, 35, 9, VALENCE)
    pen.write("Arousal", 9, 51, 9, AROUSAL)
    pen.bar(90, 33.5, 30, 3, LINE)
    pen.bar(90, 49.5, 30, 3, LINE)
    pen.bar(104.5, 32, 1, 6, MUTED)
    for place, label in enumerate(labels):
        pen.column(136 + WIDE_COLUMN * place, 48, 17, 38, FAINT)
        pen.bar(136 + WIDE_COLUMN * place, 48, 17, 1, LINE)
        pen.write(label[:3], 136 + WIDE_COLUMN * place + 8.5, 55.5, 8.5, MUTED, align="centre")
    pen.bar(306 + WIDE_COLUMN * further(len(labels)), 31.5, 57, 0.5, LINE)


def _compact(pen: Pen, track_id: int, affect: Affect, past: History) -> None:
    _head(pen, track_id, affect, 12, size("compact", len(affect.labels))[0], 10.5)
    for place, (label, chance) in enumerate(zip(affect.labels, affect.probabilities, strict=True)):
        pen.column(9 + COLUMN * place, 45, 4, 21 * chance, emotion_colour(label))
    right = COLUMN * further(len(affect.labels))
    pen.spark(right + 56, 24, 32, 21, past)
    pen.write(_signed(affect.valence), right + 133, 29, 8.5, TEXT, align="right")
    pen.write(f"{affect.arousal:.2f}", right + 133, 40, 8.5, TEXT, align="right")


def _compact_still(pen: Pen, labels: tuple[str, ...]) -> None:
    for place in range(len(labels)):
        pen.column(9 + COLUMN * place, 45, 4, 21, FAINT)
    right = COLUMN * further(len(labels))
    pen.write("V", right + 94, 29, 8.5, VALENCE, bold=True)
    pen.write("A", right + 94, 40, 8.5, AROUSAL, bold=True)


def _tag(pen: Pen, track_id: int, affect: Affect, past: History) -> None:  # noqa: ARG001
    _head(pen, track_id, affect, 10, 124, 10)


def _tag_still(pen: Pen, labels: tuple[str, ...]) -> None: ...


_MOVING: dict[str, Callable[[Pen, int, Affect, History], None]] = {
    "tall": _tall,
    "wide": _wide,
    "compact": _compact,
    "tag": _tag,
}
_STILL: dict[str, Callable[[Pen, tuple[str, ...]], None]] = {
    "tall": _tall_still,
    "wide": _wide_still,
    "compact": _compact_still,
    "tag": _tag_still,
}


@lru_cache(maxsize=32)
def _still(name: str, width: int, height: int, labels: tuple[str, ...]) -> text.Stencil:
    """The still part of a panel."""
    unit = width / size(name, len(labels))[0]
    pane = np.full((height, width, 3), INK, np.uint8)
    _STILL[name](Pen(pane, unit), labels)
    drawn = (pane != np.array(INK, np.uint8)).any(axis=2)
    shape = _pane(width, height, round(min(7 * unit, height / 2)))
    return text.stencil((shape * np.where(drawn, 0.96, GLASS)).astype(np.float32), pane)


@lru_cache(maxsize=32)
def _plain(width: int, height: int, radius: int) -> text.Stencil:
    return text.stencil(_pane(width, height, radius) * GLASS, INK)


def _pane(width: int, height: int, radius: int) -> text.Mask:
    """A rounded box as a mask (h w) in [0, 1]."""
    fine = 4
    big = np.zeros((height * fine, width * fine), np.uint8)
    r, right, bottom = radius * fine, width * fine - 1, height * fine - 1
    cv2.rectangle(big, (r, 0), (right - r, bottom), 255, -1)
    cv2.rectangle(big, (0, r), (right, bottom - r), 255, -1)
    for centre in ((r, r), (right - r, r), (r, bottom - r), (right - r, bottom - r)):
        cv2.circle(big, centre, r, 255, -1)
    return cv2.resize(big, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32) / 255.0


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "\N{MINUS SIGN}")
