"""Stage 1: a file, camera, stream or folder becomes frames with true timestamps.

::

    open_source(IN) ── video.py    a video file or a stream address       the only reader that knows PyAV
                    └─ images.py   one image, or a folder of them         Pillow
    Camera(index)   ── camera.py   a camera of this machine               OpenCV
    latest(source)  ── live.py     any of them, live: the newest frame wins, late ones are dropped
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from stemo.capture.source import Recording, Source, SourceInfo, check_range
from stemo.errors import InputError

if TYPE_CHECKING:
    from stemo.capture.camera import Camera
    from stemo.capture.live import Latest, latest

__all__ = ["Camera", "Latest", "Recording", "Source", "SourceInfo", "latest", "open_source"]


def open_source(spec: str | Path, *, start: float | None = None, end: float | None = None) -> Recording:
    """Open a video file, an image, a folder of images or a stream address (``scheme://...``) for one pass.

    Only frames with ``start <= time < end`` come out; both are seconds on the clock of :attr:`Frame.time`.
    Raises :class:`InputError` where there is nothing to read, before the first frame is asked for.
    """
    from stemo.capture import images, video

    check_range(start, end)
    if "://" in str(spec) and not str(spec).startswith("file://"):
        return video.open_stream(str(spec), start=start, end=end)
    path = Path(str(spec).removeprefix("file://"))
    _check_file(path)
    if path.is_dir():
        return images.ImageFolder(path, start=start, end=end)
    if path.suffix.lower() in images.SUFFIXES:
        return images.StillImage(path, start=start, end=end)
    return video.open_file(path, start=start, end=end)


def __getattr__(name: str) -> object:
    """Import the live sources only when they are asked for: they need OpenCV or threads, a file does not."""
    if name == "Camera":
        from stemo.capture.camera import Camera

        return Camera
    if name in ("Latest", "latest"):
        from stemo.capture import live

        return getattr(live, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _check_file(path: Path) -> None:
    expected = "expected a video file, an image, a folder of images or a stream address"
    try:
        exists, empty = path.exists(), path.is_file() and path.stat().st_size == 0
    except OSError as error:
        raise InputError(
            f"input {str(path)!r} cannot be looked at: {expected}, got {error.strerror}. "
            "Check the path, and whether you may read it."
        ) from error
    if not exists:
        raise InputError(
            f"input {str(path)!r} does not exist: {expected}, got no such file. "
            f"Check the path, seen from {str(Path.cwd())!r}."
        )
    if empty:
        raise InputError(f"input {str(path)!r} is empty: {expected}, got 0 bytes. Copy or download it again.")
