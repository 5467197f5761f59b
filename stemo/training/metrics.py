"""Accuracy, recall and confusion of category predictions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stemo.records import EMOTIONS


@dataclass(frozen=True, slots=True, eq=False)
class CategoryScore:
    """Counts of true class (rows) against predicted class (columns), ``(k, k)``."""

    confusion: npt.NDArray[np.int64]
    labels: tuple[str, ...] = EMOTIONS

    @property
    def n(self) -> int:
        """How many faces were scored."""
        return int(self.confusion.sum())

    @property
    def accuracy(self) -> float:
        """Share of faces predicted right, in [0, 1]; nan without faces."""
        return float(np.trace(self.confusion) / self.n) if self.n else float("nan")

    @property
    def per_class_recall(self) -> dict[str, float]:
        """Recall of each class in [0, 1]; nan for a class without a face."""
        support = self.confusion.sum(1)
        hits = np.diag(self.confusion)
        return {
            label: float(hit / total) if total else float("nan")
            for label, hit, total in zip(self.labels, hits, support, strict=True)
        }

    @property
    def macro_recall(self) -> float:
        """Mean recall over the classes that have faces."""
        return float(np.nanmean(list(self.per_class_recall.values()))) if self.n else float("nan")


def score(truth: npt.ArrayLike, predicted: npt.ArrayLike, labels: tuple[str, ...] = EMOTIONS) -> CategoryScore:
    """True and predicted class indices (n,) -> their score."""
    confusion = np.zeros((len(labels), len(labels)), np.int64)
    np.add.at(confusion, (np.asarray(truth, np.int64), np.asarray(predicted, np.int64)), 1)
    return CategoryScore(confusion, labels)
