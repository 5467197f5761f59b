"""What ``--video`` names, where it is more than one: a folder, a pattern or a list of videos."""

from __future__ import annotations

import glob
import os
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from stemo.capture import images
from stemo.capture.suffixes import VIDEOS
from stemo.errors import InputError
from stemo.output.data import default_output, input_name


@dataclass(frozen=True, slots=True)
class Video:
    """One input: its absolute ``path``, its ``name`` for people, and where its annotated video goes in the output."""

    path: Path
    name: str
    place: Path


@dataclass(frozen=True, slots=True)
class Batch:
    """The videos in their order, the folder for their results, and ``notes`` on what was left out."""

    videos: tuple[Video, ...]
    output: Path
    notes: tuple[str, ...] = ()


def find_batch(spec: str, output: Path | None) -> Batch | None:
    """The videos that ``spec`` names, or ``None`` where it is a single source (also a folder of images, an address).

    A folder means the videos in it; where it holds neither videos nor images, those in its subfolders. A pattern
    (``*``, ``?``, ``[...]``, ``**``) means the videos it matches. A ``.txt`` file lists a video, an image or an image
    folder per line, seen from its own folder; ``#`` begins a comment. Results keep the stem, and the subfolders below
    the folder or the fixed beginning of the pattern. Without ``output`` they go into ``<name>_stemo``.

    Raises :class:`InputError` where there is no video, or two would have results of one name.
    """
    try:
        batch = _find(spec, output)
    except OSError as error:
        raise InputError(
            f"input {spec!r} cannot be searched: expected a folder that can be read, got {error.strerror}. Check it."
        ) from error
    if batch:
        _check_places(batch)
    return batch


def _find(spec: str, output: Path | None) -> Batch | None:
    if "://" in spec:
        return None
    if os.path.isdir(spec):
        return _folder(Path(spec), output)
    if os.path.isfile(spec):
        return _list(Path(spec), output) if spec.lower().endswith(".txt") else None
    return _pattern(spec, output) if glob.has_magic(spec) else None


def _folder(root: Path, output: Path | None) -> Batch | None:
    files = [root / name for name in os.listdir(root) if not name.startswith(".") and (root / name).is_file()]
    videos = [file for file in files if _is_video(file)]
    pictures = sum(file.suffix.lower() in images.SUFFIXES for file in files)
    # what was read from a folder of images may lie in it
    result = _absolute(output or default_output(str(root)))
    if pictures and all(_absolute(video) == result for video in videos):
        return None
    output = output or _default(root)
    below = (file for file in _below(root) if file.parent != root and not _is_inside(file, output, root))
    if videos:
        return Batch(_videos(videos, root), output, tuple(_left_out(root, pictures, any(True for _ in below))))
    if not (found := _videos(below, root)):
        raise InputError(
            f"folder {str(root)!r} has nothing to read: expected videos or images in it, or videos in its subfolders, "
            f"got {len(files)} other files. Name a pattern (--video 'FOLDER/*.xyz') or a list of them (.txt)."
        )
    return Batch(found, output)


def _left_out(root: Path, pictures: int, deeper: bool) -> Iterator[str]:
    """What is said of the images and the subfolders beside a folder's own videos."""
    if pictures:
        yield f"note: folder {str(root)!r} also holds {pictures} images: they are not read, only its videos are."
    if deeper:
        yield (
            f"note: folder {str(root)!r} also has videos in its subfolders: they are not read, only its own are. "
            f"For all of them: --video {str(Path(glob.escape(str(root)), '**', '*'))!r}"
        )


def _below(root: Path) -> Iterator[Path]:
    for folder, _, files in images.walk(root):
        yield from (folder / name for name in files if _is_video(Path(name)))


def _pattern(pattern: str, output: Path | None) -> Batch:
    root = Path(*takewhile(lambda part: not glob.has_magic(part), Path(pattern).parts))
    output = output or _default(root)
    files = [Path(name) for name in glob.glob(pattern, recursive=True) if os.path.isfile(name)]
    videos = [file for file in files if _is_video(file) and not _is_inside(file, output, root)]
    if not videos:
        raise InputError(
            f"pattern {pattern!r} matches no videos: expected files ending in {', '.join(sorted(VIDEOS))}, "
            f"got {len(files)} other files. Check it, seen from {str(Path.cwd())!r}; images are read by their folder."
        )
    return Batch(_videos(videos, root), output)


def _list(path: Path, output: Path | None) -> Batch:
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"list {str(path)!r} cannot be read: expected a text file in UTF-8, got {error}. Save it as UTF-8."
        ) from error
    named = dict.fromkeys(line for line in lines if line and not line.startswith("#"))
    if not named:
        raise InputError(
            f"list {str(path)!r} is empty: expected the path of a video per line, got none. Write some into it."
        )
    videos = {_absolute(path.parent / line): line for line in named}
    listed = tuple(Video(file, line, Path(f"{input_name(str(file))}.mp4")) for file, line in videos.items())
    return Batch(listed, output or _default(path.with_suffix("")))


def _videos(files: Iterable[Path], root: Path) -> tuple[Video, ...]:
    """The files in natural order, named and placed as seen from ``root``."""
    relative = sorted((file.relative_to(root) for file in files), key=lambda file: images.natural(file.as_posix()))
    return tuple(Video(_absolute(root / file), str(file), _place(file)) for file in relative)


def _place(relative: Path) -> Path:
    return relative.with_name(f"{relative.stem}.mp4")


def _check_places(batch: Batch) -> None:
    """Raise :class:`InputError` for two videos with one place; a disk may take capitals for small letters."""
    taken: dict[str, Video] = {}
    for video in batch.videos:
        other = taken.setdefault(unicodedata.normalize("NFC", str(video.place)).casefold(), video)
        if other is not video:
            raise InputError(
                f"videos {other.name!r} and {video.name!r} have one name: expected a name for each, got "
                f"{str(batch.output / video.place)!r} for both. Rename one, or read them into two folders."
            )


def _is_video(file: Path) -> bool:
    return file.suffix.lower() in VIDEOS and not file.name.startswith(".")


def _is_inside(file: Path, output: Path, root: Path) -> bool:
    """Whether ``file`` lies in an output folder below ``root``: then it is a result, not an input."""
    output, root = _absolute(output), _absolute(root)
    return output != root and output.is_relative_to(root) and _absolute(file).is_relative_to(output)


def _default(root: Path) -> Path:
    return Path(f"{_absolute(root).name or 'videos'}_stemo")


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))
