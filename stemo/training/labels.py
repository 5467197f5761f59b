"""From annotators' votes to targets: the majority rule, vote distributions, weak valence and arousal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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

MAJORITY_RULE = (
    "FER+ majority, 7 classes: single votes set to 0; kept if the top class holds more than half of the "
    "remaining votes and is one of the seven"
)

SEQUENCE_RULE = "sequences, 7 classes: the first frame counts as Neutral, the last as the sequence's class"
FOLDER_RULE = "ImageFolder, 7 classes: the folder's name is the class"
FER2013_RULE = "FER2013's own labels, 7 classes"


def canonical_emotion(name: str) -> str | None:
    """The name in :data:`stemo.records.EMOTIONS` for any common spelling, or ``None`` for another category."""
    return SYNONYMS.get(name.strip().lower())


def without_single_votes(votes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Votes (10,) in the order of :data:`FERPLUS_COLUMNS` with counts of one, the outliers, set to 0."""
    return np.where(votes <= 1, 0, votes)


def vote_distribution(votes: npt.NDArray[np.int64]) -> FloatArray | None:
    """Votes (10,) -> probabilities (7,) in the order of EMOTIONS.

    ``None`` where contempt, unknown and "not a face" hold at least half of the remaining votes.
    """
    cleaned = without_single_votes(votes)
    known = np.array([cleaned[FERPLUS_COLUMNS.index(column)] for column in _columns_of_emotions()], np.float32)
    if known.sum() * 2 <= cleaned.sum() or known.sum() == 0:
        return None
    return known / known.sum()


def majority_label(votes: npt.NDArray[np.int64]) -> int | None:
    """Votes (10,) -> index into EMOTIONS under :data:`MAJORITY_RULE`, or ``None`` where the rule drops the face."""
    cleaned = without_single_votes(votes)
    top = int(cleaned.argmax())
    emotion = canonical_emotion(FERPLUS_COLUMNS[top])
    if emotion is None or cleaned[top] * 2 <= cleaned.sum():
        return None
    return EMOTIONS.index(emotion)


def weak_affect(distribution: FloatArray, intensity: float = 1.0) -> tuple[float, float]:
    """Probabilities (7,) -> (valence in [-1, 1], arousal in [0, 1]): the mean circumplex position.

    ``intensity`` in [0, 1] moves it from the resting face (0) to the full position (1).
    """
    places = np.array([CIRCUMPLEX[name] for name in EMOTIONS], np.float32)  # (7 2)
    rest = np.array(CIRCUMPLEX["Neutral"], np.float32)
    valence, arousal = rest + intensity * (distribution @ places - rest)
    return float(valence), float((arousal + 1) / 2)


def one_hot(label: int, smoothing: float = 0.0) -> FloatArray:
    """Label -> probabilities (7,) with ``smoothing`` spread evenly."""
    target = np.full(len(EMOTIONS), smoothing / len(EMOTIONS), np.float32)
    target[label] += 1 - smoothing
    return target


def _columns_of_emotions() -> Sequence[str]:
    by_emotion = {canonical_emotion(column): column for column in FERPLUS_COLUMNS}
    return [by_emotion[emotion] for emotion in EMOTIONS]
