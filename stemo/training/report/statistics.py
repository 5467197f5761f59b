"""Precision, recall and F1 of each class, with 95 % intervals.

Shares of counts get Wilson's score interval: E. B. Wilson (1927), "Probable inference, the law of succession, and
statistical inference", J. American Statistical Association 22, 209-212. Means of independent shares get the interval
of Zou & Donner (2008), "Construction of confidence limits about effect measures: a general approach", Statistics in
Medicine 27, 1693-1702, built from those.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Interval: TypeAlias = tuple[float, float]  # low and high end, in [0, 1]

Z95 = 1.959963984540054  # the normal distribution's two-sided 95 % point


def wilson(hits: float, n: float, z: float = Z95) -> Interval | None:
    """The score interval of ``hits`` out of ``n``; ``None`` where nothing was tried."""
    if n <= 0:
        return None
    share = hits / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    # rounding must not push an end past the share itself where all or none are hits
    return max(0.0, min(centre - half, share)), min(1.0, max(centre + half, share))


@dataclass(frozen=True, slots=True)
class ClassFigures:
    """One class in counts: faces of it (``support``), faces read as it (``predicted``), and both at once (``hits``).

    A figure is ``None`` where it is undefined: the recall of a class without a face, the precision of one never read.
    """

    label: str
    support: int
    predicted: int
    hits: int

    @property
    def recall(self) -> float | None:
        """Share of the class's faces that were read as it."""
        return self.hits / self.support if self.support else None

    @property
    def recall_interval(self) -> Interval | None:
        """Wilson's interval of the recall."""
        return wilson(self.hits, self.support)

    @property
    def precision(self) -> float | None:
        """Share of the faces read as the class that are of it."""
        return self.hits / self.predicted if self.predicted else None

    @property
    def precision_interval(self) -> Interval | None:
        """Wilson's interval of the precision."""
        return wilson(self.hits, self.predicted)

    @property
    def f1(self) -> float | None:
        """Harmonic mean of precision and recall."""
        return 2 * self.hits / (self.support + self.predicted) if self.support + self.predicted else None

    @property
    def f1_interval(self) -> Interval | None:
        """F1 rises with the share J of hits among faces that are of the class or read as it: F1 = 2 J / (1 + J).

        J is a plain share, so Wilson's interval of it carries over.
        """
        interval = wilson(self.hits, self.support + self.predicted - self.hits)
        return None if interval is None else (_f1(interval[0]), _f1(interval[1]))


def _f1(overlap: float) -> float:
    return 2 * overlap / (1 + overlap)


def class_figures(confusion: npt.ArrayLike, labels: Sequence[str]) -> list[ClassFigures]:
    """Counts of true class (rows) against predicted class (columns), (k k) -> each class's figures."""
    counts = np.asarray(confusion, np.int64)
    columns = zip(labels, counts.sum(1).tolist(), counts.sum(0).tolist(), np.diag(counts).tolist(), strict=True)
    return [ClassFigures(*column) for column in columns]


def balanced_accuracy(classes: Sequence[ClassFigures]) -> float | None:
    """Mean recall over the classes that have faces, in [0, 1]: the macro recall under its other name."""
    recalls = [figures.recall for figures in classes if figures.recall is not None]
    return sum(recalls) / len(recalls) if recalls else None


def balanced_accuracy_interval(classes: Sequence[ClassFigures]) -> Interval | None:
    """The interval of :func:`balanced_accuracy`, from Wilson's of each recall (Zou & Donner 2008)."""
    known = [(figures.recall, figures.recall_interval) for figures in classes]
    return mean_interval([(share, interval) for share, interval in known if share is not None and interval])


def mean_interval(shares: Sequence[tuple[float, Interval]]) -> Interval | None:
    """The interval of the mean of independent shares, each given with its own (Zou & Donner 2008)."""
    if not shares:
        return None
    mean = sum(share for share, _ in shares) / len(shares)
    below = math.sqrt(sum((share - low) ** 2 for share, (low, _) in shares)) / len(shares)
    above = math.sqrt(sum((high - share) ** 2 for share, (_, high) in shares)) / len(shares)
    return max(0.0, mean - below), min(1.0, mean + above)
