"""An ImageFolder made of any data set: split by people, copies kept together, with a table of what became of what."""

from __future__ import annotations

import csv
import os
import re
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import cv2
from tqdm import tqdm

from stemo.errors import DataError, OutputError
from stemo.training.datasets import Still
from stemo.training.duplicates import Duplicates, connected
from stemo.training.splitting import split_groups

TABLE = "splits.csv"
COLUMNS = ("file", "split", "class", "subject", "source", "source_split", "copies", "hash")


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """Faces with a label each, the split of each (n,), their copies, and the class set."""

    stills: Sequence[Still]
    splits: Sequence[str]
    duplicates: Duplicates
    labels: tuple[str, ...]

    @property
    def counts(self) -> dict[str, Counter[str]]:
        """Split -> class -> number of faces."""
        counts: dict[str, Counter[str]] = {}
        for still, split in zip(self.stills, self.splits, strict=True):
            counts.setdefault(split, Counter())[self.labels[still.label or 0]] += 1
        return counts


def divide(
    stills: Sequence[Still], labels: tuple[str, ...], duplicates: Duplicates, shares: Mapping[str, float], seed: int
) -> Prepared:
    """Split stills that all have a label; a person, and all copies of a picture, go to one side."""
    pairs = [*duplicates.exact, *duplicates.near, *_same_subject(stills)]
    roots = connected(len(stills), pairs)
    numbers = {root: number for number, root in enumerate(dict.fromkeys(roots))}
    classes = [still.label or 0 for still in stills]
    splits = split_groups([numbers[root] for root in roots], classes, shares, seed)
    return Prepared(stills, splits, duplicates, labels)


def check_place(folder: Path, overwrite: bool) -> None:
    """Raise :class:`OutputError` where ``folder`` may not be written.

    Only what an earlier run made is ever replaced: a folder that holds anything else stays as it is.
    """
    if not os.path.isdir(folder.parent):
        raise OutputError(f"output folder {str(folder.parent)!r} is missing: expected a folder. mkdir -p it first.")
    try:
        if not folder.exists():
            return
    except OSError as error:
        raise OutputError(
            f"output {str(folder)!r} cannot be looked at: expected a new name, got {error.strerror}. "
            "Choose another --output."
        ) from error
    if not overwrite:
        raise OutputError(
            f"output {str(folder)!r} exists: expected a new name, got an existing one. "
            "Choose another --output or add --overwrite."
        )
    made = _made(folder)
    if not folder.is_dir() or (any(folder.iterdir()) and not made):
        raise OutputError(
            f"output {str(folder)!r} is not replaced: expected a folder that --prepare made (with {TABLE}), got "
            "something else. Choose another --output."
        )
    if foreign := sorted(_entries(folder) - made):
        raise OutputError(
            f"output {str(folder)!r} is not replaced: expected only what --prepare made, got {foreign[0]!r} in it. "
            "Move that away, or choose another --output."
        )


def _made(folder: Path) -> set[str]:
    """The paths below ``folder``, folders too, that an earlier run made by its own table; none without one."""
    try:
        with (folder / TABLE).open(newline="", encoding="utf-8") as file:
            table = csv.DictReader(file)
            files = [PurePosixPath(row["file"]) for row in table if tuple(table.fieldnames or ()) == COLUMNS]
    except (OSError, ValueError, csv.Error):
        return set()
    return {TABLE, *(str(path) for file in files for path in (file, *file.parents))} if files else set()


def _entries(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def write_folder(prepared: Prepared, folder: Path) -> None:
    """Write ``folder/split/class/subject_number.png`` and ``folder/splits.csv``, complete or not at all.

    Raises :class:`OutputError` when the disk refuses, or what :func:`check_place` does not let go lies there by now.
    """
    try:
        # a name that nobody has: whatever lies beside the output is somebody's
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as own:
            part = Path(own) / "new"
            part.mkdir()
            _write(prepared, part)
            _replace(part, folder, Path(own) / "before")
    except OSError as error:
        raise OutputError(f"output {str(folder)!r} cannot be written: {error.strerror or error}.") from error


def _write(prepared: Prepared, part: Path) -> None:
    copies = {place: number for number, group in enumerate(prepared.duplicates.groups, 1) for place in group}
    used: Counter[str] = Counter()
    with (part / TABLE).open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(COLUMNS)
        for place in tqdm(range(len(prepared.stills)), "writing", disable=None):
            still, split = prepared.stills[place], prepared.splits[place]
            label = prepared.labels[still.label or 0]
            name = f"{split}/{label}/{_file_name(still, used)}"
            (part / name).parent.mkdir(parents=True, exist_ok=True)
            _write_picture(part / name, still)
            subject = still.subject if still.has_subject else ""
            code = f"{int(prepared.duplicates.hashes[place]):016x}"
            table.writerow((name, split, label, subject, still.name, still.split, copies.get(place, ""), code))


def _write_picture(path: Path, still: Still) -> None:
    written, data = cv2.imencode(".png", cv2.cvtColor(still.image, cv2.COLOR_RGB2BGR))
    if not written:
        raise DataError(f"image {still.name!r} cannot be written as PNG: expected a picture, got {still.image.shape}.")
    path.write_bytes(data.tobytes())


def _file_name(still: Still, used: Counter[str]) -> str:
    """``<subject>_<number>.png``, which a loader reads as that subject; a face of nobody known gets dashes instead."""
    known = still.subject if still.has_subject else PurePosixPath(still.name).stem.replace("_", "-")
    stem = re.sub(r"[^\w.-]+", "-", known).strip("-.") or "face"
    used[stem] += 1
    return f"{stem}_{used[stem]:05d}.png" if still.has_subject else f"{stem}-{used[stem]:02d}.png"


def _replace(part: Path, folder: Path, before: Path) -> None:
    """Give ``part`` its final name, and what lay there the name ``before``; it stays where that fails."""
    if not folder.exists():
        os.replace(part, folder)
        return
    check_place(folder, overwrite=True)  # once more: the pictures took minutes
    os.replace(folder, before)
    try:
        os.replace(part, folder)
    except OSError:
        os.replace(before, folder)
        raise


def _same_subject(stills: Sequence[Still]) -> list[tuple[int, int]]:
    first: dict[str, int] = {}
    subjects = [(place, still.subject) for place, still in enumerate(stills) if still.has_subject]
    return [(first.setdefault(subject, place), place) for place, subject in subjects]
