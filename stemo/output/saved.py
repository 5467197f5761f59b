"""States as files: plain JSON, whole or absent, and known by its own checksum."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from stemo.output.pending import failed
from stemo.records import State

TUPLE, ARRAY = "()", "[]"  # keys under which JSON holds what it has no kind for


def save(path: Path, state: State) -> None:
    """Write ``state`` so that it is on the disk when this returns, replacing what was there in one step.

    Raises :class:`~stemo.errors.OutputError` where it cannot be written; then what was there still is.
    """
    text = json.dumps(packed(state), ensure_ascii=True).encode()
    part = path.with_name(path.name + ".part")
    try:
        with open(part, "wb") as file:
            file.write(_checksum(text) + b"\n" + text + b"\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
        settle_names(path.parent)
    except OSError as error:
        raise failed(path, error) from error


def load(path: Path) -> State | None:
    """What :func:`save` wrote; ``None`` where it is missing, cut off or changed."""
    try:
        checksum, text, end = path.read_bytes().split(b"\n")
    except (OSError, ValueError):
        return None
    if end or checksum != _checksum(text):
        return None
    return unpacked(json.loads(text))


def settle_names(folder: Path) -> None:
    """Bring renamed files of ``folder`` to the disk under their new names, where the system has a call for that."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def packed(value: Any) -> Any:
    """``value`` of numbers, text, lists, tuples, dicts by name and arrays, as JSON has it; floats lose nothing."""
    if isinstance(value, np.ndarray | np.generic):
        data = base64.b64encode(value.tobytes()).decode()
        return {ARRAY: [value.dtype.str, list(value.shape), data]}
    if isinstance(value, tuple):
        return {TUPLE: [packed(item) for item in value]}
    if isinstance(value, list):
        return [packed(item) for item in value]
    if isinstance(value, dict):
        return {key: packed(item) for key, item in value.items()}
    return value


def unpacked(value: Any) -> Any:
    """The value that :func:`packed` was given."""
    if isinstance(value, list):
        return [unpacked(item) for item in value]
    if not isinstance(value, dict):
        return value
    if ARRAY in value:
        dtype, shape, data = value[ARRAY]
        array = np.frombuffer(base64.b64decode(data), dtype).reshape(shape).copy()
        return array if shape else array[()]
    if TUPLE in value:
        return tuple(unpacked(item) for item in value[TUPLE])
    return {key: unpacked(item) for key, item in value.items()}


def _checksum(text: bytes) -> bytes:
    return hashlib.sha256(text).hexdigest().encode()
