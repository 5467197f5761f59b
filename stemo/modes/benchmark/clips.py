"""The clips to measure on: given ones, or some with one moving face, made of a photograph that a package carries."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from stemo.capture import open_source
from stemo.errors import ConfigError
from stemo.modes.demo import FPS, load_photograph
from stemo.output.video import VideoWriter
from stemo.records import Image

ONE_FACE = (slice(0, 405), slice(560, 1280))  # rows and columns of the photograph that hold one of its two faces
SECONDS = 12
MADE = {"made_640x360.mp4": (640, 360), "made_1280x720.mp4": (1280, 720)}


def chosen_clips(given: Sequence[str], folder: Path) -> list[Path]:
    """The ``given`` clips, or without any those of :data:`MADE`, written to ``folder``."""
    return [Path(clip) for clip in given] or [make_clip(folder / name, *size) for name, size in MADE.items()]


def named_clips(given: Sequence[str], folder: Path) -> dict[str, Path]:
    """:func:`chosen_clips` by the names that figures have. Raises :class:`ConfigError` where two share one."""
    paths = chosen_clips(given, folder)
    named = {path.name: path for path in paths}
    if len(named) < len(paths):
        raise ConfigError(f"clips {list(given)!r} share a name: expected a name for each, got {', '.join(named)}.")
    return named


def size_of(clip: Path) -> str:
    """Width and height of a clip, such as 640x360. Raises :class:`InputError` for one that cannot be read."""
    with open_source(str(clip)) as source:
        return f"{source.info.width}x{source.info.height}"


def make_clip(path: Path, width: int, height: int, seconds: int = SECONDS) -> Path:
    """Write ``seconds`` of a face that sways and comes nearer, at 25 frames per second; returns ``path``."""
    photograph = load_photograph()[ONE_FACE]
    with VideoWriter(path, width, height, Fraction(FPS), overwrite=True) as writer:
        for index in range(seconds * FPS):
            writer.write(_moved(photograph, width, height, index / FPS), index / FPS)
    return path


def _moved(photograph: Image, width: int, height: int, seconds: float) -> Image:
    turn = 2 * np.pi * seconds / 4
    scale = width / photograph.shape[1] * (1.05 + 0.05 * np.sin(turn))
    matrix = cv2.getRotationMatrix2D((photograph.shape[1] / 2, photograph.shape[0] / 2), 3 * np.sin(2 * turn), scale)
    matrix[:, 2] += (width - photograph.shape[1]) / 2 + 0.02 * width * np.sin(turn), (height - photograph.shape[0]) / 2
    moved = cv2.warpAffine(photograph, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, np.uint8)
