"""A data set as it lies on disk: a folder, a zip or a single table, read alike."""

from __future__ import annotations

import csv
import io
import lzma
import os
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property, lru_cache, partial
from pathlib import Path, PurePosixPath
from typing import Protocol

import cv2
import numpy as np

from stemo.capture.images import walk
from stemo.capture.suffixes import VIDEOS
from stemo.errors import DataError
from stemo.records import Box, Image

PICTURES = {".webp", ".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"}
TABLES = {".csv", ".txt"}
DAMAGES = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, KeyError, RuntimeError, OSError, EOFError)  # of a zip


class Archive(Protocol):
    """A folder or a zip; names are relative POSIX paths, sorted."""

    @property
    def path(self) -> Path: ...
    def names(self) -> Sequence[str]: ...
    def folders(self) -> set[str]: ...
    def read(self, name: str) -> bytes: ...
    @contextmanager
    def file(self, name: str) -> Iterator[Path]: ...


class FolderArchive:
    """A folder; with ``table`` only that table of it, those that carry its name on, and what is not a table."""

    def __init__(self, root: Path, table: str | None = None) -> None:
        self.path = root if table is None else root / table
        self._root, self._table = root, table

    def names(self) -> Sequence[str]:
        """Every file."""
        return [name for name, is_file in self._entries if is_file and self._belongs(name)]

    def folders(self) -> set[str]:
        """Every folder, the empty ones too."""
        return {name for name, is_file in self._entries if not is_file}

    def read(self, name: str) -> bytes:
        """The bytes of a file."""
        try:
            return (self._root / name).read_bytes()
        except OSError as error:
            raise DataError(f"file {name!r} cannot be read: {error.strerror}. Check {str(self._root)!r}.") from error

    @contextmanager
    def file(self, name: str) -> Iterator[Path]:
        """A file by its path, for libraries that want one."""
        yield self._root / name

    @cached_property
    def _entries(self) -> list[tuple[str, bool]]:
        paths = [folder / name for folder, names, files in walk(self._root) for name in (*names, *files)]
        found = ((path.relative_to(self._root), os.path.isfile(path)) for path in paths)
        return sorted((path.as_posix(), is_file) for path, is_file in found if not _is_hidden(path.parts))

    def _belongs(self, name: str) -> bool:
        path = PurePosixPath(name)
        if self._table is None or path.suffix.lower() not in TABLES:
            return True
        return path.parent == PurePosixPath() and path.stem.startswith(PurePosixPath(self._table).stem)


class ZipArchive:
    """A zip."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, OSError) as error:
            raise DataError(f"data {str(path)!r} is not a readable zip: expected a zip file, got {error}.") from error

    def names(self) -> Sequence[str]:
        """Every file."""
        return self._names

    def folders(self) -> set[str]:
        """Every folder, the empty ones too where the zip lists them."""
        listed = {name.rstrip("/") for name in self._zip.namelist() if name.endswith("/")}
        return listed | {parent.as_posix() for name in self._names for parent in PurePosixPath(name).parents} - {"."}

    def read(self, name: str) -> bytes:
        """The bytes of a file."""
        try:
            return self._zip.read(name)
        except DAMAGES as error:
            raise DataError(f"file {name!r} in {str(self.path)!r} cannot be read: {error}. Copy it again.") from error

    @contextmanager
    def file(self, name: str) -> Iterator[Path]:
        """A file by its path while the context lasts, for libraries that want one."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / PurePosixPath(name).name
            path.write_bytes(self.read(name))
            yield path

    @cached_property
    def _names(self) -> list[str]:
        names = (name for name in self._zip.namelist() if not name.endswith("/"))
        return sorted(name for name in names if not _is_hidden(PurePosixPath(name).parts))


def open_archive(path: Path) -> Archive:
    """A zip, a folder, or a ``.csv`` with what lies beside it. Raises :class:`DataError` for anything else."""
    try:
        is_folder, is_file = path.is_dir(), path.is_file()
    except OSError as error:
        raise DataError(
            f"data {str(path)!r} cannot be looked at: expected a zip file or a folder, got {error.strerror}. "
            "Check the path, and whether you may read it."
        ) from error
    if is_folder:
        return FolderArchive(path)
    if is_file:
        return FolderArchive(path.parent, path.name) if path.suffix.lower() in TABLES else ZipArchive(path)
    raise DataError(f"data {str(path)!r} does not exist: expected a zip file or a folder. Check the path.")


def read_text(archive: Archive, name: str) -> str:
    """A text file in UTF-8. Raises :class:`DataError` naming it."""
    try:
        return archive.read(name).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"table {name!r} cannot be read: expected text in UTF-8, got {error.reason}. Save it as UTF-8."
        ) from error


@lru_cache(maxsize=2)  # every layout wants to see the same table
def read_rows(archive: Archive, name: str) -> list[dict[str, str]]:
    """The rows of a csv file with a header, by column; missing cells are empty."""
    with faults_said(name):
        rows = csv.DictReader(any_lines(read_text(archive, name)), restval="")
        return [{key: value for key, value in row.items() if key is not None} for row in rows]


def any_lines(text: str) -> io.StringIO:
    """``text`` as a file of lines, whatever system they end as on."""
    return io.StringIO(text, newline=None)


@contextmanager
def faults_said(name: str) -> Iterator[None]:
    """What is no csv as :class:`DataError` naming the table."""
    try:
        yield
    except csv.Error as error:
        raise DataError(f"table {name!r} cannot be read: expected comma-separated values, got {error}.") from error


def read_table(archive: Archive) -> list[dict[str, str]]:
    """The rows of the archive's one ``labels.csv``, wherever it lies; empty where there is none, or several."""
    found = named(archive, "labels.csv")
    return read_rows(archive, found[0]) if len(found) == 1 else []


def named(archive: Archive, *file_names: str) -> list[str]:
    """The files called one of ``file_names``, in any folder."""
    return [name for name in archive.names() if PurePosixPath(name).name in file_names]


def pictures(archive: Archive) -> list[str]:
    """The files that are pictures, by their ending."""
    return [name for name in archive.names() if is_picture(name)]


def is_picture(name: str) -> bool:
    """Whether a name ends as that of a picture."""
    return PurePosixPath(name).suffix.lower() in PICTURES


def is_video(name: str) -> bool:
    """Whether a name ends as that of a video."""
    return PurePosixPath(name).suffix.lower() in VIDEOS


def decode_picture(data: bytes, name: str) -> Image:
    """Encoded bytes -> RGB (h w 3). Raises :class:`DataError` naming the picture."""
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    if picture is None:
        raise DataError(f"image {name!r} cannot be read: expected a picture, got {len(data)} bytes. Remove or mend it.")
    return np.ascontiguousarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)


def stored_picture(archive: Archive, name: str, box: Box | None = None) -> Callable[[], Image]:
    """A picture of the archive, decoded and cut to ``box`` (pixels, parts outside ignored) only when called."""
    return partial(_open, archive, name, box)


def _open(archive: Archive, name: str, box: Box | None) -> Image:
    image = decode_picture(archive.read(name), name)
    if box is None:
        return image
    height, width = image.shape[:2]
    left, top = max(0, round(box[0])), max(0, round(box[1]))
    right, bottom = min(width, round(box[2])), min(height, round(box[3]))
    if right <= left or bottom <= top:
        raise DataError(f"box {box!r} of {name!r} shows nothing: expected one within {width} x {height} pixels.")
    return np.ascontiguousarray(image[top:bottom, left:right])


def _is_hidden(parts: Sequence[str]) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in parts)
