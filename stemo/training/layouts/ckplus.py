"""CK+ (Lucey et al., CVPR Workshops 2010) as its authors give it, its folders or zips unpacked into one place.

``cohn-kanade-images/S005/001/S005_001_00000001.png`` and on, from onset to apex, and, for about half of the takes,
``Emotion/S005/001/S005_001_00000011_emotion.txt``. The pictures show more than the face, so it is cut out as a run
would cut it. Of a take the onset and the last three frames are read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TypeAlias

import numpy as np
from tqdm import tqdm

from stemo.errors import DataError
from stemo.records import EMOTIONS, Image
from stemo.training.archives import Archive, decode_picture, is_picture, read_text
from stemo.training.class_set import ClassSet
from stemo.training.clip_faces import NO_FACE, FaceCutter
from stemo.training.datasets import LabelledFace, LabelledSequence, near_apex
from stemo.training.layouts.sequences import frame_faces

CATEGORIES = ("Neutral", "Angry", "contempt", "Disgust", "Fear", "Happy", "Sad", "Surprise")
FRAME = re.compile(r"(S\d{3})_(\d{3})_\d{8}")
EMOTION = re.compile(r"(S\d{3})_(\d{3})_\d{8}_emotion\.txt")

Cut: TypeAlias = Callable[[Image], Image | None]  # a picture (h w 3) -> its face, or none


@dataclass(frozen=True, slots=True)
class Take:
    """A person's take: the names of its frames in order, and its category, empty where nobody gave it one."""

    name: str
    subject: str
    frames: Sequence[str]
    emotion: str


def is_ckplus(archive: Archive) -> bool:
    """Whether there are takes with an emotion file."""
    return bool(_emotion_files(archive)) and bool(_frames(archive))


def read_sequences(
    archive: Archive, labels: Sequence[str] = EMOTIONS, cut: Cut | None = None
) -> list[LabelledSequence]:
    """The takes as sequences; their class is an index into ``labels``.

    Those outside the class set, without a category or with a frame whose face is not found have no pictures, and no
    class. ``cut`` stands for the face search. Raises :class:`DataError` for a damaged file.
    """
    classes = ClassSet(tuple(labels))
    return [
        LabelledSequence(take.name, images, classes.place(take.emotion) if images else None, take.subject)
        for take, images in _cut_out(archive, lambda take: classes.place(take.emotion) is not None, cut)
    ]


def sequence_faces(archive: Archive, cut: Cut | None = None) -> Iterator[LabelledFace]:
    """The frames of every take as faces of their own, as :func:`read_sequences` reads them."""
    for take, images in _cut_out(archive, lambda take: bool(take.emotion), cut):
        if images:
            yield from frame_faces(LabelledSequence(take.name, images, None, take.subject), take.emotion)
        else:  # to be counted among those left out
            why = {NO_FACE: 1.0} if take.emotion else {}
            yield LabelledFace(take.name, np.zeros((1, 1, 3), np.uint8), why, None, subject=take.subject)


def takes(archive: Archive) -> list[Take]:
    """Every take, in order. Raises :class:`DataError` for a damaged emotion file."""
    emotions = {key: _category(archive, name) for key, name in _emotion_files(archive).items()}
    return [
        Take("_".join(key), key[0], near_apex(sorted(names, key=_file_name)), emotions.get(key, ""))
        for key, names in sorted(_frames(archive).items())
    ]


def _cut_out(
    archive: Archive, wanted: Callable[[Take], bool], cut: Cut | None
) -> Iterator[tuple[Take, tuple[Image, ...]]]:
    """Every take with the faces of its frames; none of one that is not wanted, or where one is not found."""
    if cut is None:
        with FaceCutter() as cutter:
            yield from _cut_out(archive, wanted, cutter.cut)
        return
    for take in tqdm(takes(archive), "takes", disable=None):
        frames = take.frames if wanted(take) else ()
        found = [cut(decode_picture(archive.read(name), name)) for name in frames]
        faces = tuple(face for face in found if face is not None)
        yield take, faces if len(faces) == len(found) else ()


def _frames(archive: Archive) -> dict[tuple[str, str], list[str]]:
    """Person and take -> the pictures."""
    frames: dict[tuple[str, str], list[str]] = {}
    for name in archive.names():
        if is_picture(name) and (found := FRAME.fullmatch(PurePosixPath(name).stem)):
            frames.setdefault((found[1], found[2]), []).append(name)
    return frames


def _emotion_files(archive: Archive) -> dict[tuple[str, str], str]:
    """Person and take -> the file with the category."""
    found = ((EMOTION.fullmatch(_file_name(name)), name) for name in archive.names())
    return {(match[1], match[2]): name for match, name in found if match}


def _category(archive: Archive, name: str) -> str:
    text = read_text(archive, name).strip()
    try:
        return {float(place): category for place, category in enumerate(CATEGORIES)}[float(text)]
    except (ValueError, KeyError) as error:
        raise DataError(
            f"emotion file {name!r} is damaged: expected a number from 0 to {len(CATEGORIES) - 1}, got {text[:40]!r}. "
            "Copy it again, or remove it."
        ) from error


def _file_name(name: str) -> str:
    return PurePosixPath(name).name
