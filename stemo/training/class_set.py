"""The categories that a network tells apart, and how the labels of any data set are laid on them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from stemo.errors import ConfigError, DataError
from stemo.records import EMOTIONS
from stemo.training.datasets import LabelledFace, Still
from stemo.training.labels import FloatArray, canonical_emotion, circumplex, one_hot

UNNAMED = "without a clear label"


@dataclass(frozen=True)
class ClassSet:
    """Categories in the order of the network's outputs. Spelling and case of a data set's labels do not matter."""

    labels: tuple[str, ...] = EMOTIONS

    def place(self, name: str) -> int | None:
        """The index of a category by any common name; ``None`` outside the set."""
        return self._places.get(_key(name))

    def still(self, face: LabelledFace) -> Still | None:
        """The face as a training still; ``None`` where at least half of its votes lie outside the set.

        Votes inside are renormalised. Where they lie outside, or nobody named a category, a face that was rated is
        kept for its rating, without label and with an all-zero distribution.
        """
        inside = self._votes(face)
        named = inside.sum() * 2 > sum(face.emotions.values())
        if not named and face.rating is None:
            return None
        distribution = self._smoothed(inside, face.smoothing) if named else np.zeros_like(inside)
        valence, arousal = face.rating or circumplex(face.emotions, face.intensity)
        label = self.place(face.label) if named and face.label is not None else None
        subject = face.subject or face.name
        rated = face.rating is not None
        place = (face.split, subject, face.groups, rated)
        return Still(face.name, face.picture, distribution, valence, arousal, label, *place)

    def stills(self, faces: Iterable[LabelledFace]) -> tuple[list[Still], Counter[str]]:
        """The stills of ``faces``, and how many were left out, by the category that they have instead."""
        kept, left_out = [], Counter[str]()
        for face in faces:
            still = self.still(face)
            if still is None:
                left_out[self._outside(face)] += 1
            else:
                kept.append(still)
        return kept, left_out

    def check(self, names: Iterable[int], what: str) -> None:
        """Raise :class:`DataError` naming the first class that none of the class indices ``names`` has."""
        counts = Counter(names)
        for index, label in enumerate(self.labels):
            if not counts[index]:
                others = ", ".join(f"{name} {counts[place]}" for place, name in enumerate(self.labels) if counts[place])
                rest = ",".join(name for place, name in enumerate(self.labels) if counts[place])
                raise DataError(
                    f"class {label!r} has no {what} face: expected some of every class, got {others or 'none at all'}. "
                    f"Add data, or leave the class out: --classes {rest or 'A,B'}"
                )

    def _votes(self, face: LabelledFace) -> FloatArray:
        votes = np.zeros(len(self.labels), np.float32)
        for name, weight in face.emotions.items():
            place = self.place(name)
            if place is not None:
                votes[place] += weight
        return votes

    def _smoothed(self, votes: FloatArray, smoothing: float) -> FloatArray:
        return ((1 - smoothing) * (votes / votes.sum()) + smoothing / len(self.labels)).astype(np.float32)

    def _outside(self, face: LabelledFace) -> str:
        outside = {name: weight for name, weight in face.emotions.items() if self.place(name) is None}
        return max(outside, key=outside.__getitem__) if outside else UNNAMED

    @cached_property
    def _places(self) -> dict[str, int]:
        return {_key(label): place for place, label in enumerate(self.labels)}


def class_set(names: Sequence[str] = ()) -> ClassSet:
    """The class set that ``--classes`` names: a list, or one text with commas; nothing for the seven.

    stemo's own categories may be spelled in any common way, others keep their spelling. Raises :class:`ConfigError`.
    """
    given = [name.strip() for item in names for name in item.split(",") if name.strip()]
    if not names:
        return ClassSet()
    labels = tuple(canonical_emotion(name) or name for name in given)
    if len(labels) < 2:
        raise ConfigError(f"class set {','.join(names)!r} is too small: expected two categories or more.")
    for name, label in zip(given, labels, strict=True):
        if not re.fullmatch(r"[\w][\w .+-]*", label):
            raise ConfigError(f"class {name!r} has no usable name: expected letters, digits, spaces and -_.+ only.")
        if [_plain(other) for other in labels].count(_plain(label)) > 1:
            raise ConfigError(f"class {name!r} is given twice: expected every category once, got {', '.join(given)}.")
    return ClassSet(labels)


def onset_target(label: int, intensity: float, labels: Sequence[str], smoothing: float = 0.05) -> FloatArray:
    """Probabilities (k,) of an expression of class ``label``, ``intensity`` in [0, 1] of the way from Neutral."""
    shown, rest = (one_hot(place, smoothing, len(labels)) for place in (label, labels.index("Neutral")))
    return (intensity * shown + (1 - intensity) * rest).astype(np.float32)


def _plain(label: str) -> str:
    """What is left of a label in the name of a column."""
    return re.sub(r"\W+", "_", label.lower())


def _key(name: str) -> str:
    return (canonical_emotion(name) or name.strip()).casefold()
