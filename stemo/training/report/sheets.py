"""Faces to look at: the most confident mistakes and a sample, as a PNG sheet and as small pictures for the page."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image as PilImage

from stemo.output import text
from stemo.output.palette import Colour
from stemo.records import Image
from stemo.training.report.evaluation import Evaluation

MISTAKES = 48  # faces on the sheet of mistakes
PER_CLASS = 8  # faces of each class in the sample
SIDE = 128  # pixels of a face on a sheet
CAPTION = 40  # pixels below it
GAP = 12
COLUMNS = 8
LARGEST = 160  # pixels of a face in the page
PAPER: Colour = (255, 255, 255)
TILE: Colour = (238, 240, 245)  # beside faces that are not square
INK: Colour = (27, 31, 39)
MUTED: Colour = (93, 102, 117)
WRONG: Colour = (190, 52, 24)


@dataclass(frozen=True, slots=True, eq=False)
class Cell:
    """One face (h w 3) with what it is and what it was read as; ``confidence`` in [0, 1]."""

    name: str
    image: Image
    truth: str
    predicted: str
    confidence: float

    @property
    def right(self) -> bool:
        """Whether it was read as what it is."""
        return self.truth == self.predicted


def most_confident_mistakes(evaluation: Evaluation, most: int = MISTAKES) -> list[Cell]:
    """Faces that were read wrong, the most confident first."""
    wrong = np.flatnonzero(~evaluation.right)
    order = wrong[np.argsort(-evaluation.confidence[wrong], kind="stable")]
    return [cell(evaluation, place) for place in order[:most].tolist()]


def sample(evaluation: Evaluation, per_class: int = PER_CLASS, seed: int = 0) -> list[Cell]:
    """Up to ``per_class`` faces of every class, drawn by chance but the same for the same ``seed``."""
    rng = np.random.default_rng(seed)
    chosen: list[int] = []
    for label in range(len(evaluation.labels)):
        faces = np.flatnonzero(evaluation.truth == label)
        chosen += sorted(rng.permutation(faces)[:per_class].tolist())
    return [cell(evaluation, place) for place in chosen]


def cell(evaluation: Evaluation, place: int) -> Cell:
    """The face at ``place``."""
    return Cell(
        evaluation.names[place],
        evaluation.images[place],
        evaluation.labels[evaluation.truth[place]],
        evaluation.labels[evaluation.predicted[place]],
        float(evaluation.confidence[place]),
    )


def draw_sheet(cells: Sequence[Cell], empty: str) -> Image:
    """Faces in rows with their captions, RGB (h w 3); the words ``empty`` where there is none."""
    columns = min(COLUMNS, max(len(cells), 3))
    rows = max(1, -(-len(cells) // columns))
    step_x, step_y = SIDE + GAP, SIDE + CAPTION + GAP
    sheet = np.full((rows * step_y + GAP, columns * step_x + GAP, 3), PAPER, np.uint8)
    for place, item in enumerate(cells):
        _draw(sheet, item, GAP + place % columns * step_x, GAP + place // columns * step_y)
    if not cells:
        text.write(sheet, empty, sheet.shape[1] / 2, sheet.shape[0] / 2, 15, MUTED, align="centre")
    return sheet


def png(image: Image) -> bytes:
    """RGB (h w 3) -> the bytes of a PNG."""
    file = io.BytesIO()
    PilImage.fromarray(image).save(file, format="PNG", optimize=True)
    return file.getvalue()


def thumbnail(image: Image) -> bytes:
    """RGB (h w 3) -> the bytes of a JPEG of at most :data:`LARGEST` pixels a side, never enlarged."""
    file = io.BytesIO()
    scale = min(1.0, LARGEST / max(image.shape[:2]))
    PilImage.fromarray(_scaled(image, scale)).save(file, format="JPEG", quality=88)
    return file.getvalue()


def _draw(sheet: Image, item: Cell, left: int, top: int) -> None:
    face = _scaled(item.image, SIDE / max(item.image.shape[:2]))
    sheet[top : top + SIDE, left : left + SIDE] = TILE
    y, x = top + (SIDE - face.shape[0]) // 2, left + (SIDE - face.shape[1]) // 2
    sheet[y : y + face.shape[0], x : x + face.shape[1]] = face
    colour = INK if item.right else WRONG
    text.write(sheet, f"{item.truth}, read as", left, top + SIDE + 12, 12, MUTED)
    text.write(sheet, f"{item.predicted} {item.confidence:.0%}", left, top + SIDE + 29, 13, colour, bold=True)


def _scaled(image: Image, scale: float) -> Image:
    if scale == 1.0:
        return image
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, (width, height), interpolation=way), np.uint8)
