"""An ImageFolder: one folder of pictures per category, with or without folders of splits above."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from stemo.errors import DataError
from stemo.training.archives import Archive, is_video, pictures, read_table, stored_picture
from stemo.training.datasets import NOBODY, SPLITS, LabelledFace, groups_of_row, subject_of
from stemo.training.labels import canonical_emotion

SMOOTHING = 0.1
ENOUGH, MOST = 100, 0.25  # of so many pictures, no person shows on more than this share


def is_image_folder(archive: Archive) -> bool:
    """Whether pictures, and no videos, lie in folders."""
    return any("/" in name for name in pictures(archive)) and not any(is_video(name) for name in archive.names())


def folder_faces(archive: Archive) -> Iterator[LabelledFace]:
    """Every picture under the category that its folder names. Raises :class:`DataError` for an empty split folder.

    A folder between the split's and the category's names the person.
    """
    names = [name for name in pictures(archive) if "/" in name]
    check_splits(archive, names)
    described = {row["image"]: groups_of_row(row) for row in read_table(archive) if row.get("image")}
    for name, subject in zip(names, subjects(names), strict=True):
        emotion = category_of(name)
        groups = described.get(name) or described.get(PurePosixPath(name).name) or {}
        picture = stored_picture(archive, name)
        split = split_of(name)
        yield LabelledFace(name, picture, {emotion: 1.0}, emotion, split, subject, groups, smoothing=SMOOTHING)


def category_of(name: str) -> str:
    """The category that a file's folder names, in stemo's spelling where it is one of its own."""
    folder = PurePosixPath(name).parent.name
    return canonical_emotion(folder) or folder


def split_of(name: str) -> str:
    """The nearest folder above the category's that is called like a split, else the one right above it, if any."""
    above = PurePosixPath(name).parts[:-2]
    return next((folder for folder in reversed(above) if folder.lower() in SPLITS), above[-1] if above else "")


def people(names: Sequence[str]) -> list[str]:
    """The person whom the folders between the split's and the category's name; empty where there is none.

    A folder that all names share is nobody's.
    """
    found = [_between(name) for name in names]
    return found if len(set(found) - {""}) > 1 else [""] * len(found)


def _between(name: str) -> str:
    above = PurePosixPath(name).parts[:-2]
    places = [place for place, folder in enumerate(above) if folder.lower() in SPLITS]
    below = above[places[-1] + 1 :] if places else ()
    return "-".join(folder for folder in below if folder.lower().rstrip("s") not in NOBODY)


def subjects(names: Sequence[str]) -> list[str]:
    """The person on each picture as its folders or else its file name have it, else the name's stem."""
    return [person or named for person, named in zip(people(names), _named(names), strict=True)]


def _named(names: Sequence[str]) -> list[str]:
    """What most names begin with says what the pictures are, not who is on them."""
    stems = [PurePosixPath(name).stem for name in names]
    found = [subject_of(stem) for stem in stems]
    counts = Counter(found)
    too_many = {person for person, count in counts.items() if len(names) >= ENOUGH and count > MOST * len(names)}
    return [stem if person in too_many else person for stem, person in zip(stems, found, strict=True)]


def check_splits(archive: Archive, names: Sequence[str]) -> None:
    """Raise :class:`DataError` for a folder that is called like a split and holds none of ``names``."""
    for folder in sorted(archive.folders()):
        if PurePosixPath(folder).name.lower() in SPLITS and not any(name.startswith(f"{folder}/") for name in names):
            raise DataError(
                f"split {folder!r} of {str(archive.path)!r} is empty: expected faces in it, got none. "
                "Fill the folder, or remove it."
            )
