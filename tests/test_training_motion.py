"""How a reading moves from onset to apex, scored on networks whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from fake_networks import Brightness

from stemo.network.clips import NetworkClips
from stemo.network.model import FaceNetwork
from stemo.network.preprocessing import Preprocessing
from stemo.records import EMOTIONS
from stemo.training.datasets import LabelledSequence
from stemo.training.motion import course, read_movement

HAPPY, SAD = EMOTIONS.index("Happy"), EMOTIONS.index("Sad")


def rising(label: int, count: int = 3) -> list[LabelledSequence]:
    images = tuple(np.full((48, 48, 3), value, np.uint8) for value in (20, 120, 180, 235))
    return [LabelledSequence(str(index), images, label, str(index)) for index in range(count)]


def scores(network: FaceNetwork, label: int) -> dict[str, float]:
    sequences = rising(label)
    landmarks = [np.zeros((4, 205), np.float32)] * len(sequences)
    reader = NetworkClips(network, Preprocessing(), torch.device("cpu"))
    return read_movement(reader, sequences, landmarks).scores()


def test_a_network_that_follows_scores_everything() -> None:
    found = scores(Brightness(HAPPY, 1.0), HAPPY)
    assert found.pop("n") == 3
    assert found == dict.fromkeys(found, 1.0)


def test_valence_has_the_sign_of_the_class() -> None:
    assert scores(Brightness(SAD, 1.0), SAD)["valence_direction"] == 0.0
    assert scores(Brightness(SAD, -1.0), SAD)["valence_direction"] == 1.0


def test_a_network_that_reads_another_class_fails_at_the_apex() -> None:
    found = scores(Brightness(SAD, 1.0), HAPPY)
    assert (found["apex_accuracy"], found["neutral_to_class"], found["onset_neutral"]) == (0.0, 0.0, 1.0)


@pytest.mark.parametrize(("frames", "length"), [(4, 16), (2, 16), (30, 16), (4, 1)])
def test_the_course_ends_at_the_apex_and_never_goes_back(frames: int, length: int) -> None:
    places = course(frames, length)
    assert places.shape == (length,)
    assert places[-1] == frames - 1
    assert (np.diff(places) >= 0).all()
    assert length == 1 or places[0] == 0
