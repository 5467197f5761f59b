"""Aff-Wild2 (Kollias & Zafeiriou, 2019): cut-out video frames, rated and named frame by frame."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

from stemo.errors import DataError
from stemo.training.archives import Archive, is_picture, read_text, stored_picture
from stemo.training.datasets import LabelledFace
from stemo.training.labels import canonical_emotion

RATED, NAMED = {"VA_Estimation_Challenge"}, {"EXPR_Classification_Challenge", "EXPR_Recognition_Challenge"}
SPLITS = {"Train_Set": "train", "Validation_Set": "val"}
OTHER = "other"  # an expression that is none of the seven
STEP = 5  # frames lie 1/30 s apart: every fifth of a video says nearly all
SMOOTHING = 0.1
RULE = f"Aff-Wild2, {{k}} classes: the annotators' expression; valence and arousal as rated; every {STEP}th frame"


def is_affwild2(archive: Archive) -> bool:
    """Whether there are annotations of one of the two challenges."""
    return bool(_annotations(archive, RATED) or _annotations(archive, NAMED))


def video_faces(archive: Archive) -> Iterator[LabelledFace]:
    """Every fifth annotated frame, with rating, expression or both.

    A video that either challenge validates on counts as validation. Raises :class:`DataError` for a damaged table or
    a video without frames.
    """
    rated, named = _annotations(archive, RATED), _annotations(archive, NAMED)
    frames = _frames(archive)
    for video in sorted({*rated, *named}):
        if video not in frames:
            raise DataError(
                f"video {video!r} has no frames in {str(archive.path)!r}: expected cropped_aligned/{video}. Unpack it."
            )
        tables = [table for table in (rated.get(video), named.get(video)) if table]
        validates = any(SPLITS[PurePosixPath(table).parent.name] == "val" for table in tables)
        ratings = _ratings(archive, rated[video]) if video in rated else {}
        emotions = _emotions(archive, named[video]) if video in named else {}
        for number in sorted({*ratings, *emotions} & set(frames[video]))[::STEP]:
            name = frames[video][number]
            emotion = emotions.get(number)
            yield LabelledFace(
                name,
                stored_picture(archive, name),
                {} if emotion is None else {emotion: 1.0},
                emotion,
                "val" if validates else "train",
                video.removesuffix("_left").removesuffix("_right"),
                rating=ratings.get(number),
                smoothing=SMOOTHING,
            )


def _annotations(archive: Archive, challenge: set[str]) -> dict[str, str]:
    """Video -> its table in a challenge, whose folder has one of some names."""
    found = [PurePosixPath(name) for name in archive.names() if name.endswith(".txt")]
    return {path.stem: str(path) for path in found if challenge & set(path.parts) and path.parent.name in SPLITS}


def _frames(archive: Archive) -> dict[str, dict[int, str]]:
    """Video -> number of a frame, from 1 -> its picture."""
    frames: dict[str, dict[int, str]] = {}
    for name in archive.names():
        path = PurePosixPath(name)
        if is_picture(name) and path.stem.isdigit():
            frames.setdefault(path.parent.name, {})[int(path.stem)] = name
    return frames


def _ratings(archive: Archive, table: str) -> dict[int, tuple[float, float]]:
    """Number of a frame -> (valence in [-1, 1], arousal in [0, 1]); -5 stands for invalid."""
    ratings = {}
    for number, line in enumerate(_lines(archive, table), 1):
        try:
            valence, arousal = (float(cell) for cell in line.split(","))
        except ValueError as error:
            raise DataError(f"{table} line {number + 1} is damaged: expected two numbers, got {line!r}.") from error
        if -1 <= valence <= 1 and -1 <= arousal <= 1:
            ratings[number] = (valence, (arousal + 1) / 2)
    return ratings


def _emotions(archive: Archive, table: str) -> dict[int, str]:
    """Number of a frame -> expression by the names in the table's header; -1 stands for invalid."""
    names = [name.strip() for name in read_text(archive, table).partition("\n")[0].split(",")]
    emotions = {}
    for number, line in enumerate(_lines(archive, table), 1):
        try:
            place = int(line)
        except ValueError as error:
            raise DataError(f"{table} line {number + 1} is damaged: expected a class number, got {line!r}.") from error
        if not -1 <= place < len(names):
            raise DataError(f"{table} line {number + 1} is out of range: expected -1 to {len(names) - 1}, got {place}.")
        if place >= 0 and names[place].lower() != OTHER:
            emotions[number] = canonical_emotion(names[place]) or names[place]
    return emotions


def _lines(archive: Archive, table: str) -> list[str]:
    return [line.strip() for line in read_text(archive, table).strip().splitlines()[1:]]
