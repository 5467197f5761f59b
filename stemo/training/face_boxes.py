"""Faces as boxes in whole pictures: data sets in YOLO format, read and checked before a detector is trained on them.

::

    DATA.yaml      path: the data set's folder (default the file's own); train, val: folders of pictures, lists of
                   paths (.txt), or several of them; names: the classes, or nc: their number
    images/a.jpg   labels/a.txt   one line per face: class x y width height, in [0, 1] of the picture, x and y its
                   middle; a polygon (class x1 y1 x2 y2 ...) counts as the box around it. No file: no face
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image as PilImage

from stemo.capture.images import SUFFIXES, own_open
from stemo.errors import DataError
from stemo.faces.detection import face_labels
from stemo.records import Array

LAYOUT = "See the head of stemo/training/face_boxes.py for the layout"


@dataclass(frozen=True, slots=True, eq=False)
class BoxedPicture:
    """A picture on disk, its ``size`` (height, width) in pixels, and its ``boxes`` (n 5): class, x, y, width, height.

    Boxes are in [0, 1] of the picture, x and y their middle.
    """

    path: Path
    size: tuple[int, int]
    boxes: Array


@dataclass(frozen=True, slots=True)
class FaceBoxes:
    """A data set: the names of its classes, and the pictures to train on and to choose by."""

    names: tuple[str, ...]
    train: tuple[BoxedPicture, ...]
    valid: tuple[BoxedPicture, ...]


def load_face_boxes(path: Path) -> FaceBoxes:
    """Read ``path`` (DATA.yaml) and every label it leads to; nothing in it is run or fetched.

    Raises :class:`DataError` for anything missing, unreadable or out of range, and for classes none of which is a face.
    """
    raw = _read(path)
    names = _names(raw, path)
    root = path.parent / str(raw.get("path") or "")
    train = tuple(_pictures(raw, ("train",), root, names, path))
    valid = tuple(_pictures(raw, ("val", "validation"), root, names, path))
    if not any(len(picture.boxes) for picture in train):
        raise _wrong(path, "has no face to train on", "lines in labels/*.txt", f"none for {len(train)} pictures")
    return FaceBoxes(names, train, valid)


def _read(path: Path) -> dict[str, Any]:
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise _wrong(path, "cannot be read", "a YAML file in YOLO's format", str(error.strerror)) from error
    except (yaml.YAMLError, ValueError) as error:
        raise _wrong(path, "is not YAML", "train:, val: and names:", " ".join(str(error).split())) from error
    if not isinstance(raw, dict):
        raise _wrong(path, "has no keys", "train:, val: and names:", repr(raw)[:60])
    return raw


def _names(raw: dict[str, Any], path: Path) -> tuple[str, ...]:
    given, count = raw.get("names"), raw.get("nc")
    if isinstance(given, dict):
        given = [given[key] for key in sorted(given, key=str)] if set(given) == set(range(len(given))) else None
    if given is None and isinstance(count, int) and count > 0:
        given = ["face"] if count == 1 else [f"class {number}" for number in range(count)]
    if not isinstance(given, list) or not given:
        raise _wrong(path, "does not name its classes", "names: [face], or nc: 1", repr(raw.get("names"))[:60])
    names = tuple(str(name) for name in given)
    if not face_labels(names):
        raise _wrong(path, "knows no faces", "one class, or one with 'face' in its name", ", ".join(names[:5]))
    return names


def _pictures(
    raw: dict[str, Any], keys: Sequence[str], root: Path, names: Sequence[str], path: Path
) -> Iterator[BoxedPicture]:
    places = next((raw[key] for key in keys if raw.get(key)), None)
    if places is None:
        raise _wrong(path, f"lacks {keys[0]}", f"{keys[0]}: a folder of pictures", "no such key")
    listed = places if isinstance(places, list) else [places]
    files = [file for place in listed for file in _files(root / str(place), path)]
    if not files:
        raise _wrong(path, f"has no pictures for {keys[0]}", f"pictures in {root / str(listed[0])}", "none")
    for file in files:
        yield BoxedPicture(file, _size(file), _boxes(label_file(file), len(names)))


def _files(place: Path, path: Path) -> list[Path]:
    expected = "a folder of pictures or a .txt list of them"
    try:
        if place.is_dir():
            return sorted(file for file in place.rglob("*") if file.suffix.lower() in SUFFIXES)
        if place.suffix == ".txt" and place.is_file():
            lines = [line.strip() for line in place.read_text(encoding="utf-8-sig").splitlines()]
            return [place.parent / line for line in lines if line]
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise _wrong(path, f"leads to {str(place)!r}, which cannot be read", expected, str(reason)) from error
    raise _wrong(path, f"leads to {str(place)!r}", expected, "neither")


def label_file(picture: Path) -> Path:
    """Where YOLO's format keeps the labels of a picture: the last ``images`` folder becomes ``labels``."""
    parts = list(picture.parts)
    places = [place for place, part in enumerate(parts[:-1]) if part == "images"]
    if places:
        parts[places[-1]] = "labels"
    return Path(*parts).with_suffix(".txt")


def _size(file: Path) -> tuple[int, int]:
    try:
        with own_open()(file) as opened:
            width, height = opened.size
            turned = opened.getexif().get(0x0112, 1) >= 5  # a camera held upright stores the picture lying down
    except (OSError, ValueError, SyntaxError, PilImage.DecompressionBombError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(
            f"picture {str(file)!r} cannot be read: expected an image file, got {reason}. Remove it, or copy it again."
        ) from error
    return (width, height) if turned else (height, width)


def _boxes(file: Path, classes: int) -> Array:
    """The boxes (n 5) of a label file; none where there is no file."""
    try:
        lines = file.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return np.zeros((0, 5), np.float32)
    except OSError as error:
        raise DataError(
            f"label {str(file)!r} cannot be read: expected a line per face, got {error.strerror}. {LAYOUT}"
        ) from error
    rows = [_row(line, number, file, classes) for number, line in enumerate(lines, 1) if line.strip()]
    return np.array(rows, np.float32).reshape(-1, 5)


def _row(line: str, number: int, file: Path, classes: int) -> tuple[float, ...]:
    try:
        label, *values = (float(word) for word in line.split())
    except ValueError:
        label, values = -1.0, []
    box = values if len(values) == 4 else _around(values)
    known = label in range(classes) and len(box) == 4
    if not known or not (min(values) >= 0 and max(values) <= 1.001 and min(box[2:]) > 0):
        raise DataError(
            f"label {str(file)!r} line {number} is no box: expected class (< {classes}) x y width height in [0, 1], "
            f"got {line.strip()[:60]!r}. {LAYOUT}"
        )
    return (label, *box)


def _around(values: Sequence[float]) -> Sequence[float]:
    """The box (x y width height) around a polygon (x1 y1 x2 y2 ...); empty where it is none."""
    if len(values) < 6 or len(values) % 2:
        return ()
    points = np.array(values).reshape(-1, 2)
    low, high = points.min(axis=0), points.max(axis=0)
    return (*((low + high) / 2).tolist(), *(high - low).tolist())


def _wrong(path: Path, problem: str, expected: str, got: str) -> DataError:
    return DataError(f"data set {str(path)!r} {problem}: expected {expected}, got {got}. {LAYOUT}")
