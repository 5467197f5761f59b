"""Labelled stills and short sequences, from a zip or a folder in any of the layouts that users have."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

import cv2
import numpy as np

from stemo.errors import DataError
from stemo.records import EMOTIONS, Image
from stemo.training.labels import (
    FERPLUS_COLUMNS,
    FOLDER_RULE,
    MAJORITY_RULE,
    SEQUENCE_RULE,
    FloatArray,
    canonical_emotion,
    majority_label,
    one_hot,
    vote_distribution,
    weak_affect,
)

PICTURES = {".webp", ".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"}


@dataclass(frozen=True, slots=True, eq=False)
class Still:
    """One labelled face picture. ``label`` is ``None`` where the scoring rule drops it (it may still train)."""

    name: str
    image: Image  # (h w 3)
    distribution: FloatArray  # (7,)
    valence: float
    arousal: float
    label: int | None
    split: str
    subject: str


@dataclass(frozen=True, slots=True, eq=False)
class LabelledSequence:
    """A sequence from onset (neutral) to apex: pictures, the class index (``None``: not one of the seven), subject."""

    name: str
    images: tuple[Image, ...]
    label: int | None
    subject: str


class Archive(Protocol):
    """A zip or a folder, read alike."""

    def names(self) -> Sequence[str]: ...
    def read(self, name: str) -> bytes: ...


class FolderArchive:
    """A folder as an :class:`Archive`; names are relative POSIX paths."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def names(self) -> Sequence[str]:
        return sorted(path.relative_to(self.root).as_posix() for path in self.root.rglob("*") if path.is_file())

    def read(self, name: str) -> bytes:
        return (self.root / name).read_bytes()


class ZipArchive:
    """A zip as an :class:`Archive`."""

    def __init__(self, path: Path) -> None:
        try:
            self.zip = zipfile.ZipFile(path)
        except zipfile.BadZipFile as error:
            raise DataError(f"data {str(path)!r} is not a readable zip: expected a zip file, got {error}.") from error

    def names(self) -> Sequence[str]:
        return sorted(name for name in self.zip.namelist() if not name.endswith("/"))

    def read(self, name: str) -> bytes:
        return self.zip.read(name)


def open_archive(path: Path) -> Archive:
    """A zip file or a folder. Raises :class:`DataError` for anything else."""
    if path.is_dir():
        return FolderArchive(path)
    if path.is_file():
        return ZipArchive(path)
    raise DataError(f"data {str(path)!r} does not exist: expected a zip file or a folder. Check the path.")


def decode_picture(data: bytes, name: str) -> Image:
    """Encoded bytes -> RGB (h w 3). Raises :class:`DataError` naming the picture."""
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    if picture is None:
        raise DataError(f"image {name!r} cannot be read: expected a picture, got {len(data)} bytes. Remove or mend it.")
    return np.ascontiguousarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)


def load_stills(path: Path) -> list[Still]:
    """Labelled stills from ``path``: FER+ (``labels.csv`` with votes), CK+ (``sequence`` column) or an ImageFolder.

    Raises :class:`DataError` when the layout is none of them, a picture cannot be read or nothing is left.
    """
    archive = open_archive(path)
    table = read_table(archive)
    columns = set(table[0]) if table else set()
    if "sequence" in columns:
        stills = list(sequence_stills(read_sequences(archive, table)))
    elif columns & set(FERPLUS_COLUMNS):
        stills = list(_ferplus(archive, table, path))
    else:
        stills = list(_image_folder(archive))
    if not stills:
        raise DataError(
            f"data {str(path)!r} holds no labelled face: expected a labels.csv with vote counts, or one folder per "
            f"emotion ({', '.join(EMOTIONS)}), got neither."
        )
    return stills


def scoring_rule(path: Path) -> str:
    """Which faces :func:`load_stills` gives a label, and which, in words."""
    table = read_table(open_archive(path))
    columns = set(table[0]) if table else set()
    if "sequence" in columns:
        return SEQUENCE_RULE
    return MAJORITY_RULE if columns & set(FERPLUS_COLUMNS) else FOLDER_RULE


def load_sequences(path: Path) -> list[LabelledSequence]:
    """CK+ sequences from a zip or folder with ``labels.csv`` (sequence, subject, emotion, frames)."""
    archive = open_archive(path)
    return read_sequences(archive, read_table(archive))


def read_table(archive: Archive) -> list[dict[str, str]]:
    """The rows of ``labels.csv``, wherever it lies; empty where there is none."""
    found = [name for name in archive.names() if PurePosixPath(name).name == "labels.csv"]
    if not found:
        return []
    return list(csv.DictReader(io.StringIO(archive.read(found[0]).decode("utf-8-sig"))))


def read_sequences(archive: Archive, table: Sequence[dict[str, str]]) -> list[LabelledSequence]:
    """Rows of a CK+ ``labels.csv`` -> sequences with their pictures."""
    sequences = []
    for row in table:
        images = tuple(decode_picture(archive.read(name), name) for name in row["frames"].split())
        emotion = canonical_emotion(row["emotion"])
        label = None if emotion is None else EMOTIONS.index(emotion)
        sequences.append(LabelledSequence(row["sequence"], images, label, row["subject"]))
    return sequences


def sequence_stills(sequences: Sequence[LabelledSequence]) -> Iterator[Still]:
    """Each sequence's onset as Neutral and its last frames, graded in intensity, as the class."""
    neutral = EMOTIONS.index("Neutral")
    for sequence in sequences:
        if sequence.label is None:
            continue
        last = len(sequence.images) - 1
        for place, image in enumerate(sequence.images):
            label = sequence.label if place else neutral
            target = one_hot(label, 0.05)
            valence, arousal = weak_affect(one_hot(label), intensity=0.6 + 0.4 * place / last)
            name = f"{sequence.name}/{place}"
            scored = label if place in (0, last) else None
            yield Still(name, image, target, valence, arousal, scored, "", sequence.subject)


def _ferplus(archive: Archive, table: Sequence[dict[str, str]], path: Path) -> Iterator[Still]:
    missing = {"image", *FERPLUS_COLUMNS} - set(table[0])
    if missing:
        raise DataError(f"labels.csv in {str(path)!r} lacks columns: expected {', '.join(sorted(missing))}.")
    available = set(archive.names())
    by_file_name = {PurePosixPath(name).name: name for name in available}
    for row in table:
        name = row["image"] if row["image"] in available else by_file_name.get(PurePosixPath(row["image"]).name)
        if name is None:
            raise DataError(f"image {row['image']!r} of labels.csv is missing in {str(path)!r}.")
        votes = np.array([int(row[column] or 0) for column in FERPLUS_COLUMNS])
        distribution, label = vote_distribution(votes), majority_label(votes)
        if distribution is None:
            continue
        image = decode_picture(archive.read(name), name)
        valence, arousal = weak_affect(distribution)
        split = row.get("usage", "")
        yield Still(name, image, distribution, valence, arousal, label, split, row.get("dup_group", name))


def _image_folder(archive: Archive) -> Iterator[Still]:
    for name in archive.names():
        path = PurePosixPath(name)
        emotion = canonical_emotion(path.parent.name)
        if emotion is None or path.suffix.lower() not in PICTURES:
            continue
        label = EMOTIONS.index(emotion)
        valence, arousal = weak_affect(one_hot(label))
        split = path.parts[-3] if len(path.parts) > 2 else ""
        image = decode_picture(archive.read(name), name)
        yield Still(name, image, one_hot(label, 0.1), valence, arousal, label, split, subject_of(path.stem))


def subject_of(stem: str) -> str:
    """The person a file name names (``Hu_Jintao_0002`` -> ``Hu_Jintao``), or the whole stem."""
    head, _, tail = stem.rpartition("_")
    return head if head and tail.isdigit() else stem
