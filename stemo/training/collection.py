"""What a run trains on: every data set it was given, split into training, validation and held-back people."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from stemo.errors import DataError
from stemo.records import EMOTIONS
from stemo.training.class_set import ClassSet
from stemo.training.datasets import SPLITS, TEST_SPLITS, TRAIN_SPLITS, VALID_SPLITS, LabelledSequence, Still, hold
from stemo.training.layouts import data_sets, open_data
from stemo.training.layouts.sequences import NEUTRAL, sequence_stills

OTHER_SEQUENCES = "sequences of other categories"
HELD_FROM_TRAIN = "people held back from the training split"  # the end of the rule where it was divided


@dataclass(slots=True)
class Collection:
    """Stills to train on, to choose by, and of people held back; sequences likewise; names of the data sets.

    ``labels`` is the class set, ``left_out`` counts the faces outside it by their category, and ``rules`` say how the
    stills to choose by get their labels, and where they come from if that is the training split.
    """

    labels: tuple[str, ...] = EMOTIONS
    train: list[Still] = field(default_factory=list)
    valid: list[Still] = field(default_factory=list)
    held_back: list[Still] = field(default_factory=list)
    sequences: list[LabelledSequence] = field(default_factory=list)
    held_back_sequences: list[LabelledSequence] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    rules: list[str] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)

    @property
    def rule(self) -> str:
        """How the stills to choose by get their labels, in words."""
        return "; ".join(dict.fromkeys(self.rules))

    @property
    def untried(self) -> list[str]:
        """The classes without a still to choose by."""
        shown = {still.label for still in self.valid}
        return [name for place, name in enumerate(self.labels) if place not in shown]


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What one data set holds for training, not yet divided, and how its faces get their labels."""

    name: str
    rule: str
    stills: Sequence[Still]
    sequences: Sequence[LabelledSequence]
    left_out: Counter[str]


def collect(paths: Sequence[Path], held_back: float, labels: Sequence[str] = EMOTIONS) -> Collection:
    """Load every data set in ``paths`` (a data set, a folder of them, or the word "made" for drawn faces).

    Splits that a data set names are kept (its test split is never read for training or choosing). From the others a
    share ``held_back`` of the people, chosen by name and so the same in every run, is kept apart; it also serves for
    choosing where nothing else does. Where no data set has either, that share is kept apart from the training splits.
    Raises :class:`DataError`, before pictures are decoded, when nothing is left to train on or to choose by, or a
    class has no face to train on.
    """
    found = [_found(path, tuple(labels)) for given in paths for path in data_sets(given)]
    whole = _divided(found, tuple(labels), held_back, whole_train=True)
    if not _named(whole.valid):
        whole = _divided(found, tuple(labels), held_back, whole_train=False)
    _check(whole, paths)
    _hold(whole)
    return whole


def is_held_back(subject: str, share: float) -> bool:
    """Whether a person belongs to the held-back ``share`` in [0, 1]: decided by the name alone."""
    return zlib.crc32(subject.encode()) % 1000 < share * 1000


def _found(path: Path, labels: tuple[str, ...]) -> Found:
    data = open_data(path)
    if data.sequences and NEUTRAL in labels:
        sequences = data.sequences(labels)
        others = Counter({OTHER_SEQUENCES: sum(sequence.label is None for sequence in sequences)})
        shown = [sequence for sequence in sequences if sequence.images]
        return Found(path.stem, data.rule_for(labels), (), shown, +others)
    stills, left_out = ClassSet(labels).stills(data.faces(partial(_for_training, path)))
    return Found(path.stem, data.rule_for(labels), stills, (), left_out)


def _for_training(path: Path, splits: set[str]) -> set[str]:
    """All but the test splits, which are for --evaluate alone.

    Raises :class:`DataError` where a split has an unknown name beside a known one: it might be for testing.
    """
    known = sorted(split for split in splits if split.lower() in SPLITS)
    others = sorted(splits - {"", *known})
    if known and others:
        raise DataError(
            f"split {others[0]!r} of {str(path)!r} is unknown beside {known[0]!r}: expected a name like train, val or "
            f"test, got {others[0]!r}. Rename it, or move its faces away: they might be for testing."
        )
    return {split for split in splits if split.lower() not in TEST_SPLITS}


def _divided(found: Sequence[Found], labels: tuple[str, ...], share: float, *, whole_train: bool) -> Collection:
    """The data sets, with ``share`` of the people held back, and of those in training splits too unless they are whole.

    Where no validation split has a face with a label, people held back serve for choosing.
    """
    whole = Collection(labels)
    held_back_rules = []
    for data in found:
        before = len(whole.valid), len(whole.held_back), len(whole.held_back_sequences)
        for still in data.stills:
            _part(whole, still, share, whole_train).append(still)
        for sequence in data.sequences:
            kept = whole.held_back_sequences if is_held_back(sequence.subject, share) else whole.sequences
            kept.append(sequence)
        whole.names.append(data.name)
        whole.left_out += data.left_out
        if len(whole.valid) > before[0]:
            whole.rules.append(data.rule)
        if (len(whole.held_back), len(whole.held_back_sequences)) != before[1:]:
            held_back_rules.append(data.rule)
    if not _named(whole.valid):
        whole.held_back += sequence_stills(whole.held_back_sequences, labels) if whole.held_back_sequences else ()
        whole.valid, whole.rules = whole.held_back, [*held_back_rules, *(() if whole_train else (HELD_FROM_TRAIN,))]
    return whole


def _part(whole: Collection, still: Still, share: float, whole_train: bool) -> list[Still]:
    """Where a still belongs."""
    split = still.split.lower()
    if split in VALID_SPLITS:
        return whole.valid
    may_be_held_back = split not in TRAIN_SPLITS or not whole_train
    return whole.held_back if may_be_held_back and is_held_back(still.subject, share) else whole.train


def _named(stills: Sequence[Still]) -> bool:
    return any(still.label is not None for still in stills)


def _check(whole: Collection, paths: Sequence[Path]) -> None:
    valid = [still for still in whole.valid if still.label is not None]
    for name, part in (("training", [*whole.train, *whole.sequences]), ("validation", valid)):
        if not part:
            found = ", ".join(f"{category} {count}" for category, count in whole.left_out.most_common(8))
            raise DataError(
                f"data {[str(path) for path in paths]} has no {name} face of {', '.join(whole.labels)}: expected some, "
                f"got {found or 'none'}. Check the split folders, or name other categories with --classes."
            )
    named = [int(still.distribution.argmax()) for still in whole.train if still.distribution.any()]
    shown = [sequence.label for sequence in whole.sequences if sequence.label is not None]
    onsets = [whole.labels.index(NEUTRAL)] if shown else []
    ClassSet(whole.labels).check([*named, *shown, *onsets], "training")


def _hold(whole: Collection) -> None:
    """Decode the pictures that the training looks at again and again, as far as they fit."""
    held = hold([*whole.train, *whole.valid])
    whole.train[:], whole.valid[:] = held[: len(whole.train)], held[len(whole.train) :]
