"""The published FER2013 layout: ``fer2013.csv`` with pixels, and, beside it, FER+'s ``fer2013new.csv`` with votes."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from stemo.errors import DataError
from stemo.records import EMOTIONS, Image
from stemo.training.datasets import Still
from stemo.training.labels import (
    FER2013_RULE,
    FERPLUS_COLUMNS,
    MAJORITY_RULE,
    majority_label,
    one_hot,
    vote_distribution,
    weak_affect,
)

FER2013_ORDER = ("Angry", "Disgust", "Fear", "Happy", "Sad", "Surprise", "Neutral")
SIDE = 48


def is_fer2013(path: Path) -> bool:
    """Whether ``path`` is ``fer2013.csv`` or a folder with it."""
    return _pixels(path).name == "fer2013.csv" and _pixels(path).is_file()


def fer2013_rule(path: Path) -> str:
    """Which faces :func:`load_fer2013` gives a label, and which, in words."""
    return MAJORITY_RULE if _pixels(path).with_name("fer2013new.csv").is_file() else FER2013_RULE


def load_fer2013(path: Path) -> list[Still]:
    """Stills of ``fer2013.csv``, labelled by ``fer2013new.csv`` where it lies beside it, else by FER2013's own labels.

    Raises :class:`DataError` naming the first row that cannot be read.
    """
    pixels = _pixels(path)
    votes = pixels.with_name("fer2013new.csv")
    with pixels.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if not votes.is_file():
        return [_own(row, number) for number, row in enumerate(rows, 2)]
    with votes.open(newline="", encoding="utf-8") as file:
        voted = list(csv.DictReader(file))
    if len(voted) != len(rows):
        raise DataError(f"votes {str(votes)!r} do not match the pixels: expected {len(rows)} rows, got {len(voted)}.")
    return list(_voted(rows, voted))


def _voted(rows: list[dict[str, str]], voted: list[dict[str, str]]) -> Iterator[Still]:
    for number, (row, vote) in enumerate(zip(rows, voted, strict=True), 2):
        counts = np.array([int(vote[column] or 0) for column in FERPLUS_COLUMNS])
        distribution = vote_distribution(counts)
        if distribution is None or not vote.get("Image name"):
            continue
        valence, arousal = weak_affect(distribution)
        name = vote["Image name"]
        yield Still(
            name, _image(row, number), distribution, valence, arousal, majority_label(counts), row["Usage"], name
        )


def _own(row: dict[str, str], number: int) -> Still:
    label = EMOTIONS.index(FER2013_ORDER[int(row["emotion"])])
    valence, arousal = weak_affect(one_hot(label))
    name = f"row {number}"
    return Still(name, _image(row, number), one_hot(label, 0.1), valence, arousal, label, row["Usage"], name)


def _image(row: dict[str, str], number: int) -> Image:
    values = np.array(row["pixels"].split(), np.int64)
    if values.size != SIDE * SIDE:
        raise DataError(f"fer2013.csv line {number} is damaged: expected {SIDE * SIDE} pixels, got {values.size}.")
    gray = values.astype(np.uint8).reshape(SIDE, SIDE, 1)
    return np.ascontiguousarray(np.broadcast_to(gray, (SIDE, SIDE, 3)))


def _pixels(path: Path) -> Path:
    return path / "fer2013.csv" if path.is_dir() else path
