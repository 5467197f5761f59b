"""The same figures for every group of faces that the data name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stemo.training.report.evaluation import Evaluation, confusion_of
from stemo.training.report.statistics import (
    ClassFigures,
    Interval,
    balanced_accuracy,
    balanced_accuracy_interval,
    class_figures,
    wilson,
)

UNKNOWN = "(not given)"


@dataclass(frozen=True, slots=True)
class GroupFigures:
    """One group: ``n`` faces of it, ``hits`` predicted right, and its figures class by class."""

    name: str
    n: int
    hits: int
    classes: tuple[ClassFigures, ...]

    @property
    def accuracy(self) -> float:
        """Share predicted right, in [0, 1]."""
        return self.hits / self.n

    @property
    def accuracy_interval(self) -> Interval | None:
        """Wilson's interval of the accuracy."""
        return wilson(self.hits, self.n)

    @property
    def macro_recall(self) -> float | None:
        """Mean recall over the classes that this group has faces of (:attr:`present` of them)."""
        return balanced_accuracy(self.classes)

    @property
    def macro_recall_interval(self) -> Interval | None:
        """The interval of the macro recall."""
        return balanced_accuracy_interval(self.classes)

    @property
    def present(self) -> int:
        """How many classes the group has faces of: macro recalls over different ones do not compare."""
        return sum(figures.support > 0 for figures in self.classes)


def group_figures(evaluation: Evaluation) -> dict[str, list[GroupFigures]]:
    """For every column that names groups, each group's figures, in the order of the groups' names."""
    return {column: _groups(evaluation, names) for column, names in evaluation.groups.items()}


def _groups(evaluation: Evaluation, names: Sequence[str]) -> list[GroupFigures]:
    known = np.array([name.strip() or UNKNOWN for name in names])
    return [_group(evaluation, name, known == name) for name in sorted(set(known.tolist()))]


def _group(evaluation: Evaluation, name: str, chosen: np.ndarray) -> GroupFigures:
    confusion = confusion_of(evaluation.truth[chosen], evaluation.predicted[chosen], len(evaluation.labels))
    classes = tuple(class_figures(confusion, evaluation.labels))
    return GroupFigures(name, int(chosen.sum()), int(np.trace(confusion)), classes)
