"""What the whole picture misses is found by a zoomed look or a survey, and surveys are rare."""

from __future__ import annotations

import numpy as np

from stemo.faces.detection import Tiled, tiles
from stemo.faces.finding import FaceFinder
from stemo.records import Face, Frame, Image

LANDMARKS = np.zeros((478, 3), np.float32)


class Script:
    """A reader and detector that gives the faces it was told to, and counts its calls."""

    def __init__(self, *faces: Face) -> None:
        self.faces, self.calls = list(faces), 0

    def read(self, image: Image) -> list[Face]:  # noqa: ARG002
        self.calls += 1
        return self.faces

    def follow(self, image: Image, face: Face) -> Face | None:
        """The one it was told that has the same score."""
        return next((seen for seen in self.read(image) if seen.score == face.score), None)

    def detect(self, image: Image) -> list[Face]:
        return self.read(image)


def _frame(time: float) -> Frame:
    return Frame(round(time * 25), time, np.zeros((400, 600, 3), np.uint8))


def _read(box: tuple[float, float, float, float]) -> Face:
    return Face(box=box, score=1.0, landmarks=LANDMARKS)


# a zoomed window is 384 pixels wide and twice the box, which so lies in its middle
MIDDLE = (96.0, 96.0, 288.0, 288.0)
SMALL = (100.0, 100.0, 140.0, 140.0)


def test_small_face_is_found_by_survey_and_read_in_a_window() -> None:
    survey = Script(Face(box=SMALL, score=0.7))
    finder = FaceFinder(Script(), Script(), Script(_read(MIDDLE)), Script(Face(box=MIDDLE, score=0.9)), survey)
    (face,) = finder.find(_frame(0.0))
    np.testing.assert_allclose(face.box, SMALL, atol=1.0)
    assert face.landmarks is not None
    assert face.score == 0.9


def test_known_face_is_looked_for_without_a_survey() -> None:
    survey = Script()
    finder = FaceFinder(Script(), Script(), Script(_read(MIDDLE)), Script(), survey)
    finder.find(_frame(0.0))
    (face,) = finder.find(_frame(0.04), [Face(box=SMALL, score=0.8)])
    assert face.score == 0.8
    assert survey.calls == 1


def test_box_without_landmarks_needs_a_good_score() -> None:
    for score, expected in ((0.85, 1), (0.7, 0)):
        finder = FaceFinder(Script(), Script(), Script(), Script(), Script(Face(box=SMALL, score=score)))
        faces = finder.find(_frame(0.0))
        assert len(faces) == expected
        assert all(face.landmarks is None for face in faces)


def test_new_face_that_the_detector_denies_is_dropped() -> None:
    finder = FaceFinder(Script(), Script(_read(SMALL)), Script(), Script(), Script())
    assert finder.find(_frame(0.0)) == []


def test_surveys_are_at_most_two_a_second_and_none_when_all_are_found() -> None:
    survey = Script()
    finder = FaceFinder(Script(), Script(), Script(), Script(), survey)
    for step in range(100):
        finder.find(_frame(step / 25))
    assert 2 <= survey.calls <= 9
    full = Script()
    finder = FaceFinder(
        Script(), Script(_read(SMALL)), Script(), Script(Face(box=MIDDLE, score=0.9)), full, max_faces=1
    )
    for step in range(100):
        finder.find(_frame(step / 25))
    assert full.calls == 0


def test_cut_surveys_at_once() -> None:
    survey = Script()
    finder = FaceFinder(Script(), Script(), Script(), Script(), survey)
    finder.find(_frame(0.0))
    finder.find(_frame(0.04), cut=True)
    assert survey.calls == 2


def test_never_more_than_asked_for_and_known_faces_first() -> None:
    big, known = Face(box=(200, 0, 400, 200), score=0.9, landmarks=LANDMARKS), _read(SMALL)
    whole = Script(big, known)
    finder = FaceFinder(Script(), whole, Script(), Script(Face(box=MIDDLE, score=0.9)), Script(), max_faces=1)
    (face,) = finder.find(_frame(0.0), [known])
    assert face.box == SMALL


def test_a_followed_face_spares_the_look_at_the_whole_picture() -> None:
    whole, known = Script(), _read(SMALL)
    finder = FaceFinder(Script(known), whole, Script(), Script(), Script())
    assert finder.find(_frame(0.04), [known]) == [known]
    assert whole.calls == 0
    assert finder.find(_frame(0.08), [known], cut=True) == []
    assert whole.calls == 1


def test_a_box_without_landmarks_is_not_followed() -> None:
    follower = Script(_read(SMALL))
    finder = FaceFinder(follower, Script(), Script(), Script(), Script())
    finder.find(_frame(0.0), [Face(box=SMALL, score=1.0)])
    assert follower.calls == 0


def test_of_two_that_slipped_onto_one_face_one_is_looked_for_anew() -> None:
    one, other = _read(SMALL), Face(box=(300.0, 100.0, 340.0, 140.0), score=0.9, landmarks=LANDMARKS)
    slipped = Face(box=SMALL, score=0.9, landmarks=LANDMARKS)
    close_up = Script(_read(MIDDLE))
    finder = FaceFinder(Script(one, slipped), Script(), close_up, Script(), Script())
    faces = finder.find(_frame(0.04), [one, other])
    assert close_up.calls == 1
    assert sorted(round(face.box[0]) for face in faces) == [100, 300]


def test_tiles_cover_every_pixel_and_overlap() -> None:
    covered = np.zeros((720, 1280), int)
    for left, top, side in tiles(1280, 720):
        assert 0 <= left <= 1280 - side
        assert 0 <= top <= 720 - side
        covered[top : top + side, left : left + side] += 1
    assert covered.min() >= 2


def test_tiled_puts_boxes_back_and_merges_them() -> None:
    class Bright:
        """Finds the bright square unless it is below a tenth of the picture."""

        def detect(self, image: Image) -> list[Face]:
            rows, columns = np.nonzero(image[..., 0])
            if len(rows) == 0 or np.ptp(rows) < image.shape[1] / 10:
                return []
            box = (float(columns.min()), float(rows.min()), float(columns.max()) + 1, float(rows.max()) + 1)
            return [Face(box=box, score=0.9)]

    image = np.zeros((720, 1280, 3), np.uint8)
    image[300:345, 800:845] = 255
    assert Bright().detect(image) == []
    (face,) = Tiled(Bright()).detect(image)
    assert face.box == (800, 300, 845, 345)
