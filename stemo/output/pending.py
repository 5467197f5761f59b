"""A file on its way: written as ``name.part``, renamed to ``name`` only when it is complete."""

from __future__ import annotations

import os
from pathlib import Path

from stemo.errors import OutputError
from stemo.records import Image


class Pending:
    """The place where ``path`` grows: write to :attr:`part`, then :meth:`commit` or :meth:`discard`.

    Raises :class:`OutputError` at once when the folder is missing or unwritable, or when ``path`` exists and
    ``overwrite`` is false: before an hour of work, not after it.
    """

    def __init__(self, path: Path, *, overwrite: bool = False) -> None:
        self.path = Path(path)
        self.part = self.path.with_name(self.path.name + ".part")
        _check_place(self.path, overwrite)
        try:
            self.part.touch()
        except OSError as error:
            raise failed(self.path, error) from error

    def commit(self) -> Path:
        """Give the file its final name, and return it."""
        try:
            os.replace(self.part, self.path)
        except OSError as error:
            raise failed(self.path, error) from error
        return self.path

    def discard(self) -> None:
        """Leave nothing behind."""
        self.part.unlink(missing_ok=True)


def write_png(pending: Pending, image: Image) -> Path:
    """Write a picture (h w 3), RGB uint8, and return its path; nothing is left of it where that fails."""
    from PIL import Image as PilImage

    try:
        with open(pending.part, "wb") as file:
            PilImage.fromarray(image).save(file, format="PNG")
    except OSError as error:
        pending.discard()
        raise failed(pending.path, error) from error
    return pending.commit()


def failed(path: Path, error: Exception) -> OutputError:
    """The one-line :class:`OutputError` for an ``error`` met while writing ``path``."""
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return OutputError(f"output {str(path)!r} cannot be written: {reason}. Check the disk or choose another --output.")


def _check_place(path: Path, overwrite: bool) -> None:
    folder = path.parent
    if not folder.is_dir():
        raise OutputError(
            f"output folder {str(folder)!r} is missing: expected an existing folder. Create it with: mkdir -p {folder}"
        )
    if path.is_dir():
        raise OutputError(f"output {str(path)!r} is a folder: expected a file name. Name a file inside it.")
    if path.exists() and not overwrite:
        raise OutputError(
            f"output {str(path)!r} exists: expected a new name, got an existing file. "
            "Choose another --output or add --overwrite."
        )
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(
            f"output folder {str(folder)!r} is not writable: expected write permission, got none. "
            "Choose another --output."
        )
