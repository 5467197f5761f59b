"""Words as masks: rendered once with a real typeface, then only blended."""

from __future__ import annotations

import math
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image as PilImage
from PIL import ImageDraw, ImageFont

from stemo.output.palette import INK, Colour
from stemo.records import Image

Mask = npt.NDArray[np.float32]  # (h w 1), 0 to 1


@lru_cache(maxsize=4096)
def mask(text: str, size: int, bold: bool = False) -> Mask:
    """``text`` at ``size`` pixels as a mask (h w 1) in [0, 1]; its height depends on the size alone."""
    face = _font(size, bold)
    ascent, descent = face.getmetrics()
    picture = PilImage.new("L", (max(1, math.ceil(face.getlength(text)) + 1), ascent + descent))
    ImageDraw.Draw(picture).text((0, 0), text, font=face, fill=255)
    return (np.asarray(picture, dtype=np.float32) / 255.0)[..., None]


@lru_cache(maxsize=512)
def _shadow(text: str, size: int, bold: bool) -> tuple[Mask, int]:
    reach = max(2, round(size * 0.22))
    padded = np.pad(mask(text, size, bold)[..., 0], reach)
    soft = cv2.GaussianBlur(cv2.dilate(padded, np.ones((3, 3), np.uint8)), (0, 0), reach / 2)
    return np.minimum(soft * 1.1, 0.85).astype(np.float32)[..., None], reach


def width(text: str, size: int, bold: bool = False) -> int:
    """The width of ``text`` in pixels."""
    return mask(text, size, bold).shape[1]


def height(size: int) -> int:
    """The height in pixels of a line at ``size``."""
    return sum(_font(size, False).getmetrics())


def write(
    image: Image,
    text: str,
    x: float,
    y: float,
    size: int,
    colour: Colour,
    *,
    bold: bool = False,
    align: str = "left",
    middle: bool = True,
    shadow: bool = False,
) -> None:
    """Blend ``text`` into ``image`` in place, clipped at its edges.

    ``x`` is its left, centre or right by ``align``; ``y`` the middle of the line, or its top without ``middle``.
    """
    letters = mask(text, size, bold)
    left = round(x - {"left": 0.0, "centre": 0.5, "right": 1.0}[align] * letters.shape[1])
    top = round(y - letters.shape[0] / 2) if middle else round(y)
    if shadow:
        soft, reach = _shadow(text, size, bold)
        blend(image, soft, left - reach, top - reach, INK)
    blend(image, letters, left, top, colour)


def blend(image: Image, shape: Mask, left: int, top: int, colour: Colour) -> None:
    """Lay ``colour`` over ``image`` in place, as strongly as ``shape`` says, clipped at the edges."""
    y1, x1 = max(0, top), max(0, left)
    y2, x2 = min(image.shape[0], top + shape.shape[0]), min(image.shape[1], left + shape.shape[1])
    if y1 >= y2 or x1 >= x2:
        return
    under = image[y1:y2, x1:x2]
    weight = shape[y1 - top : y2 - top, x1 - left : x2 - left]
    over = np.array(colour, dtype=np.float32)
    image[y1:y2, x1:x2] = (under + (over - under) * weight + 0.5).astype(np.uint8)


@lru_cache(maxsize=64)
def _font(size: int, bold: bool) -> ImageFont.FreeTypeFont:
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(_fonts() / name), size)


@lru_cache(maxsize=1)
def _fonts() -> Path:
    """Matplotlib carries DejaVu Sans; finding its folder does not import it."""
    spec = find_spec("matplotlib")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("matplotlib is missing: stemo draws with its typeface. Install it with pip.")
    return Path(spec.submodule_search_locations[0]) / "mpl-data" / "fonts" / "ttf"
