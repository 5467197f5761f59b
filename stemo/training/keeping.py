"""Places that a training keeps things in: looked at before hours of work, their faults said in one line."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from stemo.errors import OutputError


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what the system says while ``path`` is being written into an :class:`OutputError`."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise OutputError(
            f"file {str(path)!r} cannot be written: expected a place to write to, got {reason}. "
            "Check the disk, or work in another folder."
        ) from error


def make_place(folder: Path) -> None:
    """Make ``folder`` where it is missing. Raises :class:`OutputError` where it cannot be, or takes no files."""
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
