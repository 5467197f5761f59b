"""Sequences of any length become clips and stills whose targets say how far the expression has come."""

from __future__ import annotations

from pathlib import Path

import made_data
import numpy as np
import pytest

from stemo.records import EMOTIONS
from stemo.training.archives import open_archive
from stemo.training.clips import ONSET_INTENSITY, intensities, plan_sequences
from stemo.training.datasets import LabelledSequence
from stemo.training.layouts import load_any
from stemo.training.layouts.sequences import read_sequences, sequence_stills

HAPPY, NEUTRAL = EMOTIONS.index("Happy"), EMOTIONS.index("Neutral")


def sequence_of(frames: int) -> LabelledSequence:
    images = tuple(np.full((8, 8, 3), place, np.uint8) for place in range(frames))
    return LabelledSequence("s", images, HAPPY, "p")


def written(root: Path, frames: int) -> Path:
    """One sequence whose frame tells its place by its brightness."""
    names = [f"S1/{place:02d}.png" for place in range(frames)]
    for place, name in enumerate(names):
        made_data.picture(root / name, seed=place)
    made_data.lines(root / "labels.csv", ["sequence,subject,emotion,frames", f"S1_1,S1,happy,{' '.join(names)}"])
    return root


@pytest.mark.parametrize(
    ("frames", "expected"), [(2, (0.0, 1.0)), (3, (0.0, 0.9, 1.0)), (4, ONSET_INTENSITY), (1, (0.0,))]
)
def test_intensity_rises_to_the_last_frame(frames: int, expected: tuple[float, ...]) -> None:
    assert intensities(frames) == expected


@pytest.mark.parametrize("frames", [2, 3, 4])
def test_targets_of_a_clip_are_those_of_its_newest_frame(frames: int) -> None:
    plan = plan_sequences([sequence_of(frames)], 0, 16, 300, np.random.default_rng(1))
    newest = plan.pictures[:, -1]
    assert set(newest.tolist()) == set(range(frames))
    for place, category, valence in zip(newest, plan.category, plan.valence, strict=True):
        share = intensities(frames)[int(place)]
        assert valence.item() == pytest.approx(0.81 * share, abs=1e-3)
        assert category[HAPPY].item() == pytest.approx(0.95 * share + 0.05 / 7, abs=1e-3)


@pytest.mark.parametrize(
    ("frames", "kept"), [(2, [0, 1]), (3, [0, 1, 2]), (4, [0, 1, 2, 3]), (12, [0, 9, 10, 11]), (18, [0, 15, 16, 17])]
)
def test_of_a_longer_sequence_onset_and_the_last_three_frames_are_read(
    tmp_path: Path, frames: int, kept: list[int]
) -> None:
    root = written(tmp_path / "set", frames)
    (sequence,) = read_sequences(open_archive(root))
    assert len(sequence.images) == len(kept)
    for image, place in zip(sequence.images, kept, strict=True):
        assert np.array_equal(image, made_data.face("Happy", place)[..., ::-1])
    scored = [None if still.label is None else EMOTIONS[still.label] for still in load_any(root)]
    assert scored == ["Neutral", *[None] * (len(kept) - 2), "Happy"]


@pytest.mark.parametrize(
    ("frames", "intensity"), [(2, [1.0]), (3, [0.8, 1.0]), (12, [0.6 + 0.4 / 3, 0.6 + 0.8 / 3, 1])]
)
def test_stills_are_the_class_only_near_the_apex(tmp_path: Path, frames: int, intensity: list[float]) -> None:
    first, *others = sequence_stills(read_sequences(open_archive(written(tmp_path / "set", frames))))
    assert int(first.distribution.argmax()) == NEUTRAL
    assert [int(still.distribution.argmax()) for still in others] == [HAPPY] * len(intensity)
    assert [still.valence for still in others] == pytest.approx([0.81 * share for share in intensity], abs=1e-3)
