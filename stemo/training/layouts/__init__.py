"""Every layout of labelled faces that stemo reads, found by what lies in the folder or zip.

::

    load_any(path)           stills of a data set, whichever layout it has
    rule_of(path)            how its faces get their labels, in words
    data_sets(path)          the data sets in a folder
    open_data(path)          all that is known of one

A layout is a line of :data:`LAYOUTS`: how to tell it, how to read its faces. The first that fits is taken.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TypeAlias, TypeVar

from tqdm import tqdm

from stemo.errors import DataError
from stemo.records import EMOTIONS
from stemo.training.archives import TABLES, Archive, open_archive
from stemo.training.class_set import ClassSet
from stemo.training.clip_faces import Clip, faces_of_clips
from stemo.training.datasets import SPLITS, LabelledFace, LabelledSequence, Still, hold
from stemo.training.labels import FOLDER_RULE, MAJORITY_RULE, SEQUENCE_RULE, canonical_emotion
from stemo.training.layouts import (
    afew_va,
    affectnet,
    affwild2,
    ckplus,
    clip_tables,
    fer2013,
    ferplus,
    image_folder,
    sequences,
    video_folder,
)
from stemo.training.made import made_faces

MADE = Path("made")  # the word that stands for the drawn faces
MADE_RULE = "drawn faces, {k} classes: the face is drawn as its class"

Reader: TypeAlias = Callable[[Archive], Iterable[LabelledFace] | Iterable[Clip]]
Item = TypeVar("Item", LabelledFace, Clip, LabelledFace | Clip)
Wanted: TypeAlias = Callable[[set[str]], set[str]]  # the splits that there are -> those whose faces are to be read


@dataclass(frozen=True, slots=True)
class Layout:
    """A way in which labelled faces lie on disk. ``holds`` says in a few words how users know it.

    ``read`` gives the faces, or clips whose faces are yet to be cut out.
    """

    holds: str
    fits: Callable[[Archive], bool]
    read: Reader
    rule: str | Callable[[Archive], str]
    sequences: Callable[[Archive, Sequence[str]], list[LabelledSequence]] | None = None
    plain: bool = False  # told by nothing but folders

    def faces(self, archive: Archive, wanted: Wanted | None = None) -> Iterator[LabelledFace]:
        """The faces of all splits, or of those that are ``wanted``; clips of the others are not decoded.

        Raises :class:`DataError` for damaged data, and whatever ``wanted`` raises.
        """
        kept = _wanted(list(self.read(archive)), wanted)
        yield from (item for item in kept if isinstance(item, LabelledFace))
        if clips := [item for item in kept if isinstance(item, Clip)]:
            yield from faces_of_clips(archive, tqdm(clips, "clips", disable=None))


LAYOUTS = (
    Layout("FERPlus's FER2013Train/label.csv", ferplus.is_repository, ferplus.repository_faces, MAJORITY_RULE),
    Layout("fer2013.csv", fer2013.is_fer2013, fer2013.fer2013_faces, fer2013.fer2013_rule),
    Layout("a labels.csv with FER+ votes", ferplus.has_votes, ferplus.voted_faces, MAJORITY_RULE),
    Layout(
        "a labels.csv of sequences (CK+)",
        sequences.has_sequences,
        sequences.sequence_faces,
        SEQUENCE_RULE,
        sequences.read_sequences,
    ),
    Layout(
        "CK+'s Emotion and cohn-kanade-images",
        ckplus.is_ckplus,
        ckplus.sequence_faces,
        SEQUENCE_RULE,
        ckplus.read_sequences,
    ),
    Layout("AffectNet's *_exp.npy", affectnet.has_annotations, affectnet.annotation_faces, affectnet.RULE),
    Layout("AffectNet's training.csv", affectnet.has_tables, affectnet.table_faces, affectnet.RULE),
    Layout("AFEW-VA's 001/001.json", afew_va.is_afew_va, afew_va.clip_faces, afew_va.RULE),
    Layout("Aff-Wild2's challenge folders", affwild2.is_affwild2, affwild2.video_faces, affwild2.RULE),
    Layout("a csv of clips (DFEW, FERV39k)", clip_tables.has_clip_tables, clip_tables.table_clips, clip_tables.RULE),
    Layout(
        "one folder of pictures per emotion",
        image_folder.is_image_folder,
        image_folder.folder_faces,
        FOLDER_RULE,
        plain=True,
    ),
    Layout(
        "one folder of videos per emotion",
        video_folder.is_video_folder,
        video_folder.video_clips,
        video_folder.RULE,
        plain=True,
    ),
)


@dataclass(frozen=True, slots=True)
class DataSet:
    """An opened data set: its faces in its own categories, and its sequences where it has some."""

    path: Path
    rule: str
    read: Callable[[Wanted | None], Iterable[LabelledFace]]
    sequences: Callable[[Sequence[str]], list[LabelledSequence]] | None = None

    def faces(self, wanted: Wanted | None = None) -> Iterable[LabelledFace]:
        """The faces of all splits, or of those that are ``wanted``, as :meth:`Layout.faces` gives them."""
        return self.read(wanted)

    def rule_for(self, labels: Sequence[str]) -> str:
        """How faces get their labels, in words, with so many classes."""
        return self.rule.format(k=len(labels))


def load_any(path: Path, labels: Sequence[str] = EMOTIONS, split: str | None = None) -> list[Still]:
    """The labelled faces of a data set in any known layout, or of one ``split``, laid on the class set ``labels``.

    Faces outside the class set are left out. Raises :class:`DataError` for an unknown layout or split, a picture that
    cannot be read, or when nothing is left.
    """
    data = open_data(path)
    stills, left_out = ClassSet(tuple(labels)).stills(
        data.faces(None if split is None else partial(_only, path, split))
    )
    if not stills:
        found = ", ".join(name for name, _ in left_out.most_common(8)) or "no face at all"
        raise DataError(
            f"data {str(path)!r} holds no labelled face of {', '.join(labels)}: expected some, got {found}. "
            "Name other categories with --classes."
        )
    return hold(stills)


def _wanted(items: Sequence[Item], wanted: Wanted | None) -> Sequence[Item]:
    splits = {item.split for item in items}
    chosen = splits if wanted is None else wanted(splits)
    return [item for item in items if item.split in chosen]


def _only(path: Path, split: str, splits: set[str]) -> set[str]:
    if split not in splits:
        there = ", ".join(sorted(splits))
        raise DataError(f"data {str(path)!r} has no face to score: expected a split among {there}, got {split!r}.")
    return {split}


def rule_of(path: Path, labels: Sequence[str] = EMOTIONS) -> str:
    """Which faces :func:`load_any` gives a label, and which, in words."""
    return open_data(path).rule_for(labels)


def open_data(path: Path) -> DataSet:
    """The data set at ``path`` (a folder, zip or csv, or the word "made"). Raises :class:`DataError`."""
    if path == MADE and not os.path.exists(path):
        return DataSet(path, MADE_RULE, lambda wanted: _wanted(list(made_faces()), wanted))
    archive = open_archive(path)
    layout = layout_of(archive)
    if layout is None:
        raise DataError(
            f"data {str(path)!r} holds no labelled face in a known layout: expected one of "
            f"{'; '.join(known.holds for known in LAYOUTS)}, got {_contents(archive)}."
        )
    read = layout.sequences
    return DataSet(
        path,
        layout.rule if isinstance(layout.rule, str) else layout.rule(archive),
        lambda wanted: layout.faces(archive, wanted),
        (lambda labels: read(archive, labels)) if read else None,
    )


def layout_of(archive: Archive) -> Layout | None:
    """The first layout that fits, or ``None``. A table given by itself must be one that a layout reads."""
    is_table = archive.path.suffix.lower() in TABLES and archive.path.is_file()
    return next((layout for layout in LAYOUTS if not (layout.plain and is_table) and layout.fits(archive)), None)


def data_sets(path: Path) -> list[Path]:
    """The data sets at ``path``: the zips in a folder that are some and the folders beside them, else the path itself
    or the folders in it.

    Raises :class:`DataError` where nothing has a known layout.
    """
    if not os.path.isdir(path):
        open_data(path)
        return [path]
    entries = _entries(path)
    zips, inner = _known([name for name in entries if name.suffix == ".zip"]), _known(entries)
    own = layout_of(open_archive(path))
    # a folder of pictures in folders looks like one data set of pictures, whatever is described further in
    sets = [name for name, layout in inner.items() if not layout.plain and name.name.lower() not in SPLITS]
    if own is not None and not own.plain and not sets:
        # described by what lies here together, as CK+ is, perhaps beside the zips that its parts came in
        zips = {name: layout for name, layout in zips.items() if not layout.plain or _shows_categories(name)}
    if zips:
        return sorted([*zips, *_beside(zips, inner)])
    if len(sets) > 1 or (sets and own is not None and own.plain):
        return list(inner)
    if own is None and inner:
        return list(inner)
    open_data(path)
    return [path]


def _beside(zips: Iterable[Path], inner: Mapping[Path, Layout]) -> list[Path]:
    """The folders that are data sets of their own, not what one of the zips was unpacked to or a part of that."""
    unpacked = {path.stem for path in zips} | {path.name for path in zips}
    return [
        path
        for path, layout in inner.items()
        if path.name not in unpacked
        and path.name.lower() not in SPLITS
        and (not layout.plain or _shows_categories(path))
    ]


def _shows_categories(path: Path) -> bool:
    return any(canonical_emotion(PurePosixPath(name).parent.name) for name in open_archive(path).names())


def _entries(folder: Path) -> list[Path]:
    """What lies in a folder; what is hidden is nobody's data set, such as what a killed --prepare leaves behind."""
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise DataError(
            f"data {str(folder)!r} cannot be read: expected a folder of data sets, got {error.strerror}. "
            "Check whether you may read it."
        ) from error


def _known(paths: Sequence[Path]) -> dict[Path, Layout]:
    """The folders and zips among ``paths`` that have a known layout, with it."""
    found = ((path, layout_of(open_archive(path))) for path in paths if os.path.isdir(path) or path.suffix == ".zip")
    return {path: layout for path, layout in found if layout is not None}


def _contents(archive: Archive) -> str:
    """What an archive holds instead, in a few words."""
    names: Iterator[str] = iter(archive.names())
    endings = sorted({PurePosixPath(name).suffix.lower() or "files without ending" for name in names})
    return ", ".join(endings[:6]) or "nothing"
