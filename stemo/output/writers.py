"""Rows as files: JSON, JSONL, CSV, Parquet, each written as a stream in constant memory."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Protocol

from stemo.errors import ConfigError, OutputError
from stemo.output.data import Row, columns, flatten, output_name
from stemo.output.pending import Pending, failed
from stemo.records import EMOTIONS

ROW_GROUP = 2048  # rows that the Parquet writer holds before it writes them


class Writer(Protocol):
    """A stream of rows into one file. Usable in ``with``: leaving with an exception aborts."""

    path: Path
    count: int

    def write(self, row: Row) -> None:
        """Append one row; raises :class:`OutputError` when the disk refuses it."""
        ...

    def close(self) -> None:
        """Finish the file and give it its final name; also right after an input that ended early."""
        ...

    def abort(self) -> None:
        """Leave nothing behind."""
        ...


def open_writers(
    base: Path, formats: Sequence[str], *, overwrite: bool = False, labels: Sequence[str] = EMOTIONS
) -> list[Writer]:
    """One writer for each of ``formats`` (json, jsonl, csv, parquet), named ``<base>_results.<format>``.

    ``labels`` are the categories of the readings, each with a column of its own.

    Raises :class:`ConfigError` for an unknown format and :class:`OutputError` when one cannot be opened; then none is.
    """
    writers: list[Writer] = []
    try:
        for name, path in _places(base, formats).items():
            writers.append(WRITERS[name](path, overwrite=overwrite, labels=labels))
    except OutputError:
        for writer in writers:
            writer.abort()
        raise
    return writers


def check_writers(base: Path, formats: Sequence[str], *, overwrite: bool = False) -> None:
    """Raise what :func:`open_writers` would; no file is begun, and nothing is left."""
    for path in _places(base, formats).values():
        Pending(path, overwrite=overwrite).discard()


def _places(base: Path, formats: Sequence[str]) -> dict[str, Path]:
    """The file of each of ``formats``, which may be named twice; raises :class:`ConfigError` for an unknown one."""
    for name in formats:
        if name not in WRITERS:
            raise ConfigError(
                f"format {name!r} is unknown: expected some of {', '.join(WRITERS)}, got {name!r}. Correct --format."
            )
    return {name: output_name(Path(base), f"results.{name}") for name in formats}


class _TextWriter:
    """The part that the three text formats share."""

    newline = "\n"

    def __init__(self, path: Path, *, overwrite: bool = False, labels: Sequence[str] = EMOTIONS) -> None:
        self.path = path
        self.count = 0
        self._labels = labels
        self._pending = Pending(path, overwrite=overwrite)
        try:
            self._file: IO[str] = open(self._pending.part, "w", encoding="utf-8", newline=self.newline)  # noqa: SIM115
        except OSError as error:
            self._pending.discard()
            raise failed(path, error) from error
        self._guard(self._begin)

    def write(self, row: Row) -> None:
        """Append one row."""
        self._guard(self._append, row)
        self.count += 1

    def close(self) -> None:
        """Finish the file and give it its final name."""
        if self._file.closed:
            return
        self._guard(self._end)
        self._guard(self._file.close)
        self._pending.commit()

    def abort(self) -> None:
        """Leave nothing behind."""
        with suppress(OSError):  # on a full disk the rest cannot be flushed; it is being thrown away anyway
            self._file.close()
        self._pending.discard()

    def __enter__(self) -> _TextWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.close() if kind is None else self.abort()

    def _guard(self, action: Callable[..., object], *arguments: object) -> None:
        try:
            action(*arguments)
        except OSError as error:
            raise failed(self.path, error) from error

    def _begin(self) -> None: ...

    def _append(self, row: Row) -> None:
        raise NotImplementedError

    def _end(self) -> None: ...


class JsonWriter(_TextWriter):
    """One JSON array, one row per line; valid once closed."""

    def _begin(self) -> None:
        self._file.write("[")

    def _append(self, row: Row) -> None:
        self._file.write(("\n" if self.count == 0 else ",\n") + _dump(row))

    def _end(self) -> None:
        self._file.write("\n]\n")


class JsonlWriter(_TextWriter):
    """One JSON object per line, flushed with every row so that another program can follow."""

    def _append(self, row: Row) -> None:
        self._file.write(_dump(row) + "\n")
        self._file.flush()


class CsvWriter(_TextWriter):
    """RFC 4180 with flat :func:`~stemo.output.data.columns`; missing is empty, objects are JSON text."""

    newline = ""

    def _begin(self) -> None:
        self._columns = columns(self._labels)
        self._csv = csv.writer(self._file)
        self._csv.writerow(self._columns)

    def _append(self, row: Row) -> None:
        flat = flatten(row, self._labels)
        self._csv.writerow([*(flat[name] for name in self._columns[:-1]), _dump(flat["objects"])])


class ParquetWriter:
    """Typed, nullable columns in row groups of :data:`ROW_GROUP`."""

    def __init__(self, path: Path, *, overwrite: bool = False, labels: Sequence[str] = EMOTIONS) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self.path = path
        self.count = 0
        self._labels = labels
        self._pending = Pending(path, overwrite=overwrite)
        self._schema = _parquet_schema(labels)
        self._buffer: list[Row] = []
        self._table = pa.Table
        # its first table loads pandas where that is installed: 50 MB, now and not amid a long video
        pa.Table.from_pylist([], schema=self._schema)
        self._faults = (OSError, pa.ArrowException)
        try:
            self._file = pq.ParquetWriter(self._pending.part, self._schema, compression="zstd")
        except self._faults as error:
            self._pending.discard()
            raise failed(path, error) from error
        self._open = True

    def write(self, row: Row) -> None:
        """Append one row; it reaches the disk with its row group."""
        self._buffer.append(flatten(row, self._labels))
        self.count += 1
        if len(self._buffer) >= ROW_GROUP:
            self._flush()

    def close(self) -> None:
        """Finish the file and give it its final name."""
        if not self._open:
            return
        self._flush()
        try:
            self._file.close()
        except self._faults as error:
            raise failed(self.path, error) from error
        self._open = False
        self._pending.commit()

    def abort(self) -> None:
        """Leave nothing behind."""
        if self._open:
            self._open = False
            with suppress(*self._faults):  # on a full disk the footer fails; it is being thrown away anyway
                self._file.close()
        self._pending.discard()

    def __enter__(self) -> ParquetWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.close() if kind is None else self.abort()

    def _flush(self) -> None:
        if not self._buffer:
            return
        try:
            self._file.write_table(self._table.from_pylist(self._buffer, schema=self._schema))
        except self._faults as error:
            raise failed(self.path, error) from error
        self._buffer.clear()


WRITERS: dict[str, type[_TextWriter] | type[ParquetWriter]] = {
    "json": JsonWriter,
    "jsonl": JsonlWriter,
    "csv": CsvWriter,
    "parquet": ParquetWriter,
}


# json.dumps would make an encoder for every row
_dump = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(", ", ": ")).encode


def _parquet_schema(labels: Sequence[str]) -> Any:
    import pyarrow as pa

    kinds = {"frame": pa.int64(), "time_s": pa.float64(), "face_id": pa.int64()}
    kinds |= {"emotion": pa.string(), "raw_emotion": pa.string()}
    item = pa.struct({"label": pa.string(), "confidence": pa.float64(), "box": pa.list_(pa.float64())})
    kinds["objects"] = pa.list_(item)
    required = {"frame", "time_s"}
    return pa.schema([pa.field(name, kinds.get(name, pa.float64()), name not in required) for name in columns(labels)])
