"""A file on its way: written as ``name.part``, renamed to ``name`` only when it is complete."""

from __future__ import annotations

import contextlib
import os
import weakref
from pathlib import Path

from stemo.errors import OutputError
from stemo.records import Image


class Pending:
    """The place where ``path`` grows: write to :attr:`part`, then :meth:`commit` or :meth:`discard`.

    Raises :class:`OutputError` at once when the folder is missing or unwritable, when ``path`` exists and ``overwrite``
    is false, or when another run is writing it: before an hour of work, not after it. What a killed run left is free.
    """

    def __init__(self, path: Path, *, overwrite: bool = False) -> None:
        self.path = Path(path)
        self.part = self.path.with_name(self.path.name + ".part")
        check_place(self.path, overwrite)
        try:
            held = hold(self.part)
        except BlockingIOError as error:
            raise OutputError(
                f"output {str(self.path)!r} is being written by another run: expected a name of its own, "
                "got one in use. Wait for that run, or choose another --output."
            ) from error
        except OSError as error:
            raise failed(self.path, error) from error
        self._open = True
        # a file that nobody finishes or discards is free again with this object
        self._release = weakref.finalize(self, os.close, held) if held is not None else lambda: None

    def commit(self) -> Path:
        """Give the file its final name, and return it."""
        try:
            os.replace(self.part, self.path)
        except OSError as error:
            raise failed(self.path, error) from error
        finally:
            self._open = False
            self._release()
        return self.path

    def discard(self) -> None:
        """Leave nothing behind, as far as the folder is still there and lets go. May be called twice."""
        if not self._open:
            return  # the name may be another run's by now
        self._open = False
        with contextlib.suppress(OSError):
            self.part.unlink()
        self._release()


def hold(part: Path) -> int | None:
    """Open ``part``, and keep it locked as long as the descriptor is open; ``None`` where the system has no such locks.

    Raises BlockingIOError where another run has it.
    """
    try:
        import fcntl
    except ImportError:  # Windows, where a file that is open elsewhere cannot be renamed anyway
        part.touch()
        return None
    descriptor = os.open(part, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not os.path.samestat(os.fstat(descriptor), os.stat(part)):
            raise BlockingIOError  # finished by another run since it was opened
    except BlockingIOError:
        os.close(descriptor)
        raise
    except OSError:  # a drive without locks, or a folder that has gone: writing will tell
        return descriptor
    return descriptor


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


def make_folder(folder: Path, what: str = "output folder") -> None:
    """Make ``folder`` where it is missing. Raises :class:`OutputError`, which says ``what`` it is, where it cannot."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"{what} {str(folder)!r} cannot be made: expected a folder, got {error.strerror}. Choose another --output."
        ) from error


def check_place(path: Path, overwrite: bool) -> None:
    """Raise :class:`OutputError` where nothing can be written to ``path``, or something is there already."""
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
