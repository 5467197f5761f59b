"""Words as masks: rendered once with a real typeface, then only blended."""

from __future__ import annotations

import math
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image as PilImage
from PIL import ImageDraw, ImageFont

from stemo.output.palette import INK, Colour
from stemo.records import Image

Mask = npt.NDArray[np.float32]  # (h w), 0 to 1


class Stencil(NamedTuple):
    """What is laid over a picture: colours (h w 3), each as strong as it shall be, and the share of the picture that is
    left under them (h w 3), in 255ths.
    """

    over: Image
    left: Image


def stencil(mask: Mask, colour: Image | Colour) -> Stencil:
    """``colour``, one or that of each place (h w 3), as strongly as ``mask`` (h w) says."""
    # whole numbers: a quarter of the time of floats at every frame
    left = np.rint(255 * (1 - np.repeat(mask[..., None], 3, axis=2)))
    over = np.rint(np.asarray(colour, np.float32) * (1 - left / 255))
    return Stencil(over.astype(np.uint8), left.astype(np.uint8))


@lru_cache(maxsize=4096)
def mask(text: str, size: int, bold: bool = False) -> Mask:
    """``text`` at ``size`` pixels as a mask (h w) in [0, 1]; its height depends on the size alone."""
    face = _font(size, bold)
    ascent, descent = face.getmetrics()
    picture = PilImage.new("L", (max(1, math.ceil(face.getlength(text)) + 1), ascent + descent))
    ImageDraw.Draw(picture).text((0, 0), text, font=face, fill=255)
    return np.asarray(picture, dtype=np.float32) / 255.0


@lru_cache(maxsize=4096)
def _letters(text: str, size: int, bold: bool, colour: Colour) -> Stencil:
    return stencil(mask(text, size, bold), colour)


@lru_cache(maxsize=512)
def _shadow(text: str, size: int, bold: bool) -> tuple[Stencil, int]:
    reach = max(2, round(size * 0.22))
    padded = np.pad(mask(text, size, bold), reach)
    soft = cv2.GaussianBlur(cv2.dilate(padded, np.ones((3, 3), np.uint8)), (0, 0), reach / 2)
    return stencil(np.minimum(soft * 1.1, 0.85).astype(np.float32), INK), reach


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
    letters = _letters(text, size, bold, colour)
    tall, wide = letters.over.shape[:2]
    left = round(x - {"left": 0.0, "centre": 0.5, "right": 1.0}[align] * wide)
    top = round(y - tall / 2) if middle else round(y)
    if shadow:
        soft, reach = _shadow(text, size, bold)
        lay(image, soft, left - reach, top - reach)
    lay(image, letters, left, top)


def lay(image: Image, pattern: Stencil, left: int, top: int) -> None:
    """Lay ``pattern`` over ``image`` in place, its upper left corner at ``left, top``, clipped at the edges."""
    y1, x1 = max(0, top), max(0, left)
    y2, x2 = min(image.shape[0], top + pattern.over.shape[0]), min(image.shape[1], left + pattern.over.shape[1])
    if y1 >= y2 or x1 >= x2:
        return
    over, share = (part[y1 - top : y2 - top, x1 - left : x2 - left] for part in pattern)
    under = image[y1:y2, x1:x2]
    cv2.multiply(under, share, under, scale=1 / 255)
    cv2.add(under, over, under)


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
