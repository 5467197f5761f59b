"""AffectNet (Mollahosseini et al., IEEE TAC 2017), in both layouts that were given out: real valence and arousal."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

import numpy as np

from stemo.errors import DataError
from stemo.records import Box
from stemo.training.archives import Archive, any_lines, faults_said, named, read_text, stored_picture
from stemo.training.datasets import LabelledFace, Picture

EXPRESSIONS = ("Neutral", "Happy", "Sad", "Surprise", "Fear", "Disgust", "Angry", "Contempt")
NONE = 8  # an expression that is none of these; 9 and 10 are uncertain and no face
INVALID = -2.0  # valence and arousal where nobody could rate them
SMOOTHING = 0.1
RULE = "AffectNet, {k} classes: the annotator's expression; valence and arousal as rated"
TABLES = {"training.csv": "train", "validation.csv": "val"}
HEADER: tuple[str, ...] = (
    "subDirectory_filePath", "face_x", "face_y", "face_width", "face_height", "facial_landmarks", "expression",
    "valence", "arousal",
)  # fmt: skip


def has_tables(archive: Archive) -> bool:
    """Whether ``training.csv`` or ``validation.csv`` has AffectNet's columns; some copies lack the header."""
    found = named(archive, *TABLES)
    return bool(found) and len(next(_lines(archive, found[0]), [])) == len(HEADER)


def table_faces(archive: Archive) -> Iterator[LabelledFace]:
    """The manually annotated faces, cut out of their pictures by the face boxes.

    Raises :class:`DataError` for a missing picture or a damaged line.
    """
    places = {"/".join(PurePosixPath(name).parts[-2:]): name for name in archive.names()}
    for table in named(archive, *TABLES):
        split = TABLES[PurePosixPath(table).name]
        for number, cells in enumerate(_lines(archive, table), 1):
            if not cells or cells[0] == HEADER[0]:
                continue
            row = dict(zip(HEADER, cells, strict=False))
            where = f"{table} line {number}"
            labels = _numbers(row, where, "expression", "valence", "arousal")
            if not is_rated(labels):
                continue
            name = places.get("/".join(PurePosixPath(cells[0]).parts[-2:]))
            if name is None:
                raise DataError(f"image {cells[0]!r} of {table} is missing in {str(archive.path)!r}.")
            picture = stored_picture(archive, name, _box(row, where))
            yield rated_face(name, picture, labels, split)


def _lines(archive: Archive, table: str) -> Iterator[list[str]]:
    """The cells of every line, one by one: a table has hundreds of thousands."""
    with faults_said(table):
        yield from csv.reader(any_lines(read_text(archive, table)))


def has_annotations(archive: Archive) -> bool:
    """Whether there are ``*_exp.npy`` files."""
    return any(name.endswith("_exp.npy") for name in archive.names())


def annotation_faces(archive: Archive) -> Iterator[LabelledFace]:
    """The faces of ``train_set`` and ``val_set``, which are cut out already."""
    available = set(archive.names())
    for annotation in archive.names():
        if not annotation.endswith("_exp.npy"):
            continue
        base = annotation.removesuffix("_exp.npy")
        labels = tuple(_stored(archive, f"{base}_{kind}.npy") for kind in ("exp", "val", "aro"))
        path = PurePosixPath(base)
        folder = path.parents[1]
        found = [str(folder / "images" / f"{path.name}{ending}") for ending in (".jpg", ".png", ".jpeg")]
        name = next((name for name in found if name in available), None)
        if name is None:
            raise DataError(f"image {found[0]!r} is missing in {str(archive.path)!r}: {annotation!r} describes it.")
        if is_rated(labels):
            yield rated_face(name, stored_picture(archive, name), labels, folder.name)


def is_rated(labels: Sequence[float]) -> bool:
    """Whether a face was found, and rated: ``labels`` are expression, valence and arousal."""
    return 0 <= labels[0] <= NONE and INVALID not in labels[1:]


def rated_face(name: str, picture: Picture, labels: Sequence[float], split: str) -> LabelledFace:
    """A face with AffectNet's numbers (expression, valence, arousal), whose arousal is in [-1, 1]."""
    expression, valence, arousal = labels
    if not (-1 <= valence <= 1 and -1 <= arousal <= 1):
        raise DataError(f"rating of {name!r} is out of range: expected -1 to 1, got {valence:g} and {arousal:g}.")
    emotion = EXPRESSIONS[int(expression)] if expression < NONE else None
    emotions = {} if emotion is None else {emotion: 1.0}
    rating = (valence, (arousal + 1) / 2)
    return LabelledFace(name, picture, emotions, emotion, split, rating=rating, smoothing=SMOOTHING)


def _numbers(row: dict[str, str], where: str, *columns: str) -> tuple[float, ...]:
    try:
        values = tuple(float(row[column]) for column in columns)
        if not all(map(math.isfinite, values)):
            raise ValueError
    except (KeyError, ValueError) as error:
        got = ", ".join(row.get(column, "nothing") for column in columns)
        raise DataError(f"{where} is damaged: expected numbers as {', '.join(columns)}, got {got}.") from error
    return values


def _box(row: dict[str, str], where: str) -> Box:
    left, top, width, height = _numbers(row, where, "face_x", "face_y", "face_width", "face_height")
    return left, top, left + width, top + height


def _stored(archive: Archive, name: str) -> float:
    try:
        value = float(np.load(io.BytesIO(archive.read(name)), allow_pickle=False).item())
    except (ValueError, EOFError, TypeError) as error:
        raise DataError(f"annotation {name!r} cannot be read: expected one number, got {error}.") from error
    if not math.isfinite(value):
        raise DataError(f"annotation {name!r} is no number: expected one, got {value}.")
    return value
