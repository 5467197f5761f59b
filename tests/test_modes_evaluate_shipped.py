"""The shipped weights still read what the JSON beside them says that they read."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from stemo.assets import locate
from stemo.faces.stills import still_landmarker
from stemo.modes.evaluate import load, open_clips
from stemo.modes.scored import Scored
from stemo.network.checkpoint import SHIPPED
from stemo.network.model import LANDMARK_FEATURES, Prediction
from stemo.records import EMOTIONS
from stemo.training.datasets import Still
from stemo.training.evaluation import read_stills
from stemo.training.landmark_memory import LandmarkMemory

FACES = 300  # of the validation faces, always the same
ERRORS = 2.5  # standard errors of the accuracy on so many faces
CPU = torch.device("cpu")

pytestmark = pytest.mark.slow


@cache
def some_faces(data: Path) -> list[Still]:
    stills = [still for still in load(data, "PublicTest", EMOTIONS) if still.label is not None]
    chosen = np.random.default_rng(0).permutation(len(stills))[:FACES]
    return [stills[place] for place in chosen]


@pytest.mark.parametrize("name", ["stemo_base", "resnet_se"])
def test_the_shipped_weights_are_as_accurate_as_they_say(shared: Path, name: str) -> None:
    data = shared / "data" / "ferplus.zip"
    reader, facts = open_clips(SHIPPED.with_name(f"{name}.safetensors"), CPU, "auto")
    stills = some_faces(data)
    if facts.architecture == "stemo":
        with LandmarkMemory(still_landmarker(locate("face_landmarker"))) as memory:
            landmarks = memory.features(still.image for still in stills)
    else:  # it looks at none
        landmarks = np.full((len(stills), LANDMARK_FEATURES), np.nan, np.float32)
    prediction = read_stills(reader, stills, landmarks)
    found, _ = Scored(data, "PublicTest", False, reader, facts, stills, landmarks, prediction).figures((), ())
    said = facts.metrics["valid"]["accuracy"]
    assert found["rule"] == facts.metrics["valid"]["rule"]
    assert abs(found["accuracy"] - said) <= ERRORS * math.sqrt(said * (1 - said) / FACES)


def test_the_shipped_weights_follow_a_face_from_onset_to_apex(shared: Path) -> None:
    data = shared / "data" / "ckplus_sequences.zip"
    reader, facts = open_clips(SHIPPED, CPU, "auto")
    unread = Prediction(*(torch.zeros(0) for _ in Prediction._fields))
    scored = Scored(data, None, True, reader, facts, (), np.zeros((0, LANDMARK_FEATURES)), unread)
    with LandmarkMemory(still_landmarker(locate("face_landmarker"))) as memory:
        motion = scored.motion(memory)
    assert motion["n"] == facts.metrics["ckplus"]["motion"]["n"]
    for name in ("apex_accuracy", "neutral_to_class", "valence_direction", "arousal_up"):
        assert motion[name] >= 0.95, name
