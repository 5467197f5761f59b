"""FER+ votes: a ``labels.csv`` beside pictures, or the folders of the FERPlus repository."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

import numpy as np

from stemo.errors import DataError
from stemo.records import Box
from stemo.training.archives import Archive, any_lines, faults_said, named, read_table, read_text, stored_picture
from stemo.training.datasets import LabelledFace, Picture, groups_of_row
from stemo.training.labels import FERPLUS_COLUMNS, majority_name, named_votes

MOST_VOTES = 10**6  # of one face for one category
USAGES = {"FER2013Train": "Training", "FER2013Valid": "PublicTest", "FER2013Test": "PrivateTest"}


def has_votes(archive: Archive) -> bool:
    """Whether ``labels.csv`` has columns of votes."""
    table = read_table(archive)
    return bool(table) and bool(set(table[0]) & set(FERPLUS_COLUMNS))


def voted_faces(archive: Archive) -> Iterator[LabelledFace]:
    """The faces of a ``labels.csv``. Raises :class:`DataError` for missing columns or pictures."""
    table = read_table(archive)
    missing = {"image", *FERPLUS_COLUMNS} - set(table[0])
    if missing:
        raise DataError(f"labels.csv in {str(archive.path)!r} lacks columns: expected {', '.join(sorted(missing))}.")
    available = set(archive.names())
    by_file_name = {PurePosixPath(name).name: name for name in available}
    for number, row in enumerate(table, 2):
        name = row["image"] if row["image"] in available else by_file_name.get(PurePosixPath(row["image"]).name)
        if name is None:
            raise DataError(f"image {row['image']!r} of labels.csv is missing in {str(archive.path)!r}.")
        counts = read_votes([row[column] for column in FERPLUS_COLUMNS], f"labels.csv line {number}")
        split, subject = row.get("usage", ""), row.get("dup_group", "")
        yield voted_face(name, stored_picture(archive, name), counts, split, subject, groups_of_row(row))


def is_repository(archive: Archive) -> bool:
    """Whether there is a ``FER2013Train/label.csv`` or one of its fellows."""
    return bool(_tables(archive))


def repository_faces(archive: Archive) -> Iterator[LabelledFace]:
    """The faces of the FERPlus repository's folders, whose pictures its own script has written beside the tables."""
    available = set(archive.names())
    for table in _tables(archive):
        folder = PurePosixPath(table).parent
        with faults_said(table):
            rows = list(csv.reader(any_lines(read_text(archive, table))))
        for number, row in enumerate(rows, 1):
            where = f"{table} line {number}"
            if len(row) != 2 + len(FERPLUS_COLUMNS):
                raise DataError(f"{where} is damaged: expected a name, a box and ten counts, got {len(row)} cells.")
            name = (folder / row[0]).as_posix()
            if name not in available:
                raise DataError(f"image {name!r} of {table} is missing: run FERPlus's generate_training_data.py first.")
            votes = read_votes(row[2:], where)
            yield voted_face(name, stored_picture(archive, name, _box(row[1], where)), votes, USAGES[folder.name])


def voted_face(
    name: str, picture: Picture, votes: np.ndarray, split: str, subject: str = "", groups: dict[str, str] | None = None
) -> LabelledFace:
    """A face with its votes (10,)."""
    return LabelledFace(name, picture, named_votes(votes), majority_name(votes), split, subject, groups or {})


def read_votes(cells: Sequence[str], where: str) -> np.ndarray:
    """Ten cells of a table as counts (10,); an empty one counts 0. Raises :class:`DataError` saying ``where``."""
    try:
        counts = [int(cell or 0) for cell in cells]
        if not all(0 <= count <= MOST_VOTES for count in counts):
            raise ValueError(counts)
    except ValueError as error:
        raise DataError(f"{where} is damaged: expected ten vote counts, got {','.join(cells)!r}.") from error
    return np.array(counts)


def _tables(archive: Archive) -> list[str]:
    return [name for name in named(archive, "label.csv") if PurePosixPath(name).parent.name in USAGES]


def _box(cell: str, where: str) -> Box:
    try:
        left, top, right, bottom = (float(part) for part in cell.strip("() ").split(","))
    except ValueError as error:
        raise DataError(f"{where} is damaged: expected a box (x1, y1, x2, y2), got {cell!r}.") from error
    return left, top, right, bottom
