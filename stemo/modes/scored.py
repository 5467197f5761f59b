"""Faces that the network read, and the figures that follow: what ``--evaluate`` says, writes and records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stemo.network.checkpoint import WeightFacts
from stemo.network.clips import ClipReader
from stemo.network.model import Prediction
from stemo.records import EMOTIONS
from stemo.training.affect_metrics import affect_facts, score_stills
from stemo.training.collection import HELD_FROM_TRAIN, is_held_back
from stemo.training.datasets import TEST_SPLITS, TRAIN_SPLITS, VALID_SPLITS, Still
from stemo.training.end_to_end import Classes, compare
from stemo.training.evaluation import category_readings, evaluation_of, report
from stemo.training.landmark_memory import LandmarkMemory
from stemo.training.layouts import open_data, rule_of
from stemo.training.motion import read_movement
from stemo.training.report.curves import RunCurve
from stemo.training.report.findings import Findings
from stemo.training.report.measured import compared


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """Faces that the network read, and what it read.

    ``photos`` are the classes (n,) read of the whole pictures with faces found by ``detector``, where they were.
    """

    data: Path
    split: str | None
    held_back: bool
    reader: ClipReader
    facts: WeightFacts
    stills: Sequence[Still]
    landmarks: np.ndarray  # (n 205), nan where none were found
    prediction: Prediction
    photos: Classes | None = None
    detector: str = ""

    @property
    def title(self) -> str:
        """Which faces these are."""
        return f"{self.data.name}{self.part}"

    @property
    def part(self) -> str:
        """Which part of the data, in brackets; empty for all of it."""
        parts = [*([self.split] if self.split else []), *(["people kept apart in training"] if self.held_back else [])]
        return f" ({', '.join(parts)})" if parts else ""

    @property
    def note(self) -> str:
        """What a reader must know before the figures."""
        if self.held_back or all(was_held_back(still, self.facts) for still in self.stills):
            return ""
        return trained_on(self.data, self.facts)

    def figures(self, groups: Sequence[str], run: Sequence[RunCurve]) -> tuple[dict[str, Any], Findings | None]:
        """``metrics.json``, and the findings for the report: ``None`` where no face has a category."""
        about = {"data": self.title, **({"note": self.note} if self.note else {})}
        rule = rule_of(self.data, self.facts.labels)
        scores = score_stills(self.stills, self.prediction.valence.cpu(), self.prediction.arousal.cpu())
        affect = affect_facts(scores or {})
        labelled = [place for place, still in enumerate(self.stills) if still.label is not None]
        if not labelled:
            return {**about, "rule": rule, "n": 0, "affect": affect}, None
        metrics, findings = self._categories(labelled, rule, groups, run, affect)
        return {**about, **metrics, **findings.facts(), **({"affect": affect} if affect else {})}, findings

    def _categories(
        self,
        labelled: Sequence[int],
        rule: str,
        groups: Sequence[str],
        run: Sequence[RunCurve],
        affect: Mapping[str, Mapping[str, Any]],
    ) -> tuple[dict[str, Any], Findings]:
        stills = [self.stills[place] for place in labelled]
        prediction = Prediction(*(part[list(labelled)] for part in self.prediction))
        probabilities = self.reader.probabilities(prediction)
        evaluation = evaluation_of(
            stills,
            probabilities,
            labels=self.facts.labels,
            rule=rule,
            data=self.title,
            weights=in_words(self.facts),
            columns=groups,
            note=self.note,
        )
        result = category_readings(probabilities, stills, self.facts.labels).score
        metrics = report(result, rule, probabilities, stills)
        if self.photos is not None:
            read = compare(evaluation.truth, self.photos[list(labelled)], evaluation.predicted, self.facts.labels)
            metrics["end_to_end"] = {"detector": self.detector, **read}
        return metrics, Findings(evaluation, run, affect, compared(metrics))

    def motion(self, memory: LandmarkMemory) -> dict[str, Any]:
        """How readings move from onset to apex, where the data are sequences; else nothing."""
        read = open_data(self.data).sequences
        if read is None or self.facts.labels != EMOTIONS:
            return {}
        sequences = [one for one in read(self.facts.labels) if one.label is not None]
        if self.held_back:
            sequences = [one for one in sequences if is_held_back(one.subject, share_held_back(self.facts))]
        if not sequences:
            return {}
        landmarks = [memory.features(one.images) for one in sequences]
        return read_movement(self.reader, sequences, landmarks).scores()


def was_held_back(still: Still, facts: WeightFacts) -> bool:
    """Whether the training of these weights did not see the still's person.

    It never trains on validation and test splits. Elsewhere it kept a share of the people apart; in a training split
    only where the data had nothing else to choose by, which the rule of its figures says.
    """
    split = still.split.lower()
    if split in VALID_SPLITS | TEST_SPLITS:
        return True
    if split in TRAIN_SPLITS and not _trained_on_a_share(facts):
        return False
    return is_held_back(still.subject, share_held_back(facts))


def _trained_on_a_share(facts: WeightFacts) -> bool:
    """Whether people were held back from the training splits."""
    return HELD_FROM_TRAIN in str(facts.metrics.get("valid", {}).get("rule", ""))


def share_held_back(facts: WeightFacts) -> float:
    """The share of the people that the training of these weights kept apart, in [0, 1]."""
    return float(facts.metrics.get("settings", {}).get("held_back", 0.2))


def in_words(facts: WeightFacts) -> str:
    """Which weights, so that nobody takes them for others."""
    return f"{facts.name} ({facts.architecture} {facts.size}, sha256 {facts.sha256[:12]})"


def trained_on(data: Path, facts: WeightFacts) -> str:
    """A warning where the weights were trained on a data set of this name; else nothing."""
    if data.stem not in [name.strip() for name in facts.training_data.split(",")]:
        return ""
    return (
        f"These weights were trained on a data set named {data.stem}: unless the faces scored here were kept apart, "
        "the figures flatter them."
    )
