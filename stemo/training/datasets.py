"""What the loaders hand on: a face as its data set describes it, and the stills and sequences that train."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import TypeAlias, TypeVar

from stemo.records import Image
from stemo.training.labels import FERPLUS_COLUMNS, FloatArray, canonical_emotion

T = TypeVar("T")
Picture: TypeAlias = Image | Callable[[], Image]


def _spelt(*words: str) -> set[str]:
    """What people call a split: ``test``, ``testset``, ``test_set``, ``test-images`` and so on."""
    ends = (mark + end for end in ("set", "split", "data", "images") for mark in ("", "_", "-", " "))
    return {word + end for end in ("", *ends) for word in words}


TRAIN_SPLITS = _spelt("train", "training")
VALID_SPLITS = {"publictest", *_spelt("val", "valid", "validation", "dev")}
# what is for evaluation may be either kind: taken for the stricter one, it stays unseen
TEST_SPLITS = {"privatetest", *_spelt("test", "testing", "eval", "evaluation", "holdout")}
SPLITS = TRAIN_SPLITS | VALID_SPLITS | TEST_SPLITS
SEQUENCE_FRAMES = 4  # as CK+ is used: the onset and three frames near the apex
HELD_BYTES = 2 * 2**30  # decoded pictures kept in memory; the others are read again whenever they are looked at
# what pictures are called, and so nobody's name
NOBODY = {
    *("train", "training", "val", "valid", "validation", "test", "testing", "publictest", "privatetest"),
    *("eval", "evaluation"),
    *("im", "img", "image", "pic", "picture", "photo", "face", "frame", "crop", "sample"),
    *("fer", "ferplus", "ffhq", "affectnet", "raf"),
}
CKPLUS_FRAME = re.compile(r"(S\d{3})_\d{3}_\d{8}(?!\d)", re.IGNORECASE)  # person, take, frame


@dataclass(frozen=True, slots=True, eq=False)
class Still:
    """One labelled face picture. ``label`` is ``None`` where the scoring rule drops it (it may still train).

    ``distribution`` is all zero where nobody named a category, ``valence`` and ``arousal`` are nan where nobody rated
    them and the category has no place on the circumplex. ``rated`` tells real ratings from weak targets. ``groups``
    holds what else ``labels.csv`` says of it, by column. ``picture`` may be read from disk on every look.
    """

    name: str
    picture: Picture
    distribution: FloatArray  # (k,)
    valence: float
    arousal: float
    label: int | None
    split: str
    subject: str
    groups: Mapping[str, str] = field(default_factory=dict)
    rated: bool = False

    @property
    def image(self) -> Image:
        """The picture (h w 3)."""
        return self.picture() if callable(self.picture) else self.picture

    @property
    def has_subject(self) -> bool:
        """Whether :attr:`subject` names more than this one picture: a person, a clip, a group of copies."""
        return self.subject not in (self.name, PurePosixPath(self.name).stem)


@dataclass(frozen=True, slots=True, eq=False)
class LabelledSequence:
    """A sequence from onset (neutral) to apex: pictures, the class index (``None``: not in the class set), subject.

    The pictures are the onset and the last frames, at most :data:`SEQUENCE_FRAMES` in all (see :func:`near_apex`).
    """

    name: str
    images: tuple[Image, ...]
    label: int | None
    subject: str
    groups: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class LabelledFace:
    """A face as its data set describes it, in the data set's own categories: what a class set makes a still of.

    ``emotions`` holds votes or shares by category, empty where none is named, and ``label`` the category under the
    scoring rule. ``rating`` is a real (valence in [-1, 1], arousal in [0, 1]). ``smoothing`` of the target is spread
    over the class set; ``intensity`` in [0, 1] grades the weak valence and arousal of a face that nobody rated.
    """

    name: str
    picture: Picture
    emotions: Mapping[str, float]
    label: str | None
    split: str = ""
    subject: str = ""  # nobody known
    groups: Mapping[str, str] = field(default_factory=dict)
    rating: tuple[float, float] | None = None
    smoothing: float = 0.0
    intensity: float = 1.0


def near_apex(frames: Sequence[T]) -> list[T]:
    """The onset and the last three frames of a sequence; all of a shorter one.

    How far the expression has come in the frames between, nobody said.
    """
    return list(frames) if len(frames) <= SEQUENCE_FRAMES else [frames[0], *frames[1 - SEQUENCE_FRAMES :]]


def hold(stills: Sequence[Still], most: int = HELD_BYTES) -> list[Still]:
    """The stills with their pictures decoded, as many from the first on as ``most`` bytes hold.

    Raises :class:`DataError` naming a picture that cannot be read.
    """
    kept = []
    for still in stills:
        if most > 0:
            still = replace(still, picture=still.image)
            most -= still.image.nbytes
        kept.append(still)
    return kept


def groups_of_row(row: Mapping[str, str]) -> dict[str, str]:
    """What a row of ``labels.csv`` says beyond picture and votes, by column."""
    known = {"image", "frames", *FERPLUS_COLUMNS}
    return {column: value or "" for column, value in row.items() if column and column not in known}


def subject_of(stem: str) -> str:
    """The person a file name names (``Hu_Jintao_0002`` -> ``Hu_Jintao``), or the whole stem.

    Frames of CK+ name the person before the take: ``S010_004_00000017`` -> ``S010``.
    Names that say what a picture is (``Training_123``, ``happy_7``) name nobody.
    """
    if found := CKPLUS_FRAME.match(stem):
        return found[1]
    head, _, tail = stem.rpartition("_")
    plain = head.strip("_-0123456789").lower()
    if not head or not tail.isdigit() or plain in NOBODY or canonical_emotion(plain):
        return stem
    return head
