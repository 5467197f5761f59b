"""The short-range detector: guesses become boxes as MediaPipe makes them of them."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from stemo.assets import locate
from stemo.capture import open_source
from stemo.chatter import quiet
from stemo.faces.boxes import BoxFinder, cell_centres, corners, merged
from stemo.records import Image

BLACK = np.zeros((90, 120, 3), np.uint8)


@pytest.fixture(scope="module")
def finder() -> BoxFinder:
    return BoxFinder(locate("face_landmarker"))


def test_guesses_start_from_the_cells_of_two_grids() -> None:
    centres = cell_centres()
    assert centres.shape == (896, 2)
    # two from each cell of the fine grid, row by row, then six from each of the coarse one
    assert centres[[0, 1, 2, 32]].tolist() == [[1 / 32, 1 / 32], [1 / 32, 1 / 32], [3 / 32, 1 / 32], [1 / 32, 3 / 32]]
    assert centres[[512, 517, 518, 895]].tolist() == [[1 / 16, 1 / 16]] * 2 + [[3 / 16, 1 / 16], [15 / 16, 15 / 16]]


def test_a_guess_is_a_middle_and_a_size_in_pixels_of_the_input() -> None:
    values = np.zeros((1, 16), np.float32)
    values[0, :4] = 12.8, -12.8, 25.6, 51.2
    (box,) = corners(values, np.array([[0.5, 0.5]]))
    np.testing.assert_allclose(box, [0.5, 0.2, 0.7, 0.6], atol=1e-7)


def test_guesses_at_one_face_are_averaged_by_their_scores_and_others_kept() -> None:
    boxes = np.array([[0.0, 0.0, 0.4, 0.4], [0.6, 0.6, 0.9, 0.9], [0.04, 0.0, 0.44, 0.4]])
    (far, far_score), (near, near_score) = merged(boxes, np.array([0.6, 0.9, 0.8]))
    assert (far_score, near_score) == (0.9, 0.8)
    np.testing.assert_allclose(far, boxes[1])
    weight = 0.04 * 0.8 / 1.4
    np.testing.assert_allclose(near, [weight, 0, 0.4 + weight, 0.4])
    assert list(merged(np.zeros((0, 4)), np.zeros(0))) == []


def test_nobody_is_found_where_nobody_is(finder: BoxFinder) -> None:
    assert finder.detect(BLACK) == []


def test_the_same_pictures_give_the_same_boxes_wherever_they_lie_in_memory(finder: BoxFinder, photo: Image) -> None:
    wide = np.zeros((420, 1400, 3), np.uint8)
    wide[:405, :720] = photo[:405, 560:1280]
    view = wide[:405, :720]
    assert not view.flags.c_contiguous
    (seen,), (expected,) = finder.detect(view), finder.detect(np.ascontiguousarray(view))
    assert (seen.box, seen.score) == (expected.box, expected.score)


def test_a_larger_picture_gives_larger_boxes(finder: BoxFinder, photo: Image) -> None:
    part = np.ascontiguousarray(photo[:405, 560:1280])
    small, large = finder.detect(part)[0], finder.detect(part.repeat(2, 0).repeat(2, 1))[0]
    assert large.score == pytest.approx(small.score, abs=0.05)
    np.testing.assert_allclose(large.box, np.multiply(small.box, 2), atol=12)


@pytest.mark.slow
@pytest.mark.parametrize("clip", ["single_face.mp4", "expressive_a.mp4", "several_faces.mp4", "no_face.mp4"])
def test_mediapipes_own_graph_sees_the_same(finder: BoxFinder, shared: Path, clip: str) -> None:
    import mediapipe as mp
    from mediapipe.tasks.python import BaseOptions, vision

    inner = zipfile.ZipFile(locate("face_landmarker")).read("face_detector.tflite")
    with quiet():
        native = vision.FaceDetector.create_from_options(
            vision.FaceDetectorOptions(base_options=BaseOptions(model_asset_buffer=inner), min_detection_confidence=0.5)
        )
    compared = 0
    with open_source(shared / "videos" / clip) as source:
        for frame in list(source)[::25]:
            with quiet():
                seen = native.detect(mp.Image(image_format=mp.ImageFormat.SRGB, data=frame.image)).detections
            expected = sorted(
                ((one.categories[0].score or 0.0, one.bounding_box) for one in seen), key=lambda one: -one[0]
            )
            found = finder.detect(frame.image)
            assert [face.score for face in found] == pytest.approx([score for score, _ in expected], abs=0.02)
            for face, (_, box) in zip(found, expected, strict=True):
                middle = (face.box[0] + face.box[2]) / 2
                # MediaPipe cuts to whole pixels
                assert middle == pytest.approx(box.origin_x + box.width / 2, abs=2.5)
                assert face.box[2] - face.box[0] == pytest.approx(0.9 * box.width, rel=0.03, abs=2)
                compared += 1
    native.close()
    assert (compared > 0) == (clip != "no_face.mp4")
