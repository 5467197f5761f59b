"""What a run trains on: every data set it was given, split into training, validation and held-back people."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from stemo.errors import DataError
from stemo.training.datasets import (
    PICTURES,
    LabelledSequence,
    Still,
    load_sequences,
    load_stills,
    open_archive,
    read_table,
)
from stemo.training.fer2013 import is_fer2013, load_fer2013
from stemo.training.made import made_stills

MADE = Path("made")  # the word that stands for the drawn faces
TRAIN_SPLITS = {"training", "train"}
VALID_SPLITS = {"publictest", "valid", "val", "validation", "dev"}
TEST_SPLITS = {"privatetest", "test"}


@dataclass(slots=True)
class Collection:
    """Stills to train on, to choose by, and of people held back; sequences likewise; names of the data sets."""

    train: list[Still] = field(default_factory=list)
    valid: list[Still] = field(default_factory=list)
    held_back: list[Still] = field(default_factory=list)
    sequences: list[LabelledSequence] = field(default_factory=list)
    held_back_sequences: list[LabelledSequence] = field(default_factory=list)
    names: list[str] = field(default_factory=list)


def collect(paths: Sequence[Path], held_back: float) -> Collection:
    """Load every data set in ``paths`` (a data set, a folder of zips, or the word "made" for drawn faces).

    Splits that a data set names are kept (its test split is never read for training or choosing). From the others a
    share ``held_back`` of the people, chosen by name and so the same in every run, is kept apart; it also serves for
    choosing where nothing else does. Raises :class:`DataError` when nothing is left to train on or to choose by.
    """
    whole = Collection()
    for path in _data_sets(paths):
        whole.names.append(path.stem)
        if path == MADE:
            _add(whole, list(made_stills()), held_back)
        elif is_fer2013(path):
            _add(whole, load_fer2013(path), held_back)
        elif _holds_sequences(path):
            for sequence in load_sequences(path):
                kept = whole.held_back_sequences if is_held_back(sequence.subject, held_back) else whole.sequences
                kept.append(sequence)
        else:
            _add(whole, load_stills(path), held_back)
    whole.valid = whole.valid or whole.held_back
    for name, part in (("training", whole.train), ("validation", whole.valid)):
        if not part:
            raise DataError(f"data {[str(path) for path in paths]} has no {name} face: expected some, got none.")
    return whole


def is_held_back(subject: str, share: float) -> bool:
    """Whether a person belongs to the held-back ``share`` in [0, 1]: decided by the name alone."""
    return zlib.crc32(subject.encode()) % 1000 < share * 1000


def _add(whole: Collection, stills: Sequence[Still], held_back: float) -> None:
    for still in stills:
        split = still.split.lower()
        if split in VALID_SPLITS:
            whole.valid.append(still)
        elif split in TEST_SPLITS:
            continue
        elif split not in TRAIN_SPLITS and is_held_back(still.subject, held_back):
            whole.held_back.append(still)
        else:
            whole.train.append(still)


def _data_sets(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        if path == MADE and not path.exists():
            yield path
            continue
        zips = sorted(path.glob("*.zip")) if path.is_dir() else []
        readable = [item for item in zips if _holds_pictures(item)]
        if zips and not readable:
            raise DataError(f"data {str(path)!r} holds zips without pictures: expected face data sets.")
        yield from readable or [path]


def _holds_pictures(path: Path) -> bool:
    return any(PurePosixPath(name).suffix.lower() in PICTURES for name in open_archive(path).names())


def _holds_sequences(path: Path) -> bool:
    table = read_table(open_archive(path))
    return bool(table) and "sequence" in table[0]
