"""What an evaluation found: every face with its true class and the network's probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from stemo.records import Image

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """Readings of ``n`` labelled faces over ``k`` classes.

    ``truth`` holds class indices; ``probabilities`` are in [0, 1] and sum to 1 per row. ``groups`` gives, for every
    column that names groups, the group of each face (n strings). ``data`` and ``weights`` say in words what was read
    by what; ``rule`` how the faces got their labels; ``note`` what a reader must know before the figures.
    """

    data: str
    weights: str
    rule: str
    labels: tuple[str, ...]
    truth: Ints  # (n,)
    probabilities: Floats  # (n k)
    names: Sequence[str]
    images: Sequence[Image]  # (h w 3) each
    groups: Mapping[str, Sequence[str]] = field(default_factory=dict)
    note: str = ""

    @property
    def n(self) -> int:
        """How many faces were scored."""
        return len(self.truth)

    @property
    def predicted(self) -> Ints:
        """Class indices (n,): the most probable class."""
        return self.probabilities.argmax(1)

    @property
    def confidence(self) -> Floats:
        """The probability of the predicted class (n,), in [0, 1]."""
        return self.probabilities.max(1)

    @property
    def right(self) -> npt.NDArray[np.bool_]:
        """Whether each face (n,) was predicted right."""
        return self.predicted == self.truth

    @property
    def confusion(self) -> Ints:
        """Counts of true class (rows) against predicted class (columns), (k k)."""
        return confusion_of(self.truth, self.predicted, len(self.labels))


def confusion_of(truth: npt.ArrayLike, predicted: npt.ArrayLike, classes: int) -> Ints:
    """Class indices (n,), twice -> counts of true class (rows) against predicted class (columns), (k k)."""
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (np.asarray(truth, np.int64), np.asarray(predicted, np.int64)), 1)
    return counts
