"""From annotators' votes to targets: the majority rule, vote distributions, weak valence and arousal."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from stemo.records import EMOTIONS

FloatArray = npt.NDArray[np.float32]

FERPLUS_COLUMNS = (
    "neutral",
    "happiness",
    "surprise",
    "sadness",
    "anger",
    "disgust",
    "fear",
    "contempt",
    "unknown",
    "NF",
)

SYNONYMS: Mapping[str, str] = {
    "angry": "Angry",
    "anger": "Angry",
    "disgust": "Disgust",
    "disgusted": "Disgust",
    "fear": "Fear",
    "fearful": "Fear",
    "afraid": "Fear",
    "happy": "Happy",
    "happiness": "Happy",
    "joy": "Happy",
    "neutral": "Neutral",
    "sad": "Sad",
    "sadness": "Sad",
    "surprise": "Surprise",
    "surprised": "Surprise",
}

# Valence and arousal of each category in [-1, 1]: Russell & Mehrabian (1977), "Evidence for a three-factor theory of
# emotions", J. Research in Personality 11, 273-294. A resting face is pleasant-neutral and, as the state closest to
# it in that table ("relaxed"), low in arousal. These are weak targets: nobody rated these pictures for either.
CIRCUMPLEX: Mapping[str, tuple[float, float]] = {
    "Angry": (-0.51, 0.59),
    "Disgust": (-0.60, 0.35),
    "Fear": (-0.64, 0.60),
    "Happy": (0.81, 0.51),
    "Neutral": (0.0, -0.46),
    "Sad": (-0.63, -0.27),
    "Surprise": (0.40, 0.67),
}

# How faces get their labels, in words; k is the number of classes
MAJORITY_RULE = (
    "FER+ majority, {k} classes: single votes set to 0; kept if the top class holds more than half of the "
    "remaining votes and is one of the {k}"
)
SEQUENCE_RULE = "sequences, {k} classes: every first frame counts as Neutral, every last one as its sequence's class"
FOLDER_RULE = "ImageFolder, {k} classes: the folder's name is the class"
FER2013_RULE = "FER2013's own labels, {k} classes"


def canonical_emotion(name: str) -> str | None:
    """The name in :data:`stemo.records.EMOTIONS` for any common spelling, or ``None`` for another category."""
    return SYNONYMS.get(name.strip().lower())


def without_single_votes(votes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Votes (10,) in the order of :data:`FERPLUS_COLUMNS` with counts of one, the outliers, set to 0."""
    return np.where(votes <= 1, 0, votes)


def named_votes(votes: npt.NDArray[np.int64]) -> dict[str, float]:
    """Votes (10,) -> the remaining votes of every category that has some, by its name."""
    cleaned = without_single_votes(votes)
    return {canonical_emotion(name) or name: float(n) for name, n in zip(FERPLUS_COLUMNS, cleaned, strict=True) if n}


def majority_name(votes: npt.NDArray[np.int64]) -> str | None:
    """Votes (10,) -> the category that holds more than half of the remaining votes, or ``None``."""
    cleaned = without_single_votes(votes)
    top = int(cleaned.argmax())
    name = FERPLUS_COLUMNS[top]
    return (canonical_emotion(name) or name) if cleaned[top] * 2 > cleaned.sum() else None


def circumplex(emotions: Mapping[str, float], intensity: float = 1.0) -> tuple[float, float]:
    """Votes by category -> weak (valence, arousal) of those among the seven; (nan, nan) where none of them is."""
    votes = np.array([emotions.get(name, 0.0) for name in EMOTIONS], np.float32)
    return weak_affect(votes / votes.sum(), intensity) if votes.any() else (float("nan"), float("nan"))


def weak_affect(distribution: FloatArray, intensity: float = 1.0) -> tuple[float, float]:
    """Probabilities (7,) -> (valence in [-1, 1], arousal in [0, 1]): the mean circumplex position.

    ``intensity`` in [0, 1] moves it from the resting face (0) to the full position (1).
    """
    places = np.array([CIRCUMPLEX[name] for name in EMOTIONS], np.float32)  # (7 2)
    rest = np.array(CIRCUMPLEX["Neutral"], np.float32)
    valence, arousal = rest + intensity * (distribution @ places - rest)
    return float(valence), float((arousal + 1) / 2)


def one_hot(label: int, smoothing: float = 0.0, classes: int = len(EMOTIONS)) -> FloatArray:
    """Label -> probabilities (k,) with ``smoothing`` spread evenly."""
    target = np.full(classes, smoothing / classes, np.float32)
    target[label] += 1 - smoothing
    return target
