"""Everything that the report says of one evaluation, as numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from stemo.training.report.calibration import Reliability, log_loss, reliability
from stemo.training.report.curves import RunCurve
from stemo.training.report.evaluation import Evaluation
from stemo.training.report.groups import GroupFigures, group_figures
from stemo.training.report.measured import Compared
from stemo.training.report.ranking import ClassRanking, macro_area, one_vs_rest
from stemo.training.report.sheets import Cell, most_confident_mistakes, sample
from stemo.training.report.statistics import (
    ClassFigures,
    Interval,
    balanced_accuracy,
    balanced_accuracy_interval,
    class_figures,
    wilson,
)


@dataclass(frozen=True, eq=False)
class Findings:
    """An evaluation and what follows from it, each worked out once.

    ``run`` are the curves of the training, if any; ``affect`` the figures of valence and arousal on faces with real
    ratings, if any (:func:`stemo.training.affect_metrics.affect_facts`); ``compared`` sets crops beside whole pictures,
    where both were read.
    """

    evaluation: Evaluation
    run: Sequence[RunCurve] = ()
    affect: Mapping[str, Mapping[str, float | int | None]] = field(default_factory=dict)
    compared: Sequence[Compared] = ()

    @property
    def accuracy(self) -> float:
        """Share predicted right, in [0, 1]."""
        return float(self.evaluation.right.mean())

    @property
    def accuracy_interval(self) -> Interval | None:
        """Wilson's interval of the accuracy."""
        return wilson(int(self.evaluation.right.sum()), self.evaluation.n)

    @cached_property
    def classes(self) -> list[ClassFigures]:
        """Precision, recall and F1 of every class."""
        return class_figures(self.evaluation.confusion, self.evaluation.labels)

    @property
    def balanced_accuracy(self) -> float | None:
        """Mean recall over the classes that have faces."""
        return balanced_accuracy(self.classes)

    @property
    def balanced_accuracy_interval(self) -> Interval | None:
        """The interval of the balanced accuracy."""
        return balanced_accuracy_interval(self.classes)

    @cached_property
    def rankings(self) -> list[ClassRanking]:
        """ROC and precision-recall of every class."""
        return one_vs_rest(self.evaluation)

    @property
    def macro_auc(self) -> float | None:
        """Mean AUC over the classes that have one."""
        return macro_area([ranking.roc for ranking in self.rankings])

    @property
    def macro_average_precision(self) -> float | None:
        """Mean average precision over the classes that have one."""
        return macro_area([ranking.precision_recall for ranking in self.rankings])

    @cached_property
    def reliability(self) -> Reliability:
        """Confidence against the share predicted right."""
        return reliability(self.evaluation.confidence, self.evaluation.right)

    @property
    def log_loss(self) -> float:
        """Mean negative log probability of the true class."""
        return log_loss(self.evaluation.probabilities, self.evaluation.truth)

    @cached_property
    def groups(self) -> dict[str, list[GroupFigures]]:
        """Figures group by group, for every column that names groups."""
        return group_figures(self.evaluation)

    @cached_property
    def mistakes(self) -> list[Cell]:
        """The most confident mistakes."""
        return most_confident_mistakes(self.evaluation)

    @cached_property
    def sample(self) -> list[Cell]:
        """Some faces of every class."""
        return sample(self.evaluation)

    def facts(self) -> dict[str, Any]:
        """What ``metrics.json`` says besides the figures that weights carry: plain values, ``None`` where undefined."""
        return {
            "accuracy_interval": self.accuracy_interval,
            "balanced_accuracy": self.balanced_accuracy,
            "balanced_accuracy_interval": self.balanced_accuracy_interval,
            "macro_auc": self.macro_auc,
            "macro_average_precision": self.macro_average_precision,
            "per_class": {
                figures.label: _class_facts(figures, ranking)
                for figures, ranking in zip(self.classes, self.rankings, strict=True)
            },
            "calibration": [
                {"confidence": confidence, "right": hits / faces, "n": faces, "interval": wilson(hits, faces)}
                for _, faces, hits, confidence in self.reliability.filled
            ],
            "groups": {
                column: {group.name: _group_facts(group) for group in groups} for column, groups in self.groups.items()
            },
            "most_confident_mistakes": [
                {"name": cell.name, "true": cell.truth, "predicted": cell.predicted, "confidence": cell.confidence}
                for cell in self.mistakes
            ],
        }


def _class_facts(figures: ClassFigures, ranking: ClassRanking) -> dict[str, Any]:
    return {
        "support": figures.support,
        "predicted": figures.predicted,
        "precision": figures.precision,
        "precision_interval": figures.precision_interval,
        "recall": figures.recall,
        "recall_interval": figures.recall_interval,
        "f1": figures.f1,
        "f1_interval": figures.f1_interval,
        "auc": ranking.roc.area if ranking.roc else None,
        "average_precision": ranking.precision_recall.area if ranking.precision_recall else None,
    }


def _group_facts(group: GroupFigures) -> dict[str, Any]:
    return {
        "n": group.n,
        "accuracy": group.accuracy,
        "accuracy_interval": group.accuracy_interval,
        "macro_recall": group.macro_recall,
        "macro_recall_interval": group.macro_recall_interval,
        "classes": group.present,
    }
