"""Clips for the temporal stage: stills held with small motion, sequences re-timed from onset to apex and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from stemo.network.model import FrameFeatures
from stemo.records import EMOTIONS
from stemo.training.class_set import onset_target
from stemo.training.datasets import LabelledSequence, Still
from stemo.training.feature_bank import FeatureBank
from stemo.training.labels import circumplex

HELD_CHANCE = 0.5  # of a frame repeating the view before it: faces are still most of the time
ONSET_INTENSITY = (0.0, 0.8, 0.9, 1.0)  # of a sequence's onset and of its last three frames


@dataclass(frozen=True, slots=True, eq=False)
class ClipPlan:
    """Which picture of the bank each of the 16 frames shows, ``pictures`` (n t); and the targets at the newest."""

    pictures: np.ndarray
    category: Tensor  # (n k)
    valence: Tensor  # (n,)
    arousal: Tensor  # (n,)


def plan_stills(stills: Sequence[Still], length: int) -> ClipPlan:
    """Every still held for the whole clip."""
    pictures = np.repeat(np.arange(len(stills))[:, None], length, 1)
    category = torch.from_numpy(np.stack([still.distribution for still in stills]))
    affect = torch.tensor([(still.valence, still.arousal) for still in stills])
    return ClipPlan(pictures, category, affect[:, 0], affect[:, 1])


def plan_sequences(
    sequences: Sequence[LabelledSequence],
    first: int,
    length: int,
    versions: int,
    rng: np.random.Generator,
    labels: Sequence[str] = EMOTIONS,
) -> ClipPlan:
    """``versions`` random re-timings of each sequence, whose pictures lie in the bank from place ``first`` on.

    The class of a sequence is an index into ``labels``, which hold Neutral.
    """
    pictures, category, affect = [], [], []
    for sequence in sequences:
        frames = len(sequence.images)
        if sequence.label is not None:
            known = intensities(frames)
            for _ in range(versions):
                course = retime(frames, length, rng)
                intensity = known[int(course[-1])]
                pictures.append(first + course)
                category.append(onset_target(sequence.label, intensity, labels))
                affect.append(circumplex({labels[sequence.label]: 1.0}, intensity))
        first += frames
    values = torch.tensor(affect, dtype=torch.float32)
    return ClipPlan(np.stack(pictures), torch.from_numpy(np.stack(category)), values[:, 0], values[:, 1])


def intensities(frames: int) -> tuple[float, ...]:
    """How far each of one to four frames, the onset and the last ones of a sequence, is on the way to the apex."""
    onset, *last = ONSET_INTENSITY
    return (onset, *last[len(last) - frames + 1 :])


def retime(frames: int, length: int, rng: np.random.Generator) -> np.ndarray:
    """Frame indices (length,) of a window of onset -> apex -> onset at a random speed and place."""
    rise, hold = int(rng.integers(2, length)), int(rng.integers(2, length + 1))
    climb = np.linspace(0, frames - 1, rise)
    course = np.concatenate([np.zeros(length), climb, np.full(hold, frames - 1), climb[::-1], np.zeros(length)])
    start = int(rng.integers(0, len(course) - length + 1))
    return np.rint(course[start : start + length]).astype(np.int64)


def join(plans: Sequence[ClipPlan]) -> ClipPlan:
    """Several plans as one."""
    return ClipPlan(
        np.concatenate([plan.pictures for plan in plans]),
        torch.cat([plan.category for plan in plans]),
        torch.cat([plan.valence for plan in plans]),
        torch.cat([plan.arousal for plan in plans]),
    )


def draw_clips(bank: FeatureBank, pictures: np.ndarray, rng: np.random.Generator) -> FrameFeatures:
    """Picture indices (n t) -> average and maximum (n t c) of a walk over their views, landmark features (n t 205)."""
    count, length = pictures.shape
    fresh = rng.integers(0, bank.average.shape[1], (count, length))
    views = fresh.copy()
    held = rng.random((count, length)) < HELD_CHANCE
    for t in range(1, length):
        views[:, t] = np.where(held[:, t], views[:, t - 1], fresh[:, t])
    where, which = torch.from_numpy(pictures), torch.from_numpy(views)
    landmarks = bank.landmarks[where]
    landmarks = landmarks + 0.01 * torch.from_numpy(rng.standard_normal(landmarks.shape, np.float32))
    average, maximum = bank.average[where, which].float(), bank.maximum[where, which].float()
    return FrameFeatures(average, maximum, landmarks)
