"""The published FER2013 layout: ``fer2013.csv`` with pixels, and, beside it, FER+'s ``fer2013new.csv`` with votes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

import numpy as np

from stemo.errors import DataError
from stemo.records import Image
from stemo.training.archives import Archive, named, read_rows
from stemo.training.datasets import LabelledFace
from stemo.training.labels import FER2013_RULE, FERPLUS_COLUMNS, MAJORITY_RULE
from stemo.training.layouts.ferplus import read_votes, voted_face

FER2013_ORDER = ("Angry", "Disgust", "Fear", "Happy", "Sad", "Surprise", "Neutral")
NUMBERED = dict(zip("0123456", FER2013_ORDER, strict=True))
SIDE = 48
SMOOTHING = 0.1


def is_fer2013(archive: Archive) -> bool:
    """Whether there is a ``fer2013.csv``."""
    return bool(named(archive, "fer2013.csv"))


def fer2013_rule(archive: Archive) -> str:
    """Votes count where there are some."""
    return MAJORITY_RULE if named(archive, "fer2013new.csv") else FER2013_RULE


def fer2013_faces(archive: Archive) -> Iterator[LabelledFace]:
    """The faces of ``fer2013.csv``, labelled by ``fer2013new.csv`` where there is one, else by FER2013's own labels.

    Raises :class:`DataError` naming the first row that cannot be read.
    """
    rows = read_rows(archive, named(archive, "fer2013.csv")[0])
    missing = {"emotion", "pixels", "Usage"} - set(rows[0] if rows else {})
    if missing:
        raise DataError(f"fer2013.csv in {str(archive.path)!r} lacks columns: expected {', '.join(sorted(missing))}.")
    votes = named(archive, "fer2013new.csv")
    if not votes:
        yield from (_own(row, number) for number, row in enumerate(rows, 2))
        return
    voted = read_rows(archive, votes[0])
    if len(voted) != len(rows):
        raise DataError(f"votes {votes[0]!r} do not match the pixels: expected {len(rows)} rows, got {len(voted)}.")
    yield from _voted(rows, voted, PurePosixPath(votes[0]).name)


def _voted(rows: list[dict[str, str]], voted: list[dict[str, str]], table: str) -> Iterator[LabelledFace]:
    for number, (row, vote) in enumerate(zip(rows, voted, strict=True), 2):
        counts = read_votes([vote.get(column, "") for column in FERPLUS_COLUMNS], f"{table} line {number}")
        if vote.get("Image name"):  # FER+ left out the pictures that show no face
            yield voted_face(vote["Image name"], _image(row, number), counts, row["Usage"])


def _own(row: dict[str, str], number: int) -> LabelledFace:
    emotion = NUMBERED.get(row["emotion"].strip())
    if emotion is None:
        raise DataError(f"fer2013.csv line {number} is damaged: expected 0 to 6, got {row['emotion']!r}.")
    picture = _image(row, number)
    return LabelledFace(f"row {number}", picture, {emotion: 1.0}, emotion, row["Usage"], smoothing=SMOOTHING)


def _image(row: dict[str, str], number: int) -> Image:
    try:
        values = np.array(row["pixels"].split(), np.int64)
    except (ValueError, OverflowError) as error:
        raise DataError(f"fer2013.csv line {number} is damaged: expected numbers as pixels, got {error}.") from error
    if values.size != SIDE * SIDE or values.min() < 0 or values.max() > 255:
        raise DataError(f"fer2013.csv line {number} is damaged: expected {SIDE * SIDE} pixels, got {values.size}.")
    gray = values.astype(np.uint8).reshape(SIDE, SIDE, 1)
    return np.ascontiguousarray(np.broadcast_to(gray, (SIDE, SIDE, 3)))
