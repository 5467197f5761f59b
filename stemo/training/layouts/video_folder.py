"""Labelled videos: one folder of them per category, with or without folders of splits above."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

from tqdm import tqdm

from stemo.training.archives import Archive, is_video
from stemo.training.clip_faces import Clip, faces_of_clips
from stemo.training.datasets import LabelledFace, subject_of
from stemo.training.layouts.image_folder import category_of, check_splits, split_of

RULE = "videos, {k} classes: the folder's name is the class of the video, which its frames are scored by"


def is_video_folder(archive: Archive) -> bool:
    """Whether videos lie in folders."""
    return any("/" in name for name in archive.names() if is_video(name))


def video_faces(archive: Archive) -> Iterator[LabelledFace]:
    """Frames of every video. Raises :class:`DataError` for a video that cannot be read or an empty split folder."""
    names = [name for name in archive.names() if is_video(name) and "/" in name]
    check_splits(archive, names)
    clips = [Clip(name, category_of(name), split_of(name), _person(name)) for name in names]
    yield from faces_of_clips(archive, tqdm(clips, "videos", disable=None))


def _person(name: str) -> str:
    """The person that the file's name has, or nobody."""
    stem = PurePosixPath(name).stem
    person = subject_of(stem)
    return "" if person == stem else person
