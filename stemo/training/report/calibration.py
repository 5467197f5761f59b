"""Whether a confidence is a probability: of the faces read with 0.8, are eight in ten right?

Expected calibration error and reliability diagram after Guo et al. (ICML 2017), "On calibration of modern neural
networks".
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stemo.training.report.evaluation import Floats, Ints

BINS = 15


@dataclass(frozen=True, slots=True, eq=False)
class Reliability:
    """Faces by confidence, in ``b`` bins of equal width over [0, 1]; sums over the faces of each bin."""

    faces: Ints  # (b,)
    hits: Ints  # (b,) how many were predicted right
    confidence: Floats  # (b,) sum of confidences

    @property
    def bins(self) -> int:
        """How many bins there are, those without a face among them."""
        return len(self.faces)

    @property
    def error(self) -> float:
        """Expected calibration error in [0, 1]: the gap of each bin, weighted by its faces; 0 without faces."""
        return float(np.abs(self.confidence - self.hits).sum() / max(int(self.faces.sum()), 1))

    @property
    def filled(self) -> list[tuple[int, int, int, float]]:
        """Each bin that has faces: its place, its faces, its hits and its mean confidence."""
        return [
            (place, int(self.faces[place]), int(self.hits[place]), float(self.confidence[place] / self.faces[place]))
            for place in np.flatnonzero(self.faces).tolist()
        ]


def reliability(confidence: Floats, right: npt.NDArray[np.bool_], bins: int = BINS) -> Reliability:
    """Confidences (n,) in [0, 1] and whether each prediction was right (n,) -> their reliability."""
    confidence = np.asarray(confidence, np.float64)
    place = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    return Reliability(
        np.bincount(place, minlength=bins),
        np.bincount(place[right], minlength=bins),
        np.bincount(place, confidence, minlength=bins).astype(np.float64),
    )


def log_loss(probabilities: Floats, truth: Ints) -> float:
    """Mean negative log probability of the true class: probabilities (n k) against class indices (n,)."""
    true = np.asarray(probabilities, np.float64)[np.arange(len(truth)), truth]
    return float(-np.log(np.maximum(true, 1e-9)).mean())
