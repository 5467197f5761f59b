"""A clip with one moving face, made of the photograph that an installed package carries."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from stemo.modes.demo import FPS, load_photograph
from stemo.output.video import VideoWriter
from stemo.records import Image

ONE_FACE = (slice(0, 405), slice(560, 1280))  # rows and columns of the photograph that hold one of its two faces
SECONDS = 12


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
