"""Evaluations made up for tests of the report: classes and readings as given, faces drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from stemo.records import EMOTIONS
from stemo.training.made import draw
from stemo.training.report.evaluation import Evaluation


def made_evaluation(
    truth: Sequence[int],
    predicted: Sequence[int],
    confidence: float | Sequence[float] = 0.8,
    *,
    labels: tuple[str, ...] = EMOTIONS,
    groups: Mapping[str, Sequence[str]] | None = None,
    names: Sequence[str] | None = None,
) -> Evaluation:
    """An evaluation whose faces were read as ``predicted`` with ``confidence``, the rest spread evenly."""
    sure = np.broadcast_to(np.asarray(confidence, float), len(truth))
    probabilities = np.repeat((1 - sure)[:, None] / (len(labels) - 1), len(labels), 1)
    probabilities[np.arange(len(truth)), predicted] = sure
    rng = np.random.default_rng(0)
    return Evaluation(
        data="made.zip",
        weights="fresh",
        rule="made",
        labels=labels,
        truth=np.array(truth, np.int64),
        probabilities=probabilities,
        names=names or [f"face {place}" for place in range(len(truth))],
        images=[draw(EMOTIONS[label % len(EMOTIONS)], rng) for label in truth],
        groups=groups or {},
    )
