"""A face that is followed is read as MediaPipe reads it."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from stemo.assets import locate
from stemo.capture import open_source
from stemo.errors import WeightsError
from stemo.faces.describing import Describer
from stemo.faces.following import SIDE, Follower, placed, region
from stemo.faces.geometry import LEFT_EYE, RIGHT_EYE
from stemo.faces.head_pose import HeadPose
from stemo.faces.landmarks import LANDMARKS, Landmarker
from stemo.records import Array, Face, Image


@pytest.fixture(scope="module")
def follower() -> Follower:
    return Follower(locate("face_landmarker"))


@pytest.fixture(scope="module")
def describer() -> Describer:
    return Describer(locate("face_landmarker"))


@pytest.fixture(scope="module")
def picture(photo: Image) -> Image:
    return np.ascontiguousarray(photo[40:440, 700:1280])


@pytest.fixture(scope="module")
def face(picture: Image) -> Face:
    with Landmarker(locate("face_landmarker")) as landmarker:
        (found,) = landmarker.read(picture)
    return found


def size(face: Face) -> float:
    return face.box[2] - face.box[0]


@pytest.mark.slow
def test_it_reads_as_mediapipe_does(follower: Follower, describer: Describer, picture: Image, face: Face) -> None:
    followed = follower.follow(picture, replace(face, score=0.7))
    assert followed is not None
    again = describer.describe(picture, followed)
    assert again.score == 0.7
    assert again.landmarks is not None
    assert again.blendshapes is not None
    assert face.landmarks is not None
    assert face.blendshapes is not None
    assert again.landmarks.shape == (478, 3)
    # another cut of the picture than the detector's, so not the same to the pixel
    assert np.abs(again.landmarks - face.landmarks).mean() < 0.02 * size(face)
    assert np.abs(again.blendshapes - face.blendshapes).mean() < 0.03
    assert again.pose == pytest.approx(face.pose, abs=3)


def test_what_is_known_of_a_face_stays(describer: Describer, picture: Image, face: Face) -> None:
    assert describer.describe(picture, face) is face
    box_only = Face(face.box, 0.9)
    assert describer.describe(picture, box_only) is box_only


def test_a_face_that_moves_and_turns_is_kept(
    follower: Follower, describer: Describer, picture: Image, face: Face
) -> None:
    middle = ((face.box[0] + face.box[2]) / 2, (face.box[1] + face.box[3]) / 2)
    now, turn = follower.follow(picture, face), np.eye(2, 3)
    for step in range(1, 7):
        turn = cv2.getRotationMatrix2D(middle, -5.0 * step, 1.0)
        turn[:, 2] += [4.0 * step, 2.0 * step]
        moved = np.asarray(cv2.warpAffine(picture, turn, picture.shape[1::-1]), np.uint8)
        assert now is not None
        now = follower.follow(moved, now)
    assert now is not None
    assert now.landmarks is not None
    assert face.landmarks is not None
    now = describer.describe(picture, now)
    assert now.landmarks is not None
    assert now.pose is not None
    assert face.pose is not None
    assert now.pose[2] - face.pose[2] == pytest.approx(30, abs=4)
    expected = face.landmarks[:, :2] @ turn[:, :2].T + turn[:, 2]
    assert np.abs(now.landmarks[:, :2] - expected).mean() < 0.03 * size(face)


@pytest.mark.parametrize("gray", [0, 128, 255])
def test_where_there_is_none_it_says_so(follower: Follower, picture: Image, face: Face, gray: int) -> None:
    assert follower.follow(np.full_like(picture, gray), face) is None


class Says:
    """A mesh network that gives the same ``points`` and ``presence``, a logit, whatever it is shown."""

    def __init__(self, points: Array, presence: float) -> None:
        self._said = [points.reshape(1, 1, 1, -1), np.full((1, 1, 1, 1), presence, np.float32)]

    def __call__(self, values: Array) -> list[Array]:
        assert values.shape == (1, SIDE, SIDE, 3)
        return self._said


@pytest.mark.parametrize(
    ("presence", "there"),
    [(np.nan, False), (-np.inf, False), (-1e4, False), (-0.01, False), (0.01, True), (1e4, True), (np.inf, True)],
)
def test_only_a_likely_face_is_one(
    follower: Follower, picture: Image, face: Face, presence: float, there: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = np.random.default_rng(0).uniform(0, SIDE, (LANDMARKS, 3)).astype(np.float32)
    monkeypatch.setattr(follower, "_mesh", Says(points, presence))
    assert (follower.follow(picture, face) is not None) == there


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_mesh_that_is_not_finite_is_no_face(
    follower: Follower, picture: Image, face: Face, value: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = np.random.default_rng(0).uniform(0, SIDE, (LANDMARKS, 3)).astype(np.float32)
    points[7, 1] = value
    monkeypatch.setattr(follower, "_mesh", Says(points, 20.0))
    assert follower.follow(picture, face) is None


@pytest.mark.parametrize("shift", [(-5000.0, 0.0), (0.0, 9000.0)])
def test_a_place_outside_of_the_picture_has_no_face(
    follower: Follower, picture: Image, face: Face, shift: tuple[float, float]
) -> None:
    assert face.landmarks is not None
    away = replace(face, landmarks=face.landmarks + np.array([*shift, 0.0], np.float32))
    assert follower.follow(picture, away) is None


def test_a_landmark_at_infinity_ends_it_quietly(follower: Follower, picture: Image, face: Face) -> None:
    assert face.landmarks is not None
    flat = replace(face, landmarks=np.zeros_like(face.landmarks))
    assert follower.follow(picture, flat) is None


def test_the_place_is_upright_square_and_has_room() -> None:
    points = np.random.default_rng(0).uniform(100, 200, (LANDMARKS, 3)).astype(np.float32)
    points[RIGHT_EYE[0]], points[LEFT_EYE[1]] = (120, 130, 0), (180, 190, 0)  # a roll of 45 degrees
    place = region(points)
    eyes = np.linalg.solve(place[:, :2], (points[[RIGHT_EYE[0], LEFT_EYE[1]], :2] - place[:, 2]).T).T
    assert eyes[0, 1] == pytest.approx(eyes[1, 1])
    assert np.hypot(place[0, 0], place[1, 0]) == pytest.approx(150 / SIDE, rel=0.01)
    middle = np.array([[SIDE / 2, SIDE / 2, 4.0]], np.float32)
    np.testing.assert_allclose(placed(middle, place)[0], [150, 150, 4 * 150 / SIDE], rtol=0.01)


@pytest.mark.slow
def test_on_a_real_clip_both_agree(shared: Path, follower: Follower, describer: Describer) -> None:
    with open_source(shared / "videos" / "expressive_a.mp4") as source:
        frames = [frame.image for frame, _ in zip(source, range(60), strict=False)]
    with Landmarker(locate("face_landmarker")) as landmarker:
        read = [landmarker.read(image)[0] for image in frames]
    apart: list[float] = []
    turned: list[Array] = []
    now: Face | None = read[0]
    for image, expected in zip(frames[1:], read[1:], strict=True):
        assert now is not None
        now = follower.follow(image, now)
        assert now is not None
        assert now.landmarks is not None
        assert expected.landmarks is not None
        apart.append(float(np.abs(now.landmarks[:, :2] - expected.landmarks[:, :2]).mean()) / size(expected))
        pose = describer.describe(image, now).pose
        turned.append(np.abs(np.array(pose) - np.array(expected.pose)))
    assert np.mean(apart) < 0.02
    assert np.mean(turned) < 2


@pytest.mark.parametrize(
    ("opened", "network"),
    [(Follower, "face_landmarks_detector.tflite"), (Describer, "face_blendshapes.tflite"), (Describer, "nothing")],
)
def test_a_file_without_the_networks_is_refused(tmp_path: Path, opened: Callable[[Path], object], network: str) -> None:
    wrong = tmp_path / "face_landmarker.task"
    with zipfile.ZipFile(wrong, "w") as parts:
        parts.writestr(network, b"no network")
    with pytest.raises(WeightsError, match="cannot be loaded"):
        opened(wrong)


@pytest.mark.parametrize("metadata", [b"", b"\x0a\x03abc", b"\xff" * 40])
def test_a_head_that_is_none_is_refused(metadata: bytes) -> None:
    with pytest.raises((ValueError, IndexError, KeyError)):
        HeadPose(metadata)
