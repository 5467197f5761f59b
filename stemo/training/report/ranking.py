"""How well each class's probability ranks faces: ROC and precision-recall, one class against the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stemo.training.report.evaluation import Evaluation, Floats


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """Points of a curve in the unit square and the figure that sums it up, in [0, 1]."""

    x: Floats  # (m,)
    y: Floats  # (m,)
    area: float


@dataclass(frozen=True, slots=True, eq=False)
class ClassRanking:
    """One class against the rest.

    ``roc`` (false against true positive rate, area: AUC) needs faces of the class and others; ``precision_recall``
    (recall against precision, area: average precision) needs faces of the class. They are ``None`` without.
    ``prevalence`` is the class's share of the faces: the average precision of a guess.
    """

    label: str
    roc: Curve | None
    precision_recall: Curve | None
    prevalence: float


def one_vs_rest(evaluation: Evaluation) -> list[ClassRanking]:
    """Each class's ranking, in the order of the labels."""
    rankings = []
    for place, label in enumerate(evaluation.labels):
        positive = evaluation.truth == place
        score = evaluation.probabilities[:, place]
        roc = _roc(positive, score) if positive.any() and not positive.all() else None
        precision_recall = _precision_recall(positive, score) if positive.any() else None
        rankings.append(ClassRanking(label, roc, precision_recall, float(positive.mean())))
    return rankings


def macro_area(curves: Sequence[Curve | None]) -> float | None:
    """Mean area of the curves that exist."""
    areas = [curve.area for curve in curves if curve is not None]
    return sum(areas) / len(areas) if areas else None


def _roc(positive: np.ndarray, score: Floats) -> Curve:
    from sklearn.metrics import roc_auc_score, roc_curve

    false_rate, true_rate, _ = roc_curve(positive, score)
    return Curve(false_rate, true_rate, float(roc_auc_score(positive, score)))


def _precision_recall(positive: np.ndarray, score: Floats) -> Curve:
    from sklearn.metrics import average_precision_score, precision_recall_curve

    precision, recall, _ = precision_recall_curve(positive, score)
    return Curve(recall[::-1], precision[::-1], float(average_precision_score(positive, score)))
