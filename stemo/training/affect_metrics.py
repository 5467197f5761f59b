"""How well valence and arousal follow real ratings: concordance, error, correlation, agreement in sign.

All four are given on [-1, 1] for both, the scale of the published sets, so that they can be compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

from stemo.training.datasets import Still

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class AffectScore:
    """Figures of one dimension on ``n`` faces; nan where one cannot be said (no face, or no spread)."""

    n: int
    ccc: float
    rmse: float
    pearson: float
    sign_agreement: float


def concordance(truth: npt.ArrayLike, predicted: npt.ArrayLike) -> float:
    """The concordance correlation coefficient in [-1, 1] of ratings (n,) (Lin, Biometrics 45, 1989).

    2 cov / (var + var + (mean - mean)^2), with population moments: 1 only where predictions equal the ratings. nan
    where neither varies and both agree, or there is nothing.
    """
    x, y = _pair(truth, predicted)
    if not x.size:
        return float("nan")
    spread = x.var() + y.var() + (x.mean() - y.mean()) ** 2
    return float(2 * ((x - x.mean()) * (y - y.mean())).mean() / spread) if spread > 0 else float("nan")


def pearson(truth: npt.ArrayLike, predicted: npt.ArrayLike) -> float:
    """Pearson's r in [-1, 1]; nan where either does not vary."""
    x, y = _pair(truth, predicted)
    if not x.size or np.ptp(x) == 0 or np.ptp(y) == 0:
        return float("nan")
    across, up = x - x.mean(), y - y.mean()
    return float(np.clip(across @ up / np.sqrt((across @ across) * (up @ up)), -1, 1))


def rmse(truth: npt.ArrayLike, predicted: npt.ArrayLike) -> float:
    """The root of the mean squared error, in the unit of the ratings; nan for nothing."""
    x, y = _pair(truth, predicted)
    return float(np.sqrt(((x - y) ** 2).mean())) if x.size else float("nan")


def sign_agreement(truth: npt.ArrayLike, predicted: npt.ArrayLike) -> float:
    """The share in [0, 1] of predictions on the same side of 0 as the rating (Nicolaou et al., IEEE TAC 2011)."""
    x, y = _pair(truth, predicted)
    return float((np.sign(x) == np.sign(y)).mean()) if x.size else float("nan")


def score_affect(truth: npt.ArrayLike, predicted: npt.ArrayLike) -> AffectScore:
    """Ratings and predictions (n,) in [-1, 1] -> all four."""
    x, y = _pair(truth, predicted)
    return AffectScore(x.size, concordance(x, y), rmse(x, y), pearson(x, y), sign_agreement(x, y))


def score_stills(
    stills: Sequence[Still], valence: npt.ArrayLike, arousal: npt.ArrayLike
) -> dict[str, AffectScore] | None:
    """Readings (n,) of ``stills``, valence in [-1, 1] and arousal in [0, 1] -> figures on those with real ratings.

    Weak targets are never scored; ``None`` where no still was rated.
    """
    rated = np.array([still.rated for still in stills], bool)
    if not rated.any():
        return None
    real = np.array([(still.valence, 2 * still.arousal - 1) for still in stills])[rated]
    read = np.stack([np.asarray(valence, float), 2 * np.asarray(arousal, float) - 1], 1)[rated]
    return {name: score_affect(real[:, place], read[:, place]) for place, name in enumerate(("valence", "arousal"))}


def affect_facts(scores: dict[str, AffectScore]) -> dict[str, dict[str, float | int | None]]:
    """The figures as a JSON holds them: ``None`` for what cannot be said."""
    return {
        name: {key: None if np.isnan(value) else value for key, value in asdict(score).items()}
        for name, score in scores.items()
    }


def _pair(truth: npt.ArrayLike, predicted: npt.ArrayLike) -> tuple[Floats, Floats]:
    x, y = np.asarray(truth, np.float64), np.asarray(predicted, np.float64)
    if x.shape != y.shape or x.ndim != 1:
        raise ValueError(f"ratings {x.shape} and predictions {y.shape} do not match: expected one number a face each")
    return x, y
