"""Rows as they come, kept so that every data file can be written again from its beginning."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from stemo.output.data import Row
from stemo.output.pending import failed
from stemo.records import State

BLOCK = 1 << 20  # bytes read at a time


class Journal:
    """A file to which rows are appended, one JSON per line; :meth:`state` tells how far it is safe.

    Opening one with such a state cuts off what came later. Raises ValueError where what should be there is missing or
    was changed, and :class:`~stemo.errors.OutputError` where the disk refuses something.
    """

    def __init__(self, path: Path, state: State | None = None) -> None:
        self._path = path
        self._bytes, self._sum = 0, hashlib.sha256()
        if state is not None:
            self._check(state)
        try:
            self._file: BinaryIO = open(path, "ab")  # noqa: SIM115
            self._file.truncate(self._bytes)
        except OSError as error:
            raise failed(path, error) from error

    def write(self, row: Row) -> None:
        """Append one row; it is safe after the next :meth:`state`."""
        line = json.dumps(row, separators=(",", ":")).encode() + b"\n"
        try:
            self._file.write(line)
        except OSError as error:
            raise failed(self._path, error) from error
        self._sum.update(line)
        self._bytes += len(line)

    def state(self) -> State:
        """How much there is, brought to the disk before this returns."""
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise failed(self._path, error) from error
        return {"bytes": self._bytes, "sha256": self._sum.hexdigest()}

    def rows(self) -> Iterator[Row]:
        """Every row so far, equal to what was written in every digit; not while writing."""
        self._file.flush()
        with open(self._path, "rb") as file:
            for line in file:
                yield json.loads(line)

    def close(self) -> None:
        """Let go of the file, which stays."""
        try:
            self._file.close()
        except OSError as error:
            raise failed(self._path, error) from error

    def _check(self, state: State) -> None:
        try:
            with open(self._path, "rb") as file:
                while self._bytes < state["bytes"] and (block := file.read(min(BLOCK, state["bytes"] - self._bytes))):
                    self._sum.update(block)
                    self._bytes += len(block)
        except OSError as error:
            raise ValueError(f"its rows cannot be read: {error.strerror}") from error
        if (self._bytes, self._sum.hexdigest()) != (state["bytes"], state["sha256"]):
            raise ValueError("its rows were cut off or changed")
