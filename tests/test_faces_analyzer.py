"""The real landmarker on a real photograph and, where they are, on real clips."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from stemo.assets import ASSETS, locate
from stemo.errors import ConfigError, MissingError, WeightsError
from stemo.faces import FaceAnalyzer
from stemo.faces.boxes import BoxFinder
from stemo.faces.finding import FaceFinder
from stemo.faces.geometry import landmark_features
from stemo.faces.landmarks import Landmarker, pose_angles
from stemo.faces.stills import read_still, still_landmarker
from stemo.records import Face, Frame, Image

pytestmark = pytest.mark.slow


def _frames(path: Path, step: int = 1) -> Iterator[Frame]:
    with av.open(str(path)) as container:
        for index, frame in enumerate(container.decode(video=0)):
            if index % step == 0:
                image = np.ascontiguousarray(frame.to_ndarray(format="rgb24"), np.uint8)
                yield Frame(index, float(frame.time or 0.0), image)


def test_finds_both_people_whom_the_whole_picture_does_not_show(photo: Image) -> None:
    with Landmarker(locate("face_landmarker"), max_faces=4) as landmarker:
        assert landmarker.read(photo) == []
    with FaceAnalyzer() as analyzer:
        faces = analyzer.analyze(Frame(0, 0.0, photo))
        again = analyzer.analyze(Frame(1, 0.04, photo))
    assert len(faces) == len(again) == 2
    assert [face.track_id for face in again] == [1, 2]
    coach = max(faces, key=lambda face: face.box[0])
    assert coach.landmarks is not None
    assert 900 < coach.box[0] < coach.box[2] < 1070
    for face in faces:
        assert face.crop is not None
        assert face.crop.shape == (224, 224, 3)
        assert 0.6 <= face.score <= 1


def test_pictures_that_have_nothing_to_do_with_each_other(photo: Image) -> None:
    pictures = [photo, np.full((300, 400, 3), 90, np.uint8), np.ascontiguousarray(photo[40:440, 700:1280])]
    with FaceAnalyzer(video=False) as analyzer:
        for image in [*pictures, *pictures]:
            with FaceAnalyzer() as fresh:
                expected = fresh.analyze(Frame(0, 0.0, image))
            found = analyzer.analyze(Frame(0, 0.0, image))
            assert len(found) == len(expected)
            for one, other in zip(found, expected, strict=True):
                assert (one.track_id, one.landmarks is None) == (other.track_id, other.landmarks is None)
                np.testing.assert_allclose(one.box, other.box, atol=0.01)
                np.testing.assert_allclose(np.asarray(one.crop, int), np.asarray(other.crop, int), atol=1)


@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_blank_frame_ends_nobodys_id(photo: Image, level: int) -> None:
    part = np.ascontiguousarray(photo[40:440, 700:1280])
    images = [part, part, np.full_like(part, level), part, np.full_like(part, level), part]
    with FaceAnalyzer() as analyzer:
        seen = [analyzer.analyze(Frame(index, index / 25, image)) for index, image in enumerate(images)]
    assert [[face.track_id for face in faces] for faces in seen] == [[1], [1], [], [1], [], [1]]


def test_who_is_covered_for_less_than_a_second_is_found_again(photo: Image) -> None:
    covered = photo.copy()
    covered[60:340, 840:1130] = 90
    away = range(20, 35)  # 0.6 s, in which one survey ends that saw nobody there
    with FaceAnalyzer() as analyzer:
        seen = [
            [face.track_id for face in analyzer.find(Frame(index, index / 25, covered if index in away else photo))]
            for index in range(50)
        ]
    assert seen[:20] == [[1, 2]] * 20
    assert {tuple(ids) for ids in seen[20:35]} <= {(1,), (2,)}
    assert seen[38:] == [[1, 2]] * 12


def test_in_a_time_lapse_a_face_keeps_its_id(photo: Image) -> None:
    part = np.ascontiguousarray(photo[40:440, 700:1280])
    with FaceAnalyzer() as analyzer:
        seen = [analyzer.analyze(Frame(index, index * 2.0, np.roll(part, 9 * index, 1))) for index in range(6)]
    assert [[face.track_id for face in faces] for faces in seen] == [[1]] * 6


class WithoutLandmarks:
    """A finder whose faces have landmarks in the first of ``every`` frames only, as a face at the edge of view has."""

    def __init__(self, finder: FaceFinder, every: int) -> None:
        self._finder, self._every, self._count = finder, every, 0

    def find(self, *given: Any, **named: Any) -> list[Face]:
        self._count += 1
        faces = self._finder.find(*given, **named)
        return [replace(face, landmarks=None) for face in faces] if self._count % self._every != 1 else faces


def test_a_tilted_face_keeps_its_id_while_only_its_box_is_found(photo: Image, monkeypatch: pytest.MonkeyPatch) -> None:
    turn = cv2.getRotationMatrix2D((985.0, 230.0), 40, 1.0)
    tilted = np.ascontiguousarray(cv2.warpAffine(photo, turn, (1280, 720))[:, 780:1200], np.uint8)
    with FaceAnalyzer(1) as analyzer:
        monkeypatch.setattr(analyzer, "_finder", WithoutLandmarks(analyzer._finder, 3))
        faces = [analyzer.find(Frame(index, index * 0.4, tilted)) for index in range(7)]
        monkeypatch.undo()
    assert [[face.track_id for face in seen] for seen in faces] == [[1]] * 7
    assert [seen[0].landmarks is not None for seen in faces] == [True, False, False] * 2 + [True]


def test_padded_rows_are_read_as_well_as_packed_ones(photo: Image) -> None:
    part = np.ascontiguousarray(photo[40:440, 700:1296])
    padded = np.zeros((400, 640, 3), np.uint8)[:, : part.shape[1]]
    padded[:] = part
    assert not padded.flags.c_contiguous
    with Landmarker(locate("face_landmarker")) as landmarker:
        (one,), (other,) = landmarker.read(part), landmarker.read(padded)
    np.testing.assert_allclose(np.asarray(one.landmarks), np.asarray(other.landmarks), atol=1e-3)


def test_reading_is_complete_and_features_follow(photo: Image) -> None:
    with Landmarker(locate("face_landmarker")) as landmarker:
        (face,) = landmarker.read(np.ascontiguousarray(photo[40:440, 700:1280]))
    assert face.landmarks is not None
    assert face.blendshapes is not None
    assert face.pose is not None
    assert face.landmarks.shape == (478, 3)
    assert 0 <= face.blendshapes.min() <= face.blendshapes.max() <= 1
    assert landmark_features(face.landmarks, face.blendshapes, face.pose).shape == (205,)


def test_pose_of_known_rotations() -> None:
    matrix = np.eye(4)
    assert pose_angles(matrix) == pytest.approx((0, 0, 0))
    angle = np.radians(20)
    matrix[:3, :3] = [[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]]
    assert pose_angles(matrix) == pytest.approx((20, 0, 0))
    matrix[:3, :3] = [[np.cos(angle), np.sin(angle), 0], [-np.sin(angle), np.cos(angle), 0], [0, 0, 1]]
    assert pose_angles(matrix) == pytest.approx((0, 0, 20))


def test_roll_and_yaw_have_the_signs_they_claim(photo: Image) -> None:
    part = np.ascontiguousarray(photo[40:440, 700:1280])
    turned = cv2.warpAffine(part, cv2.getRotationMatrix2D((290, 200), -15, 1.0), (580, 400))  # clockwise
    with Landmarker(locate("face_landmarker")) as landmarker:
        ((face,), (rolled,), (mirrored,)) = (
            landmarker.read(image)
            for image in (part, np.asarray(turned, np.uint8), np.ascontiguousarray(part[:, ::-1]))
        )
    assert face.pose is not None
    assert rolled.pose is not None
    assert mirrored.pose is not None
    assert rolled.pose[2] - face.pose[2] == pytest.approx(15, abs=4)
    assert mirrored.pose[0] == pytest.approx(-face.pose[0], abs=5)


def test_stills_are_read_in_their_own_pixels(photo: Image) -> None:
    small = np.asarray(cv2.resize(photo[110:290, 895:1075], (48, 48), interpolation=cv2.INTER_AREA), np.uint8)
    with still_landmarker(locate("face_landmarker")) as landmarker:
        face = read_still(landmarker, small)
        assert read_still(landmarker, np.zeros((48, 48, 3), np.uint8)) is None
    assert face is not None
    assert -6 < face.box[0] < 20 < 30 < face.box[2] < 54


def test_bad_settings_and_files_are_one_line(tmp_path: Path) -> None:
    bad = tmp_path / "face_landmarker.task"
    bad.write_bytes(b"not a model")
    with pytest.raises(ConfigError, match="--faces"):
        FaceAnalyzer(0)
    with pytest.raises(WeightsError, match="sha256"):
        FaceAnalyzer(landmarker=bad)
    for door in (Landmarker, BoxFinder):
        with pytest.raises(WeightsError, match="cannot be loaded") as caught:
            door(bad)
        assert "\n" not in str(caught.value)


def test_without_the_landmarker_yunet_finds_faces_alone(
    photo: Image, shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("STEMO_ASSETS", raising=False)
    nowhere = replace(ASSETS["face_landmarker"], package=None, url=(tmp_path / "gone").as_uri())
    monkeypatch.setitem(ASSETS, "face_landmarker", nowhere)
    with pytest.raises(MissingError, match="was not found"):
        FaceAnalyzer()
    yunet = shared / "models" / "face_detection_yunet_2023mar.onnx"
    with FaceAnalyzer(detector="yunet", face_weights=yunet) as analyzer:
        seen = [analyzer.analyze(Frame(index, index / 25, photo)) for index in range(5)]
    assert [[face.track_id for face in faces] for faces in seen] == [[1, 2]] * 5
    assert all(face.landmarks is None and face.crop is not None for faces in seen for face in faces)
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_nothing_reaches_stderr_even_without_closing() -> None:
    code = (
        "import numpy as np; from stemo.faces import FaceAnalyzer; from stemo.records import Frame;"
        "analyzer = FaceAnalyzer(2); analyzer.analyze(Frame(0, 0.0, np.zeros((300, 400, 3), np.uint8)))"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_face_leaves_and_nothing_is_made_up(shared: Path) -> None:
    with FaceAnalyzer() as analyzer:
        seen = [analyzer.analyze(frame) for frame in _frames(shared / "videos" / "face_noface.mov")]
    assert [len(faces) for faces in seen] == [1] * 72 + [0] * (len(seen) - 72)
    assert {face.track_id for faces in seen for face in faces} == {1}


def test_video_without_faces_has_none(shared: Path) -> None:
    with FaceAnalyzer() as analyzer:
        assert not any(analyzer.analyze(frame) for frame in _frames(shared / "videos" / "no_face.mp4", step=5))


def _spans(faces: list[list[Face]]) -> dict[int, list[int]]:
    spans: dict[int, list[int]] = {}
    for index, seen in enumerate(faces):
        for face in seen:
            spans.setdefault(face.track_id, []).append(index)
    return spans


def test_several_faces_have_stable_ids(shared: Path) -> None:
    yunet = shared / "models" / "face_detection_yunet_2023mar.onnx"
    with FaceAnalyzer(6, detector="yunet", face_weights=yunet) as analyzer:
        seen = [analyzer.analyze(frame) for frame in _frames(shared / "videos" / "several_faces.mp4")]
    spans = _spans(seen)
    # four scenes, from frames 0, 20, 82 and 211: nobody keeps an id over a cut
    for frames in spans.values():
        assert len({sum(index >= cut for cut in (20, 82, 211)) for index in frames}) == 1
    lasting = [frames for frames in spans.values() if frames[0] in (82, 211) and frames[-1] in (210, 274)]
    assert sorted(len(frames) for frames in lasting) == [64, 64, 64, 64, 129]
