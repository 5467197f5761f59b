"""Category predictions and their accuracy, recall and confusion."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stemo.records import EMOTIONS

UNREAD = -1  # among predicted classes


@dataclass(frozen=True, slots=True, eq=False)
class CategoryScore:
    """Counts of true class (rows) against predicted class (columns), ``(k, k)``.

    ``unread`` (k,) counts the faces of each class that got no reading at all, which is wrong (``None``: none are).
    """

    confusion: npt.NDArray[np.int64]
    labels: tuple[str, ...] = EMOTIONS
    unread: npt.NDArray[np.int64] | None = None

    @property
    def n(self) -> int:
        """How many faces were scored."""
        return int(self.support.sum())

    @property
    def support(self) -> npt.NDArray[np.int64]:
        """How many faces of each class were scored, (k,)."""
        read = self.confusion.sum(1)
        return read if self.unread is None else read + self.unread

    @property
    def accuracy(self) -> float:
        """Share of faces predicted right, in [0, 1]; nan without faces."""
        return float(np.trace(self.confusion) / self.n) if self.n else float("nan")

    @property
    def per_class_recall(self) -> dict[str, float]:
        """Recall of each class in [0, 1]; nan for a class without a face."""
        hits = np.diag(self.confusion)
        return {
            label: float(hit / total) if total else float("nan")
            for label, hit, total in zip(self.labels, hits, self.support, strict=True)
        }

    @property
    def macro_recall(self) -> float:
        """Mean recall over the classes that have faces."""
        return float(np.nanmean(list(self.per_class_recall.values()))) if self.n else float("nan")


def score(truth: npt.ArrayLike, predicted: npt.ArrayLike, labels: tuple[str, ...] = EMOTIONS) -> CategoryScore:
    """True and predicted class indices (n,) -> their score; :data:`UNREAD` is a face that got no reading."""
    true, guessed = np.asarray(truth, np.int64), np.asarray(predicted, np.int64)
    read = guessed != UNREAD
    confusion = np.zeros((len(labels), len(labels)), np.int64)
    np.add.at(confusion, (true[read], guessed[read]), 1)
    return CategoryScore(confusion, labels, np.bincount(true[~read], minlength=len(labels)))


@dataclass(frozen=True, slots=True, eq=False)
class CategoryReadings:
    """Readings of ``n`` labelled faces: class indices ``truth`` (n,), and ``probabilities`` (n k) in [0, 1]."""

    truth: npt.NDArray[np.int64]
    probabilities: npt.NDArray[np.floating]
    labels: tuple[str, ...] = EMOTIONS

    @property
    def score(self) -> CategoryScore:
        """The score of the most probable classes."""
        return score(self.truth, self.probabilities.argmax(1), self.labels)
