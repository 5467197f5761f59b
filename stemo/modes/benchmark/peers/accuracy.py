"""The labelled faces that all tools read, what stemo reads in them, and the scores."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from stemo.assets import locate
from stemo.config import RecognitionSettings
from stemo.errors import DataError
from stemo.faces.stills import still_landmarker
from stemo.modes.evaluate import open_clips
from stemo.network.checkpoint import given_or_shipped
from stemo.recognizer import choose_device
from stemo.records import EMOTIONS
from stemo.training.datasets import VALID_SPLITS, Still
from stemo.training.evaluation import labels_of, read_stills
from stemo.training.labels import canonical_emotion
from stemo.training.landmark_memory import LandmarkMemory
from stemo.training.layouts import load_any
from stemo.training.metrics import UNREAD, CategoryScore, score


def faces_to_score(data: Path, split: str | None) -> list[Still]:
    """The faces of ``data`` with one of the seven categories, of ``split`` or else of its validation split.

    Raises :class:`DataError` where there are none.
    """
    stills = [still for still in load_any(data) if still.label is not None]
    wanted = {split.lower()} if split else VALID_SPLITS
    kept = [still for still in stills if still.split.lower() in wanted]
    if not kept:
        splits = ", ".join(sorted({still.split or "none" for still in stills}))
        raise DataError(
            f"data {str(data)!r} has no face to score: expected the split {split or 'for validation'}, got {splits}. "
            "Choose one with --split."
        )
    return kept


def keep_faces(stills: Sequence[Still], path: Path) -> None:
    """Write the pictures (h w 3), RGB uint8, into an npz file: ``arr_0``, ``arr_1`` and so on."""
    np.savez(path, *(still.image for still in stills))


def guesses_of_stemo(stills: Sequence[Still], settings: RecognitionSettings) -> list[str]:
    """What stemo reads in the crops, as ``--evaluate`` does."""
    weights = given_or_shipped(settings.weights)
    reader, facts = open_clips(weights, choose_device(settings.device, weights, settings.backend), settings.backend)
    model = locate("face_landmarker", Path(settings.landmarker) if settings.landmarker else None)
    with LandmarkMemory(still_landmarker(model)) as memory:
        landmarks = memory.features(still.image for still in stills)
    prediction = read_stills(reader, stills, landmarks)
    return [facts.labels[place] for place in prediction.logits.argmax(-1).tolist()]


def score_guesses(stills: Sequence[Still], guesses: Sequence[str]) -> CategoryScore:
    """Emotions by any common name, one for each of ``stills``, scored; a name of none of the seven is wrong."""
    names = [canonical_emotion(guess) for guess in guesses]
    return score(labels_of(stills), [EMOTIONS.index(name) if name else UNREAD for name in names])
