"""What a run trains on: every data set it was given, split into training, validation and held-back people."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from stemo.errors import DataError
from stemo.records import EMOTIONS
from stemo.training.class_set import ClassSet
from stemo.training.datasets import TEST_SPLITS, TRAIN_SPLITS, VALID_SPLITS, LabelledSequence, Still, hold
from stemo.training.layouts import DataSet, data_sets, open_data
from stemo.training.layouts.sequences import NEUTRAL

OTHER_SEQUENCES = "sequences of other categories"


@dataclass(slots=True)
class Collection:
    """Stills to train on, to choose by, and of people held back; sequences likewise; names of the data sets.

    ``labels`` is the class set, ``left_out`` counts the faces outside it by their category, and ``rules`` say how the
    stills to choose by get their labels.
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


def collect(paths: Sequence[Path], held_back: float, labels: Sequence[str] = EMOTIONS) -> Collection:
    """Load every data set in ``paths`` (a data set, a folder of them, or the word "made" for drawn faces).

    Splits that a data set names are kept (its test split is never read for training or choosing). From the others a
    share ``held_back`` of the people, chosen by name and so the same in every run, is kept apart; it also serves for
    choosing where nothing else does. Raises :class:`DataError` when nothing is left to train on or to choose by, or a
    class has no face to train on.
    """
    whole = Collection(tuple(labels))
    held_back_rules: list[str] = []
    for path in (found for given in paths for found in data_sets(given)):
        data = open_data(path)
        whole.names.append(path.stem)
        before = len(whole.valid), len(whole.held_back)
        if data.sequences and NEUTRAL in labels:
            _add_sequences(whole, data.sequences(labels), held_back)
        else:
            _add_stills(whole, data, held_back)
        if len(whole.valid) > before[0]:
            whole.rules.append(data.rule_for(labels))
        if len(whole.held_back) > before[1]:
            held_back_rules.append(data.rule_for(labels))
    if not whole.valid:
        whole.valid, whole.rules = whole.held_back, held_back_rules
    _check(whole, paths)
    return whole


def is_held_back(subject: str, share: float) -> bool:
    """Whether a person belongs to the held-back ``share`` in [0, 1]: decided by the name alone."""
    return zlib.crc32(subject.encode()) % 1000 < share * 1000


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


def _add_stills(whole: Collection, data: DataSet, held_back: float) -> None:
    stills, left_out = ClassSet(whole.labels).stills(data.faces())
    whole.left_out += left_out
    chosen = [(part, still) for still in stills if (part := _part(whole, still, held_back)) is not None]
    for (part, _), still in zip(chosen, hold([still for _, still in chosen]), strict=True):
        part.append(still)


def _part(whole: Collection, still: Still, held_back: float) -> list[Still] | None:
    """Where a still belongs; ``None`` for a test split, which is for --evaluate alone."""
    split = still.split.lower()
    if split in VALID_SPLITS:
        return whole.valid
    if split in TEST_SPLITS:
        return None
    if split not in TRAIN_SPLITS and is_held_back(still.subject, held_back):
        return whole.held_back
    return whole.train


def _add_sequences(whole: Collection, sequences: Sequence[LabelledSequence], held_back: float) -> None:
    for sequence in sequences:
        kept = whole.held_back_sequences if is_held_back(sequence.subject, held_back) else whole.sequences
        kept.append(sequence)
    whole.left_out[OTHER_SEQUENCES] += sum(sequence.label is None for sequence in sequences)
    whole.left_out += Counter()  # drops the zero
