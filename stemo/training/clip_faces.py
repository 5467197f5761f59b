"""Faces out of labelled clips: a few frames, evenly taken, each cut to its face as a run on the video would cut it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

import cv2
import numpy as np

from stemo.capture import open_source
from stemo.errors import DataError, InputError
from stemo.faces.analyzer import FaceAnalyzer
from stemo.records import Frame, Image
from stemo.training.archives import Archive, decode_picture, is_picture, is_video, stored_picture
from stemo.training.datasets import LabelledFace, Picture

FRAMES = 8  # of a clip: an expression lasts seconds, and neighbours say the same
SMOOTHING = 0.1
NO_FACE = "no face"  # the category of a frame that shows none: it is in no class set
APART = 10.0  # seconds between frames given to the analyser, so that it looks at each for itself
QUALITY = 95  # of the JPEG that a crop is kept as: a hundred thousand do not fit into memory as pixels


@dataclass(frozen=True, slots=True)
class Clip:
    """A video, or a folder of frames that show nothing but the face; its category, split and person (or nobody)."""

    place: str
    emotion: str
    split: str
    subject: str


def faces_of_clips(archive: Archive, clips: Iterable[Clip]) -> Iterator[LabelledFace]:
    """:data:`FRAMES` faces of each clip, in order. Raises :class:`DataError` for a video that cannot be read."""
    folders = _folders(archive)
    with ExitStack() as stack:
        cutter: FaceCutter | None = None
        for clip in clips:
            if is_video(clip.place):
                cutter = cutter or stack.enter_context(FaceCutter())
                yield from _video_faces(archive, clip, cutter)
            else:
                names = sorted(folders[clip.place], key=_number)
                yield from (_face(clip, name, stored_picture(archive, name)) for name in evenly(names, FRAMES))


def _video_faces(archive: Archive, clip: Clip, cutter: FaceCutter) -> Iterator[LabelledFace]:
    with archive.file(clip.place) as path:
        frames = read_evenly(path, FRAMES, clip.place)
    for place, image in enumerate(frames):
        crop = cutter.cut(image)
        name = f"{clip.place}/{place}"
        if crop is None:
            yield LabelledFace(name, image[:1, :1], {NO_FACE: 1.0}, None)
        else:
            yield _face(clip, name, partial(decode_picture, _encoded(crop), name))


def _face(clip: Clip, name: str, picture: Picture) -> LabelledFace:
    subject = clip.subject or plain(clip.place)
    return LabelledFace(name, picture, {clip.emotion: 1.0}, clip.emotion, clip.split, subject, smoothing=SMOOTHING)


class FaceCutter:
    """Cuts the most prominent face out of pictures that have nothing to do with each other."""

    def __init__(self) -> None:
        self._analyzer = FaceAnalyzer(1)
        self._seen = 0

    def cut(self, image: Image) -> Image | None:
        """The aligned face (224 224 3) of a picture (h w 3), or ``None``."""
        frame = Frame(self._seen, self._seen * APART, image)
        self._seen += 1
        faces = self._analyzer.analyze(frame)
        return faces[0].crop if faces else None

    def close(self) -> None:
        """Free the native models."""
        self._analyzer.close()

    def __enter__(self) -> FaceCutter:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def read_evenly(path: Path, count: int, name: str) -> list[Image]:
    """``count`` frames of a video, evenly taken, or all where it has fewer.

    Raises :class:`DataError` with ``name`` where it cannot be read to its end.
    """
    try:
        with open_source(path) as source:
            total = source.info.frames
        if total is None:
            with open_source(path) as source:
                total = sum(1 for _ in source)
        wanted = set(evenly(range(total), count))
        with open_source(path) as source:
            return [frame.image for frame in source if frame.index in wanted]
    except InputError as error:
        raise DataError(f"video {name!r} cannot be read. {error} Remove or mend it.") from error


def evenly(items: Sequence, count: int) -> list:
    """``count`` items from the middles of equal parts of ``items``, or all where there are fewer."""
    if len(items) <= count:
        return list(items)
    return [items[int((place + 0.5) * len(items) / count)] for place in range(count)]


def plain(place: str) -> str:
    """A clip's place as a name for what its frames have in common: ``happy/0001.mp4`` -> ``happy-0001``."""
    path = PurePosixPath(place)
    parts = (*path.parts[:-1], path.stem if is_video(path.name) else path.name)
    return "-".join(parts[-3:])


def _folders(archive: Archive) -> dict[str, list[str]]:
    folders: dict[str, list[str]] = {}
    for name in archive.names():
        if is_picture(name):
            folders.setdefault(str(PurePosixPath(name).parent), []).append(name)
    return folders


def _number(name: str) -> tuple[int, str]:
    """Frames in the order of the number that ends their name: 2 before 10."""
    digits = "".join(ch if ch.isdigit() else " " for ch in PurePosixPath(name).stem).split()
    return (int(digits[-1]) if digits else 0, name)


def _encoded(crop: Image) -> bytes:
    bgr = cv2.cvtColor(crop, cv2.COLOR_RGB2BGR)
    return np.asarray(cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1]).tobytes()
