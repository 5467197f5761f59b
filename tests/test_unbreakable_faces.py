"""Faces as they come: in profile, broken, six at a time."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from fakes import ArraySource, FixedAnalyzer, FixedReader, stamp
from jsonschema import Draft202012Validator

from stemo.faces.alignment import align, crop_matrix
from stemo.faces.finding import FaceFinder
from stemo.faces.geometry import LEFT_EYE, RIGHT_EYE, landmark_features
from stemo.faces.landmarks import BLENDSHAPES, LANDMARKS, mesh_faces
from stemo.faces.native import Mesh
from stemo.faces.tracking import Tracker
from stemo.insight.smoothing import MovingAverage
from stemo.network.checkpoint import WeightFacts
from stemo.network.model import Network
from stemo.network.preprocessing import Preprocessing
from stemo.network.streaming import StreamReader
from stemo.output.data import schema
from stemo.output.hud import Hud
from stemo.output.sinks import RowSink
from stemo.pipeline import Pipeline, deliver
from stemo.recognizer import FaceReader, observe
from stemo.records import Affect, Array, Face, Frame, FrameResult, Image, Reading

BLEND = np.linspace(0, 1, BLENDSHAPES, dtype=np.float32)
BOX = (20.0, 20.0, 200.0, 200.0)
OWN = ("bored", "Größe", "a rather long category of one's own")


def head(yaw: float) -> Array:
    """A mesh (478 3) on a ball of 80 pixels around (160, 120), turned by ``yaw`` degrees; its eyes lie level."""
    points = np.random.default_rng(0).normal(size=(LANDMARKS, 3))
    points[:, 2] = -abs(points[:, 2])  # the front of the head
    points[list(RIGHT_EYE)], points[list(LEFT_EYE)] = [(-5, -3, -8), (-2, -3, -9)], [(2, -3, -9), (5, -3, -8)]
    points[[1, 61, 291]] = [(0, 1, -10), (-3, 5, -8), (3, 5, -8)]
    points *= 80 / np.linalg.norm(points, axis=1, keepdims=True)
    angle = math.radians(yaw)
    turn = np.array([[math.cos(angle), 0, math.sin(angle)], [0, 1, 0], [-math.sin(angle), 0, math.cos(angle)]])
    return (points @ turn.T + [160, 120, 0]).astype(np.float32)


# --- profile ---


@pytest.mark.parametrize("yaw", [-90.0, -70.0, 45.0, 90.0])
def test_a_profile_is_framed_like_a_front(yaw: float) -> None:
    size = np.linalg.norm(crop_matrix(head(0.0), BOX)[:, 0])
    turned = np.linalg.norm(crop_matrix(head(yaw), BOX)[:, 0])
    assert 0.5 < turned / size < 2.0
    assert align(np.zeros((240, 320, 3), np.uint8), head(yaw), BOX).shape == (224, 224, 3)
    features = landmark_features(head(yaw), BLEND, (yaw, 0.0, 0.0))
    assert np.isfinite(features).all()
    assert np.abs(features[:150]).max() < 5


class Script:
    """A reader and detector that always gives the same faces."""

    def __init__(self, *faces: Face) -> None:
        self.faces = list(faces)

    def read(self, image: Image) -> list[Face]:  # noqa: ARG002
        return self.faces

    def follow(self, image: Image, face: Face) -> Face | None:  # noqa: ARG002
        return None

    def detect(self, image: Image) -> list[Face]:  # noqa: ARG002
        return self.faces


def test_a_profile_that_has_no_landmarks_is_read_by_its_box(reader: FaceReader) -> None:
    frame = Frame(0, 0.0, np.full((240, 320, 3), 90, np.uint8))
    (face,) = FaceFinder(Script(), Script(), Script(), Script(), Script(Face(BOX, 0.9))).find(frame)
    assert face.landmarks is None
    crop = align(frame.image, face.landmarks, face.box)
    ((affect,),) = reader.read_all([([Face(face.box, face.score, 1, crop=crop)], 0.0)])
    assert sum(affect.probabilities) == pytest.approx(1, abs=1e-5)


# --- broken landmarks ---


def seen(points: Array, scores: Array = BLEND, pose: np.ndarray | None = None) -> Mesh:
    """What MediaPipe says in a picture of 320 x 240 of a face with these landmarks in pixels."""
    unit = np.array([320, 240, 320], np.float32)
    return Mesh(points / unit, scores, np.eye(4) if pose is None else pose)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_nan_landmarks_are_no_face_and_spoil_no_other(value: float) -> None:
    broken = head(0.0)
    broken[7, 1] = value
    (face,) = mesh_faces([seen(broken), seen(head(10.0))], 320, 240)
    np.testing.assert_allclose(np.asarray(face.landmarks), head(10.0), atol=1e-3)
    assert face.blendshapes is not None
    assert face.pose == pytest.approx((0, 0, 0))


@pytest.mark.parametrize("pose", [np.full((4, 4), math.nan), np.zeros((4, 4))])
def test_a_broken_pose_or_blendshape_leaves_the_face(pose: np.ndarray) -> None:
    (face,) = mesh_faces([seen(head(0.0), np.full(BLENDSHAPES, np.nan, np.float32), pose)], 320, 240)
    assert face.blendshapes is None
    assert face.pose is None or np.isfinite(face.pose).all()
    assert np.isfinite(face.box).all()


@pytest.fixture(scope="module")
def reader() -> FaceReader:
    stream = StreamReader(Network(size="tiny").eval(), Preprocessing(), torch.device("cpu"), "torch")
    return FaceReader(stream, WeightFacts(size="tiny"))


@pytest.mark.parametrize("part", ["landmarks", "blendshapes", "pose"])
def test_nan_in_what_is_known_of_a_face_counts_as_not_known(reader: FaceReader, part: str) -> None:
    known = {"landmarks": head(0.0), "blendshapes": BLEND.copy(), "pose": np.zeros(3)}
    known[part][0] = np.nan
    crop = np.full((224, 224, 3), 90, np.uint8)
    pose = (float(known["pose"][0]), 0.0, 0.0)
    face = Face(BOX, 0.9, 1, known["landmarks"], known["blendshapes"], pose, crop)
    assert observe(face).landmarks is None
    ((affect,),) = reader.read_all([([face], 0.0)])
    assert np.isfinite([*affect.probabilities, affect.valence, affect.arousal]).all()


# --- many ---


def test_six_faces_have_six_readings_and_six_ids(tmp_path: Path) -> None:
    source = ArraySource([stamp(index, 320, 180) for index in range(8)])
    rows = RowSink(tmp_path / "out", ["json"])
    deliver(Pipeline(FixedAnalyzer(6), FixedReader(), MovingAverage(5)).results(source), [rows])
    found = json.loads((tmp_path / "out_results.json").read_text())
    Draft202012Validator(schema()).validate(found)
    assert [(row["frame"], row["face_id"]) for row in found] == [(n, face) for n in range(8) for face in range(1, 7)]
    assert rows.counts == {"frames": 8, "rows": 48, "faces": 48, "tracks": 6}


def test_six_faces_keep_their_ids_in_any_order_and_while_one_is_away() -> None:
    people = [
        np.random.default_rng(seed).integers(0, 255, (8, 8, 3), np.uint8).repeat(28, 0).repeat(28, 1)
        for seed in range(6)
    ]
    order, tracker = np.random.default_rng(9), Tracker()
    names: dict[int, int] = {}
    for step in range(40):
        # all walk to the right; the third is away for 0.6 s, which is less than the second that ids last
        faces = [
            Face((120.0 * who + 3 * step, 50.0, 120.0 * who + 3 * step + 80, 130.0), 0.9, crop=people[who])
            for who in order.permutation(6)
            if who != 2 or not 10 <= step < 25
        ]
        tracked = tracker.update(faces, step / 25)
        if step == 0:
            names = {face.track_id: who for face in tracked for who in range(6) if face.crop is people[who]}
            assert sorted(names) == [1, 2, 3, 4, 5, 6]
        assert all(face.crop is people[names[face.track_id]] for face in tracked)
        assert len(tracked) == len(faces)


def test_six_faces_of_anybodys_categories_can_be_drawn() -> None:
    affect = Affect((0.2, 0.5, 0.3), -0.5, 0.5, OWN)
    image = np.full((180, 320, 3), 90, np.uint8)
    for count in (1, 2, 6):
        readings = tuple(
            Reading(0, 0.0, Face((50.0 * place, 20.0, 50.0 * place + 40, 70.0), 0.9, place + 1), affect, affect)
            for place in range(count)
        )
        drawn = Hud().draw(FrameResult(Frame(0, 0.0, image), readings))
        assert drawn.shape == image.shape
        assert (drawn != image).any()
