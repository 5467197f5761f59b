"""An explanation drawn on its picture: heat on the face, its points by importance, and a panel with the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from stemo.output import panels
from stemo.output.hud import draw_hint, scale
from stemo.output.palette import FAINT, INK, LINE, MUTED, TEXT, Colour, emotion_colour
from stemo.output.placement import Layout, Placer
from stemo.records import Affect, Array, Box, Face, Frame, Image

FOR: Colour = (255, 236, 179)  # what speaks for the category
AGAINST: Colour = (108, 190, 255)  # what speaks against it
STRENGTH = 0.72  # how much of the face the hottest place covers
SIZES = {"full": (196, 190), "small": (172, 58)}  # units of one pixel at 640x360
FEW = 2  # up to so many faces get the full panel

Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class FaceExplanation:
    """Why a face is read as it is.

    ``affect`` is the reading, ``emotion`` the category that is explained, ``matrix`` (2 3) leads from the picture to
    the crop, ``heat`` (h w) in [0, 1] lies over the crop, ``frames`` (t) sum to 1, the newest last. ``points`` (n 3):
    x and y in pixels of the picture, and what each adds to the category's logit, the unit of ``blendshapes`` too, which
    come with their names, the weightiest first. Both are empty for a face without landmarks.
    """

    face: Face
    affect: Affect
    emotion: str
    matrix: Matrix
    heat: Array
    frames: Array
    points: Array
    blendshapes: tuple[tuple[str, float], ...]


class ExplanationDisplay:
    """Draws explanations on the frames of one video, in order: panels stay where they were."""

    def __init__(self) -> None:
        self._placer = Placer()

    def draw(self, frame: Frame, explained: Sequence[FaceExplanation]) -> Image:
        """A new picture (h w 3) with the display on it; the frame itself is not changed."""
        image = frame.image.copy()
        unit = scale(image)
        for item in explained:
            assert item.face.crop is not None
            lay_heat(image, item.heat, item.matrix, item.face.crop.shape[0])
        for item in explained:
            _draw_points(image, item, unit)
        boxes = [(item.face.track_id, _shown(item, image)) for item in explained]
        size = (image.shape[1], image.shape[0])
        spots = self._placer.place(boxes, _layouts(len(boxes), unit), size, 6 * unit, frame.time)
        if not explained:
            draw_hint(image, "No face in view", unit)
        for item in explained:
            spot = spots[item.face.track_id]
            _draw_panel(image, spot.layout, round(spot.x), round(spot.y), item)
            if len(explained) > 1:
                x, y = item.face.box[:2]
                panels.chip(image, x, y, item.face.track_id, emotion_colour(item.emotion), unit)
        return image


def lay_heat(image: Image, heat: Array, matrix: Matrix, side: int) -> None:
    """Lay ``heat`` (h w) in [0, 1] over the part of ``image`` that ``matrix`` (2 3) takes to a crop of ``side`` pixels.

    In place. The heat fades out towards the border of the crop.
    """
    left, top, right, bottom = _region(matrix, side, image)
    if right <= left or bottom <= top:
        return
    part = image[top:bottom, left:right]
    there = np.column_stack([matrix[:, :2], matrix[:, 2] + matrix[:, :2] @ (left, top)])
    # each pixel of the part asks where it lies in the crop
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    smooth = _smooth(heat, side) * _fading(side)
    warped = cv2.warpAffine(smooth, there, (right - left, bottom - top), flags=flags)
    part[:] = mixed(part, np.asarray(warped, np.float32))


def mixed(image: Image, heat: Array) -> Image:
    """A picture (h w 3) under heat (h w) in [0, 1]: cold places stay as they are."""
    colours = cv2.applyColorMap((heat * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)[..., ::-1]
    weight = (STRENGTH * np.clip(heat * 1.1 - 0.08, 0, 1))[..., None]
    return (image + (colours - image.astype(np.float32)) * weight + 0.5).astype(np.uint8)


def _smooth(heat: Array, side: int) -> Array:
    return np.clip(cv2.resize(heat, (side, side), interpolation=cv2.INTER_CUBIC), 0, 1).astype(np.float32)


@lru_cache(maxsize=4)
def _fading(side: int) -> Array:
    distance = np.minimum(np.arange(side), np.arange(side)[::-1]) / (0.08 * side)
    edge = np.clip(distance, 0, 1).astype(np.float32)
    return edge[:, None] * edge[None, :]


def _region(matrix: Matrix, side: int, image: Image) -> tuple[int, int, int, int]:
    """The box in ``image`` (left, top, right, bottom) around the crop, cut at the picture's border."""
    corners = np.array([[0, 0], [side, 0], [0, side], [side, side]], np.float64)
    seen = np.linalg.solve(matrix[:, :2], (corners - matrix[:, 2]).T)
    left, top = np.maximum(np.floor(seen.min(axis=1)), 0).astype(int)
    right, bottom = np.minimum(np.ceil(seen.max(axis=1)), (image.shape[1], image.shape[0])).astype(int)
    return int(left), int(top), int(right), int(bottom)


def _draw_points(image: Image, item: FaceExplanation, unit: float) -> None:
    """Each point as large as it matters; what speaks against the category in blue."""
    points = item.points
    size = min(max((item.face.box[2] - item.face.box[0]) / 110, 0.45 * unit), 2 * unit)
    most = max(float(np.abs(points[:, 2]).max(initial=0.0)), 1e-9)
    for x, y, added in points[np.argsort(np.abs(points[:, 2]))]:
        centre = (round(float(x) * 16), round(float(y) * 16))
        radius = size * (0.25 + 2.4 * float(np.sqrt(abs(added) / most)))
        cv2.circle(image, centre, round((radius + 0.5 * size) * 16), INK, -1, cv2.LINE_AA, 4)
        cv2.circle(image, centre, round(radius * 16), FOR if added >= 0 else AGAINST, -1, cv2.LINE_AA, 4)


def _shown(item: FaceExplanation, image: Image) -> Box:
    """What a panel must not cover: the face, and the crop that the heat lies on."""
    assert item.face.crop is not None
    left, top, right, bottom = _region(item.matrix, item.face.crop.shape[0], image)
    inset = 0.08 * (right - left)
    x1, y1, x2, y2 = item.face.box
    return min(x1, left + inset), min(y1, top + inset), max(x2, right - inset), max(y2, bottom - inset)


def _layouts(faces: int, unit: float) -> list[Layout]:
    names = ["full", "small"] if faces <= FEW else ["small"]
    return [Layout(name, round(SIZES[name][0] * unit), round(SIZES[name][1] * unit)) for name in names]


def _draw_panel(image: Image, place: Layout, x: int, y: int, item: FaceExplanation) -> None:
    unit = place.width / SIZES[place.name][0]
    panels.glass(image, x, y, place.width, place.height, round(7 * unit))
    pen = panels.Pen(image[max(y, 0) : y + place.height, max(x, 0) : x + place.width], unit)
    _head(pen, item, SIZES[place.name][0])
    if place.name == "full":
        _full(pen, item)
    else:
        _small(pen, item)


def _head(pen: panels.Pen, item: FaceExplanation, width: float) -> None:
    colour = emotion_colour(item.emotion)
    chance = item.affect.probabilities[item.affect.labels.index(item.emotion)]
    pen.dot(15, 14, 7, colour)
    pen.write(str(item.face.track_id), 15, 14, 9, INK, bold=True, align="centre")
    pen.write(item.emotion, 26, 14, 12.5, colour, bold=True)
    pen.write(f"{chance:.0%}", width - 9, 14, 12.5, TEXT, align="right")
    pen.write(_reading(item), 9, 29, 9, MUTED)


def _reading(item: FaceExplanation) -> str:
    if item.emotion != item.affect.emotion:
        return f"read as {item.affect.emotion}, {item.affect.confidence:.0%}"
    return f"valence {_signed(item.affect.valence)}   arousal {item.affect.arousal:.2f}"


def _full(pen: panels.Pen, item: FaceExplanation) -> None:
    # where: the crop itself, under its heat
    assert item.face.crop is not None
    left, top, side = (round(value * pen.unit) for value in (9, 39, 78))
    inset = np.asarray(cv2.resize(item.face.crop, (side, side), interpolation=cv2.INTER_AREA), np.uint8)
    room = pen.image[top : top + side, left : left + side]
    room[:] = mixed(inset, _smooth(item.heat, side))[: room.shape[0], : room.shape[1]]
    _scale(pen, 96, 107, 91)

    # when
    pen.write(f"{len(item.frames)} frames", 96, 44, 9, MUTED)
    _draw_frames(pen, item, 96, 82, 91, 28)
    pen.write("oldest", 96, 89, 8, MUTED)
    pen.write("now", 187, 89, 8, MUTED, align="right")

    # by which movements
    pen.bar(9, 124, 178, 0.5, LINE)
    if not item.blendshapes:
        pen.write("no landmarks", 9, 135, 9, MUTED)
    most = max([abs(added) for _, added in item.blendshapes], default=1.0)
    for row, (name, added) in enumerate(item.blendshapes[:3]):
        _draw_blendshape(pen, name, added, most, 135 + 14 * row)
    for x, words, colour in ((12, "speaks for it", FOR), (105, "against it", AGAINST)) if item.blendshapes else ():
        pen.dot(x, 179, 2.2, colour)
        pen.write(words, x + 7, 179, 8, MUTED)


def _small(pen: panels.Pen, item: FaceExplanation) -> None:
    _draw_frames(pen, item, 9, 51, 64, 13)
    if item.blendshapes:
        name, added = item.blendshapes[0]
        pen.write(name, 163, 45, 8.5, FOR if added >= 0 else AGAINST, align="right")


def _draw_frames(pen: panels.Pen, item: FaceExplanation, x: float, floor: float, width: float, height: float) -> None:
    """A column for each frame, the newest right, the tallest the one that counts most."""
    step = max(int(width * pen.unit / len(item.frames)), 2) / pen.unit  # whole pixels: columns of one width
    most = max(float(item.frames.max()), 1e-9)
    for place, weight in enumerate(item.frames):
        left, across = x + place * step, step - max(round(pen.unit), 1) / pen.unit
        pen.column(left, floor, across, height, FAINT)
        pen.column(left, floor, across, height * float(weight) / most, emotion_colour(item.emotion))


def _draw_blendshape(pen: panels.Pen, name: str, added: float, most: float, y: float) -> None:
    colour = FOR if added >= 0 else AGAINST
    pen.write(name, 9, y, 9, TEXT)
    pen.bar(112, y - 2, 40, 4, LINE)
    pen.bar(112, y - 2, 40 * abs(added) / max(most, 1e-9), 4, colour)
    pen.write(_signed(added), 187, y, 9, colour, align="right")


def _scale(pen: panels.Pen, x: float, y: float, width: float) -> None:
    """What the colours mean."""
    u = pen.unit
    left, right, top = round(x * u), round((x + width) * u), round((y - 2.5) * u)
    bottom = max(round((y + 2.5) * u), top + 1)
    ramp = np.tile(np.linspace(0, 1, right - left, dtype=np.float32), (bottom - top, 1))
    gray = np.full((bottom - top, right - left, 3), 96, np.uint8)
    pen.image[top:bottom, left:right] = mixed(gray, ramp)[:, : pen.image.shape[1] - left]
    pen.write("looks less", x, y + 8, 8, MUTED)
    pen.write("more", x + width, y + 8, 8, MUTED, align="right")


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "\N{MINUS SIGN}")
