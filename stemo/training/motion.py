"""Does a reading follow a face? Sequences from onset to apex, read as streams are, scored by how the reading moves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stemo.network.clips import ClipReader
from stemo.network.preprocessing import PICTURE_SIZE
from stemo.records import EMOTIONS
from stemo.training.datasets import LabelledSequence
from stemo.training.labels import CIRCUMPLEX
from stemo.training.pictures import fit

NEUTRAL = EMOTIONS.index("Neutral")
HELD = 6  # of the buffer's places show the apex, the frames before it share the rest with the onset


@dataclass(frozen=True, slots=True, eq=False)
class Movement:
    """Of each sequence its class (n,), and probabilities (n 2 k), valence and arousal (n 2) at onset and apex."""

    labels: np.ndarray
    probabilities: np.ndarray
    valence: np.ndarray
    arousal: np.ndarray

    def scores(self) -> dict[str, Any]:
        """Shares of the sequences, in [0, 1]: the apex read right, and each quantity moving as it should."""
        each = np.arange(len(self.labels))
        mine, neutral = self.probabilities[each, :, self.labels], self.probabilities[:, :, NEUTRAL]
        goal = np.array([CIRCUMPLEX[EMOTIONS[label]][0] for label in self.labels])
        towards = (np.diff(mine)[:, 0] > 0) & (np.diff(neutral)[:, 0] < 0)
        return {
            "n": len(self.labels),
            "apex_accuracy": float((self.probabilities[:, 1].argmax(-1) == self.labels).mean()),
            "onset_neutral": float((self.probabilities[:, 0].argmax(-1) == NEUTRAL).mean()),
            "neutral_to_class": float(towards.mean()),
            "valence_direction": float((np.diff(self.valence)[:, 0] * goal > 0).mean()),
            "arousal_up": float((np.diff(self.arousal)[:, 0] > 0).mean()),
        }


def read_movement(
    reader: ClipReader, sequences: Sequence[LabelledSequence], landmarks: Sequence[np.ndarray]
) -> Movement:
    """Read the labelled ``sequences``; ``landmarks`` holds the features (t 205) of each one's frames.

    The onset is read from a buffer that holds nothing else, the apex from one through which the frames have come.
    """
    found = []
    for sequence, known in zip(sequences, landmarks, strict=True):
        pictures = torch.from_numpy(np.stack([fit(image, PICTURE_SIZE) for image in sequence.images]))
        courses = np.stack([np.zeros(reader.length, np.int64), course(len(sequence.images), reader.length)])
        read = reader.read(pictures, torch.from_numpy(known), torch.from_numpy(courses))
        found.append((reader.probabilities(read), read.valence, read.arousal))
    probabilities, valence, arousal = (_stacked([item[place] for item in found]) for place in range(3))
    return Movement(np.array([sequence.label for sequence in sequences]), probabilities, valence, arousal)


def course(frames: int, length: int) -> np.ndarray:
    """Which frame each place of the buffer shows: onset, the frames between, and the apex held to the end."""
    rise = np.linspace(0, frames - 1, max(length - HELD, 1) + 1)[:-1]
    places = np.concatenate([rise, np.full(length, frames - 1)])[: max(length, 1)]
    return np.rint(places if length > 1 else [frames - 1]).astype(np.int64)


def _stacked(parts: Sequence[Tensor]) -> np.ndarray:
    return torch.stack(list(parts)).cpu().numpy()
