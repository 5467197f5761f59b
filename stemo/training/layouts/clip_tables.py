"""Clips named by a table: DFEW (Jiang et al., ACM MM 2020), FERV39k (Wang et al., CVPR 2022), or a csv of one's own."""

from __future__ import annotations

import csv
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from stemo.errors import DataError
from stemo.training.archives import TABLES, Archive, faults_said, is_picture, is_video, read_text
from stemo.training.clip_faces import Clip
from stemo.training.datasets import SPLITS, TRAIN_SPLITS
from stemo.training.labels import canonical_emotion

DFEW_ORDER = ("Happy", "Sad", "Neutral", "Angry", "Surprise", "Disgust", "Fear")  # numbered from 1
CLIP_COLUMNS = ("video_name", "clip", "clip_name", "video", "file", "path", "name")
LABEL_COLUMNS = ("label", "emotion", "expression", "class")
SPLIT_COLUMNS = ("split", "usage", "set")
SUBJECT_COLUMNS = ("subject", "actor", "person", "speaker")
FOLD = re.compile(r"set_(\d+)")  # of a cross-validation over all clips: the first is read
RULE = "clips, {k} classes: a table names the class of each clip, which its frames are scored by"


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a table: what it calls the clip, its label as written, split and subject where they are told.

    ``heading`` marks a line that may be no clip at all: the first one of a table without known columns.
    """

    clip: str
    label: str
    split: str
    subject: str
    where: str
    heading: bool = False


def has_clip_tables(archive: Archive) -> bool:
    """Whether a table names clips, be they videos or folders of frames, that lie here too."""
    places: dict[str, list[str]] | None = None
    for table in _tables(archive):
        rows = _rows_or_none(archive, table)
        if rows:
            places = places or _places(archive)
            if _names_clips(rows, places):
                return True
    return False


def _rows_or_none(archive: Archive, table: str) -> list[Row]:
    """The clips of a table; none where it cannot be read, for what lies beside pictures may be anybody's notes."""
    try:
        return read_rows(archive, table)
    except DataError:
        if archive.path.name == table:  # the one that was asked for
            raise
        return []


def _names_clips(rows: Sequence[Row], places: dict[str, list[str]]) -> bool:
    """Whether the first line is a clip that lies here, and none is a category: that makes a list of classes."""
    if any(canonical_emotion(row.clip) and not _find(places, row.clip) for row in rows):
        return False
    return any(_find(places, row.clip) for row in rows[: 1 + rows[0].heading])


def table_clips(archive: Archive) -> Collection[Clip]:
    """Every clip that a table names. Raises :class:`DataError` for a missing clip or an unknown label."""
    places = _places(archive)
    clips: dict[str, Clip] = {}
    for table in _tables(archive):
        for row in read_rows(archive, table):
            place = _find(places, row.clip)
            if place is None and row.heading:
                continue
            if place is None:
                raise DataError(
                    f"clip {row.clip!r} of {row.where} is missing in {str(archive.path)!r}. Check its folder."
                )
            # several tables may name a clip: what any of them holds out is held out
            if place not in clips or _rank(row.split) > _rank(clips[place].split):
                clips[place] = Clip(place, emotion_of(row), row.split, row.subject)
    return clips.values()


def read_rows(archive: Archive, table: str) -> list[Row]:
    """The clips of a table: with a header, or lines of a clip and its label, commas or spaces between.

    Empty where the table is about something else.
    """
    lines = [line for line in read_text(archive, table).splitlines() if line.strip()]
    with faults_said(table):
        cells = list(csv.reader(lines)) if lines and "," in lines[0] else [line.split() for line in lines]
    if not cells or len(cells[0]) < 2:
        return []
    header = [cell.strip().lower() for cell in cells[0]]
    places = [_column(header, known) for known in (CLIP_COLUMNS, LABEL_COLUMNS, SPLIT_COLUMNS, SUBJECT_COLUMNS)]
    split = _split_of(table)
    if places[0] is None or places[1] is None:
        return _bare_rows(table, cells, split)
    found = []
    for number, row in enumerate(cells[1:], 2):
        clip, label, own_split, subject = (row[at].strip() if at is not None and at < len(row) else "" for at in places)
        found.append(Row(clip, label, own_split or split, subject, f"{table} line {number}"))
    return found


def _bare_rows(table: str, cells: Sequence[Sequence[str]], split: str) -> list[Row]:
    """The clips of a table without a header; none where no line ends in a number or one of stemo's categories."""
    found = []
    for number, row in enumerate(cells, 1):
        if len(row) > 1:
            # the clip stands first and the label last, DFEW's frame count perhaps between them
            clip, label = row[0].strip(), row[-1].strip()
            heading = number == 1 and not _is_label(label)
            found.append(Row(clip, label, split, "", f"{table} line {number}", heading))
    # a category of somebody's own does not tell a table of clips, but belongs to one
    return found if any(_is_label(row.label) for row in found) else []


def emotion_of(row: Row) -> str:
    """The category of a row: a name, or a number from 1 in DFEW's order. Raises :class:`DataError` for another."""
    if not row.label.isdecimal():
        return canonical_emotion(row.label) or row.label
    number = int(row.label)
    if not 1 <= number <= len(DFEW_ORDER):
        raise DataError(f"{row.where} has label {row.label!r}: expected a name, or DFEW's 1 to 7, got {number}.")
    return DFEW_ORDER[number - 1]


def _is_label(label: str) -> bool:
    return label.isdecimal() or canonical_emotion(label) is not None


def _column(header: Sequence[str], known: Sequence[str]) -> int | None:
    return next((header.index(name) for name in known if name in header), None)


def _tables(archive: Archive) -> list[str]:
    tables = [name for name in archive.names() if PurePosixPath(name).suffix.lower() in TABLES]
    folds = {int(found[1]) for name in tables if (found := FOLD.fullmatch(PurePosixPath(name).stem))}
    others = {f"set_{fold}" for fold in folds if fold != min(folds)}
    return [name for name in tables if PurePosixPath(name).stem not in others]


def _split_of(table: str) -> str:
    """The split that a table's name or folder tells: ``train(single-labeled)/set_1.csv``, ``test_All.csv``."""
    words = re.findall(r"[a-z]+", table.lower())
    return next((word for word in reversed(words) if word in SPLITS), "")


def _rank(split: str) -> int:
    """What a table's word on a split weighs: held out before training, training before nothing."""
    return 0 if split.lower() not in SPLITS else 1 if split.lower() in TRAIN_SPLITS else 2


def _places(archive: Archive) -> dict[str, list[str]]:
    """Every video and every folder of pictures, by the last part of its name without ending and leading zeros.

    A folder that has the name of a category is that category's, not a clip.
    """
    videos = {name for name in archive.names() if is_video(name)}
    folders = {str(PurePosixPath(name).parent) for name in archive.names() if is_picture(name)} - {"."}
    clips = {name for name in folders if not canonical_emotion(PurePosixPath(name).name)}
    places: dict[str, list[str]] = {}
    for place in sorted(videos | clips):
        places.setdefault(_last(place), []).append(place)
    return places


def _find(places: dict[str, list[str]], clip: str) -> str | None:
    """The place of a clip; folders of frames, which hold cut-out faces, come before videos."""
    wanted = PurePosixPath(clip.strip("/ ")).parts
    fitting = [place for place in places.get(_last(clip), []) if _ends(place, wanted)]
    if not fitting or (len(wanted) == 1 and _is_class(fitting)):
        return None
    return min(fitting, key=is_video)


def _is_class(places: Sequence[str]) -> bool:
    """Whether folders of one name are a class of one's own: several splits have it, as train/bored and test/bored."""
    above = [PurePosixPath(place).parent.name.lower() for place in places if not is_video(place)]
    return sum(name in SPLITS for name in above) > 1


def _ends(place: str, wanted: Sequence[str]) -> bool:
    above = PurePosixPath(place).parts[:-1]
    return len(wanted) == 1 or above[len(above) - len(wanted) + 1 :] == tuple(wanted[:-1])


def _last(place: str) -> str:
    path = PurePosixPath(place.strip("/ "))
    name = path.stem if is_video(path.name) else path.name
    return name.lstrip("0") or "0"
