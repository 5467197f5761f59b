"""A still image, or a folder of them, as a source of frames; read with Pillow.

A folder has no clock of its own: its images, in natural order (2 before 10), are taken to be 1/25 s apart.
"""

from __future__ import annotations

import os
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from stemo.capture.source import Closing, SourceInfo, fit, within
from stemo.errors import InputError
from stemo.records import Frame, Image

if TYPE_CHECKING:
    from PIL.Image import Image as Opened

SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
FOLDER_RATE = Fraction(25)


class Pictures(Closing):
    """What a folder of images and a single one have in common."""

    def __init__(self, files: list[Path], path: Path, kind: str, start: float | None, end: float | None) -> None:
        self._timed = _select(files, path, start, end)
        self._skipped = 0
        self.info = _describe(self._timed, path, kind)

    def __iter__(self) -> Iterator[Frame]:
        for index, (time, file) in islice(enumerate(self._timed), self._skipped, None):
            yield Frame(index, time, fit(read_image(file), self.info.width, self.info.height))

    def skip(self, count: int) -> None:
        """Leave out the first ``count`` images; the others keep index and time."""
        self._skipped = count


class ImageFolder(Pictures):
    """The images of a folder in natural order, 1/25 s apart, all fitted into the size of the first.

    Only ``start <= time < end`` comes out. Raises :class:`InputError` where there is no image, or none in the range;
    while iterating, where one of them cannot be read.
    """

    def __init__(self, path: Path, *, start: float | None = None, end: float | None = None) -> None:
        files = image_files(path)
        if not files:
            raise InputError(
                f"folder {str(path)!r} has no images: expected files ending in {', '.join(sorted(SUFFIXES))}, "
                f"got none of them. Give the folder that holds the images itself."
            )
        super().__init__(files, path, "folder", start, end)


class StillImage(Pictures):
    """One image as a source of a single frame at time 0; raises :class:`InputError` where it cannot be read."""

    def __init__(self, path: Path, *, start: float | None = None, end: float | None = None) -> None:
        super().__init__([path], path, "image", start, end)


def read_image(path: Path) -> Image:
    """Read ``path`` as RGB uint8 (h w 3), upright by its EXIF orientation; 16-bit gray is scaled to 8.

    Raises :class:`InputError` where it is no image or cut off.
    """
    from PIL import Image as pillow
    from PIL import ImageOps

    try:
        # Pillow remarks on stderr what it makes of odd tags
        with warnings.catch_warnings(action="ignore", category=UserWarning), own_open()(path) as opened:
            upright = ImageOps.exif_transpose(opened)
            return np.ascontiguousarray(_to_rgb(upright))
    except (OSError, ValueError, SyntaxError, pillow.DecompressionBombError, pillow.DecompressionBombWarning) as error:
        raise InputError(
            f"image {str(path)!r} cannot be read: expected a whole image file, got {_reason(error)}. "
            "Check that it opens elsewhere."
        ) from error


def image_files(folder: Path) -> list[Path]:
    """The images in ``folder``, in natural order. Raises :class:`InputError` where it may not be read."""
    try:
        return sorted((file for file in folder.iterdir() if _is_image(file)), key=lambda file: natural(file.name))
    except OSError as error:
        raise InputError(
            f"folder {str(folder)!r} cannot be read: expected a folder of images, got {error.strerror}. "
            "Check the path, and whether you may read it."
        ) from error


def walk(root: Path) -> Iterator[tuple[Path, list[str], list[str]]]:
    """Each folder from ``root`` down, with the names of its folders and files; hidden folders are left out.

    Linked folders are gone into as well, but none twice, and none that lies below ``root`` under a name of its own.
    """
    home = Path(os.path.realpath(root))
    seen = {home}
    for folder, names, files in os.walk(root, followlinks=True):
        shown = sorted(name for name in names if not name.startswith("."))
        names[:] = [name for name in shown if _is_new(Path(folder, name), home, seen)]
        yield Path(folder), shown, files


def _is_new(folder: Path, home: Path, seen: set[Path]) -> bool:
    """Whether :func:`walk` is to go into ``folder``, which is then ``seen``."""
    real = Path(os.path.realpath(folder))
    inside = real.relative_to(home).parts if real.is_relative_to(home) else (".",)
    is_read_there = folder.is_symlink() and not any(part.startswith(".") for part in inside)
    if is_read_there or real in seen:
        return False
    seen.add(real)
    return True


def own_open() -> Callable[..., Opened]:
    """Pillow's own ``open``, also where ultralytics has been imported.

    That one puts its own in the place of it, which answers an unreadable picture by installing a package.
    """
    from PIL import Image as pillow

    return getattr(sys.modules.get("ultralytics.utils.patches"), "_image_open", pillow.open)


def natural(name: str) -> list[tuple[int, int, str]]:
    """Sort key that counts as people do: ``frame2`` before ``frame10``, capitals like small letters."""
    parts = re.split(r"([0-9]+)", name.casefold())
    return [(0, int(part), part) if part.isdecimal() else (1, 0, part) for part in parts if part]


def _to_rgb(opened: Opened) -> Image:
    if opened.mode.startswith("I") or opened.mode == "F":
        gray = np.asarray(opened.convert("F") if opened.mode == "F" else opened, dtype=np.float64)
        eight = np.clip(gray * (255 / 65535) if gray.max() > 255 else gray, 0, 255).round().astype(np.uint8)
        return np.stack([eight] * 3, axis=-1)
    return np.asarray(opened.convert("RGB"))


def _select(files: list[Path], path: Path, start: float | None, end: float | None) -> list[tuple[float, Path]]:
    times = [float(index / FOLDER_RATE) for index in range(len(files))]
    selected = [(time, file) for time, file in zip(times, files, strict=True) if within(time, start, end)]
    if not selected:
        raise InputError(
            f"range {start or 0.0:g} to {'the end' if end is None else f'{end:g}'} of {str(path)!r} is empty: "
            f"expected an image in it, got the last at {times[-1]:.3f} s. Choose an earlier start."
        )
    return selected


def _describe(timed: list[tuple[float, Path]], path: Path, kind: str) -> SourceInfo:
    height, width = read_image(timed[0][1]).shape[:2]
    count = len(timed)
    return SourceInfo(str(path), kind, width, height, FOLDER_RATE, count, float(count / FOLDER_RATE))


def _is_image(file: Path) -> bool:
    return file.suffix.lower() in SUFFIXES and not file.name.startswith(".") and file.is_file()


def _reason(error: BaseException) -> str:
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    return "data in no known image format" if "cannot identify" in text else text.rstrip(".")
