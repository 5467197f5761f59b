"""Short sequences from onset to apex, as CK+ has them: a ``labels.csv`` with sequence, subject, emotion, frames.

Of a sequence the onset and the last three frames are read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from stemo.errors import DataError
from stemo.records import EMOTIONS
from stemo.training.archives import Archive, decode_picture, read_table
from stemo.training.class_set import ClassSet
from stemo.training.datasets import LabelledFace, LabelledSequence, Still, groups_of_row, near_apex
from stemo.training.labels import canonical_emotion

COLUMNS = {"sequence", "subject", "emotion", "frames"}
SMOOTHING = 0.05
NEUTRAL = "Neutral"


def has_sequences(archive: Archive) -> bool:
    """Whether ``labels.csv`` has a column of sequences."""
    table = read_table(archive)
    return bool(table) and "sequence" in table[0]


def read_sequences(archive: Archive, labels: Sequence[str] = EMOTIONS) -> list[LabelledSequence]:
    """The sequences with their pictures; their class is an index into ``labels``."""
    classes = ClassSet(tuple(labels))
    return [_sequence(archive, row, classes.place(row["emotion"])) for row in _rows(archive)]


def sequence_faces(archive: Archive) -> Iterator[LabelledFace]:
    """The frames of every sequence as faces of their own."""
    for row in _rows(archive):
        emotion = canonical_emotion(row["emotion"]) or row["emotion"].strip()
        yield from frame_faces(_sequence(archive, row, None), emotion)


def sequence_stills(sequences: Sequence[LabelledSequence], labels: Sequence[str] = EMOTIONS) -> Iterator[Still]:
    """Each sequence's onset as Neutral and its last frames, graded in intensity, as the class; one still a frame.

    Sequences outside the class set are left out. ``labels`` must hold Neutral.
    """
    classes = ClassSet(tuple(labels))
    for sequence in sequences:
        if sequence.label is not None:
            for face in frame_faces(sequence, labels[sequence.label]):
                still = classes.still(face)
                assert still is not None
                yield still


def frame_faces(sequence: LabelledSequence, emotion: str) -> Iterator[LabelledFace]:
    """The frames of a sequence of ``emotion``; only the first and the last are scored."""
    last = max(1, len(sequence.images) - 1)
    for place, image in enumerate(sequence.images):
        name = emotion if place else NEUTRAL
        yield LabelledFace(
            f"{sequence.name}/{place}",
            image,
            {name: 1.0},
            name if place in (0, last) else None,
            subject=sequence.subject,
            groups=sequence.groups,
            smoothing=SMOOTHING,
            intensity=0.6 + 0.4 * place / last,
        )


def _rows(archive: Archive) -> list[dict[str, str]]:
    table = read_table(archive)
    missing = COLUMNS - set(table[0] if table else {})
    if missing:
        raise DataError(f"labels.csv in {str(archive.path)!r} lacks columns: expected {', '.join(sorted(missing))}.")
    return table


def _sequence(archive: Archive, row: dict[str, str], label: int | None) -> LabelledSequence:
    available = set(archive.names())
    names = row["frames"].split()
    if not names:
        raise DataError(
            f"sequence {row['sequence']!r} of labels.csv in {str(archive.path)!r} has no frames: expected names of "
            "pictures with spaces between, got an empty cell. Fill in its frames, or remove its line."
        )
    for name in names:
        if name not in available:
            raise DataError(f"image {name!r} of labels.csv is missing in {str(archive.path)!r}.")
    images = tuple(decode_picture(archive.read(name), name) for name in near_apex(names))
    # of a nobody each sequence is a person of its own: people are held back by their names
    subject = row["subject"].strip() or row["sequence"]
    return LabelledSequence(row["sequence"], images, label, subject, groups_of_row(row))
