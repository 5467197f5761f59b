"""Labelled videos: one folder of them per category, with or without folders of splits above."""

from __future__ import annotations

from pathlib import PurePosixPath

from stemo.training.archives import Archive, is_video
from stemo.training.clip_faces import Clip
from stemo.training.datasets import subject_of
from stemo.training.layouts.image_folder import category_of, check_splits, people, split_of

RULE = "videos, {k} classes: the folder's name is the class of the video, which its frames are scored by"


def is_video_folder(archive: Archive) -> bool:
    """Whether videos lie in folders."""
    return any("/" in name for name in archive.names() if is_video(name))


def video_clips(archive: Archive) -> list[Clip]:
    """Every video. Raises :class:`DataError` for an empty split folder."""
    names = [name for name in archive.names() if is_video(name) and "/" in name]
    check_splits(archive, names)
    known = zip(names, people(names), strict=True)
    return [Clip(name, category_of(name), split_of(name), person or _person(name)) for name, person in known]


def _person(name: str) -> str:
    """The person that the file's name has, or nobody."""
    stem = PurePosixPath(name).stem
    person = subject_of(stem)
    return "" if person == stem else person
