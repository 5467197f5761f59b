"""Pictures read as photos: the right face is chosen, what is not found is wrong, and readings are the library's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from fake_networks import Brightness

from stemo import Recognizer
from stemo.faces.analyzer import FaceAnalyzer
from stemo.network.checkpoint import load_weights
from stemo.network.clips import NetworkClips
from stemo.network.preprocessing import Preprocessing
from stemo.records import EMOTIONS, Box, Face, Frame, Image
from stemo.training.datasets import Still
from stemo.training.end_to_end import compare, main_face, read_photos
from stemo.training.labels import one_hot
from stemo.training.metrics import UNREAD, score

CPU = torch.device("cpu")
GRAY = np.full((100, 100, 3), 90, np.uint8)


def lightness() -> NetworkClips:
    """Reads bright faces as Happy and dark ones as Sad."""
    return NetworkClips(Brightness(EMOTIONS.index("Happy"), dark=EMOTIONS.index("Sad")), Preprocessing(), CPU)


class Finder:
    """Finds what ``faces`` says of a picture, and inverts it as the crop."""

    def __init__(self, boxes: Callable[[Image], list[Box]]) -> None:
        self._boxes = boxes

    def analyze(self, frame: Frame) -> list[Face]:
        crop = np.full((224, 224, 3), 255 - int(frame.image[0, 0, 0]), np.uint8)
        return [Face(box, 0.9, crop=crop) for box in self._boxes(frame.image)]


def still(value: int) -> Still:
    image = np.full((60, 50, 3), value, np.uint8)
    return Still(f"{value}", image, one_hot(0), 0.0, 0.0, 0, "", "somebody")


def test_the_crop_of_the_face_is_read_and_not_the_picture() -> None:
    finder = Finder(lambda image: [] if image[0, 0, 0] == 128 else [(0, 0, 50, 60)])
    values = [10, 128, 250] * 30  # more than a batch
    classes = read_photos(lightness(), [still(value) for value in values], finder)
    expected = {10: EMOTIONS.index("Happy"), 128: UNREAD, 250: EMOTIONS.index("Sad")}
    assert classes.tolist() == [expected[value] for value in values]


def test_no_face_at_all() -> None:
    classes = read_photos(lightness(), [still(10)], Finder(lambda _: []))
    assert classes.tolist() == [UNREAD]
    figures = compare([3], classes, [3])
    assert (figures["n"], figures["found"], figures["accuracy"]) == (1, 0, 0.0)
    assert figures["found_only"]["accuracy"] is None
    assert figures["crops_found_only"]["n"] == 0


@pytest.mark.parametrize(
    ("boxes", "chosen"),
    [
        ([(0, 0, 20, 20), (30, 30, 90, 90)], 1),  # the larger
        ([(0, 0, 40, 40), (32, 32, 68, 68)], 1),  # the one in the middle, a little smaller
        ([(0, 0, 60, 60), (48, 48, 52, 52)], 0),  # but not a speck there
    ],
)
def test_the_main_face_is_large_and_near_the_centre(boxes: list[Box], chosen: int) -> None:
    faces = [Face(box, 0.9) for box in boxes]
    assert main_face(faces, GRAY) is faces[chosen]
    assert main_face(faces[::-1], GRAY) is faces[chosen]
    assert main_face([], GRAY) is None


def test_what_is_not_found_is_wrong() -> None:
    figures = compare([0, 0, 0, 1, 1], [0, 0, UNREAD, 0, UNREAD], [0, 1, 0, 1, 1], ("calm", "bored"))
    assert (figures["n"], figures["found"]) == (5, 3)
    assert figures["accuracy"] == pytest.approx(2 / 5)
    assert figures["per_class_recall"] == {"calm": pytest.approx(2 / 3), "bored": 0.0}
    assert figures["macro_recall"] == pytest.approx(1 / 3)
    assert figures["support"] == {"calm": 3, "bored": 2}
    assert figures["confusion"] == [[2, 0], [1, 0]]
    assert figures["found_only"]["accuracy"] == pytest.approx(2 / 3)
    assert figures["found_only"]["support"] == {"calm": 2, "bored": 1}
    assert figures["crops_found_only"]["per_class_recall"] == {"calm": 0.5, "bored": 1.0}


def test_a_score_without_unread_faces_is_as_before() -> None:
    result = score([0, 1, 1], [0, 1, 0], ("calm", "bored"))
    assert result.confusion.tolist() == [[1, 0], [1, 1]]
    assert (result.n, result.support.tolist(), result.accuracy) == (3, [1, 2], pytest.approx(2 / 3))


@pytest.mark.slow
def test_photos_are_read_as_the_library_reads_them(photo: Image, fresh_weights: Path) -> None:
    pictures = [np.ascontiguousarray(photo[40:440, 700:1280]), GRAY, photo]
    network, facts = load_weights(fresh_weights)
    recognizer = Recognizer(weights=fresh_weights, device="cpu", backend="torch")
    with FaceAnalyzer(video=False) as analyzer:
        for image in [*pictures, *pictures[::-1]]:
            read = recognizer.image(image)
            found = analyzer.analyze(Frame(0, 0.0, image))
            assert [face.track_id for face in found] == [reading.face.track_id for reading in read if reading.face]
            for one, reading in zip(found, read, strict=True):
                assert reading.face is not None
                assert (one.landmarks is None) == (reading.face.landmarks is None)
                np.testing.assert_allclose(one.box, reading.face.box, atol=0.01)
        single = Still("a", pictures[0], one_hot(0), 0.0, 0.0, 0, "", "a")
        (read,) = recognizer.image(pictures[0])
        assert read.raw is not None
        classes = read_photos(NetworkClips(network, facts.preprocessing, CPU), [single], analyzer)
    assert [EMOTIONS[place] for place in classes] == [read.raw.emotion]
