"""The finder and the tracker together, on painted people whom detectors see or not: who is away is found again."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import pytest

from stemo.faces.finding import FaceFinder
from stemo.faces.regions import iou, zoom
from stemo.faces.surveying import LATER, LATEST
from stemo.faces.tracking import KEEP, Tracker
from stemo.output.saved import packed, unpacked
from stemo.records import Face, Frame, Image

SIZE = 60
HEIGHT, WIDTH = 360, 640
COLOURS = {"red": 0, "green": 1}
Place = tuple[float, float] | None  # a person's left and top in pixels, None where nobody sees him
Scene = Mapping[str, Place]


def picture(scene: Scene) -> Image:
    """A black picture with a square for each person, the later before the earlier."""
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    for name, place in scene.items():
        if place is not None:
            left, top = round(place[0]), round(place[1])
            part = image[max(top, 0) : top + SIZE, max(left, 0) : left + SIZE]
            part[:] = 0
            part[..., COLOURS[name]] = 255
    return image


def squares(image: Image) -> list[Face]:
    """The painted people who are not hidden by another."""
    seen = []
    for colour in COLOURS.values():
        rows, columns = np.nonzero(image[..., colour] > 127)
        if len(rows) and 0.75 < (np.ptp(columns) + 1) / (np.ptp(rows) + 1) < 1.33:
            box = (float(columns.min()), float(rows.min()), float(columns.max()) + 1, float(rows.max()) + 1)
            seen.append(Face(box, 0.9))
    return seen


class Near:
    """Sees people who fill more than a seventh of a window; in the picture, nobody."""

    def __init__(self) -> None:
        self.calls = 0

    def detect(self, image: Image) -> list[Face]:
        self.calls += 1
        return [face for face in squares(image) if face.box[2] - face.box[0] > image.shape[1] / 7]

    def read(self, image: Image) -> list[Face]:
        seen = [face for face in squares(image) if face.box[2] - face.box[0] > image.shape[1] / 3]
        return [replace(face, landmarks=np.zeros((478, 3), np.float32)) for face in seen]

    def follow(self, image: Image, face: Face) -> Face | None:
        """The one of the same looks who is still where he was."""
        window = zoom(image, face.box, factor=1.5)
        here = [window.back(seen) for seen in self.read(window.image)]
        return next((replace(seen, score=face.score) for seen in here if iou(seen.box, face.box) > 0.5), None)


class Whole:
    """Reads no picture, for the people are small; surveys see them all, and are counted."""

    def __init__(self) -> None:
        self.calls = 0

    def read(self, image: Image) -> list[Face]:  # noqa: ARG002
        return []

    def detect(self, image: Image) -> list[Face]:
        self.calls += 1
        return squares(image)


@dataclass
class Search:
    """A finder and a tracker, as :class:`stemo.faces.analyzer.FaceAnalyzer` joins them."""

    finder: FaceFinder
    near: Near
    surveyor: Whole
    tracker: Tracker

    def look(self, time: float, scene: Scene) -> dict[str, int]:
        """The ids of those who are found."""
        known, missing = self.tracker.expected(time), self.tracker.missing(time)
        found = self.finder.find(Frame(0, time, picture(scene)), known, missing=missing)
        faces = self.tracker.update([replace(face, crop=portrait(who(face, scene))) for face in found], time)
        assert len({who(face, scene) for face in faces}) == len(faces)
        return {who(face, scene): face.track_id for face in faces}


def who(face: Face, scene: Scene) -> str:
    """The person nearest to a face."""
    there = {name: place for name, place in scene.items() if place is not None}
    return min(there, key=lambda name: math.dist(there[name], face.box[:2]))


def portrait(name: str) -> Image:
    """What each can be told by."""
    return np.random.default_rng(COLOURS[name]).integers(0, 255, (8, 8, 3), np.uint8).repeat(4, 0).repeat(4, 1)


@contextmanager
def search(max_faces: int = 4) -> Iterator[Search]:
    near, surveyor = Near(), Whole()
    finder = FaceFinder(near, Whole(), near, near, surveyor, max_faces)
    yield Search(finder, near, surveyor, Tracker())
    finder.close()


def run(rate: float, seconds: float, scene: Callable[[float], Scene]) -> list[tuple[float, dict[str, int]]]:
    """The ids of those found, frame by frame."""
    with search() as one:
        times = [step / rate for step in range(round(seconds * rate))]
        return [(time, one.look(time, scene(time))) for time in times]


# --- somebody is away for less than a second ---


@pytest.mark.slow
@pytest.mark.parametrize("rate", [15, 25, 60])
@pytest.mark.parametrize("away", [0.4, 0.6, 0.9])
@pytest.mark.parametrize("left", [1.0, 1.9, 2.6])  # before, beside and after a survey
def test_who_is_hidden_for_less_than_a_second_is_found_again(rate: float, away: float, left: float) -> None:
    def scene(time: float) -> Scene:
        return {"red": (100, 100), "green": None if left <= time < left + away else (400, 200)}

    seen = run(rate, left + away + 1.5, scene)
    assert all(ids["red"] == seen[0][1]["red"] for _, ids in seen)
    assert {ids["green"] for _, ids in seen if "green" in ids} == {seen[0][1]["green"]}
    assert all("green" in ids for time, ids in seen if time >= left + away + 0.1 or time < left)


@pytest.mark.slow
@pytest.mark.parametrize("rate", [15, 25, 60])
def test_who_leaves_at_an_edge_and_returns_there_keeps_the_id(rate: float) -> None:
    def scene(time: float) -> Scene:
        turned = abs(time - 1.8)  # he turns round at 1.8 s, just outside
        return {"green": (100, 100), "red": (max(WIDTH + 20 - 180 * turned, 500), 150)}

    seen = run(rate, 3.5, scene)
    assert any("red" not in ids for _, ids in seen)
    assert {ids["red"] for _, ids in seen if "red" in ids} == {seen[0][1]["red"]}
    # in the picture again, whole, at 2.25 s
    assert all("red" in ids for time, ids in seen if time > 2.35)


@pytest.mark.slow
@pytest.mark.parametrize("rate", [15, 25, 60])
@pytest.mark.parametrize("speed", [60.0, 100.0, 180.0])  # pixels a second
def test_two_who_cross_keep_their_ids(rate: float, speed: float) -> None:
    def scene(time: float) -> Scene:
        return {"green": (80 + speed * time, 100), "red": (480 - speed * time, 110)}

    seconds = 400 / speed
    seen = run(rate, seconds, scene)
    for name in COLOURS:
        assert {ids[name] for _, ids in seen if name in ids} == {seen[0][1][name]}
    assert all(len(ids) == 2 for time, ids in seen if abs(time - seconds / 2) > 1.2 * SIZE / speed / 2 + 0.15)


@pytest.mark.slow
def test_the_search_for_who_is_gone_ends_with_the_id() -> None:
    with search() as one:
        for step in range(25 * 20):
            time = step / 25
            if step in (50, 50 + 40):
                one.near.calls = one.surveyor.calls = 0
            one.look(time, {"red": (100, 100), "green": (400, 200) if time < 2 else None})
            if step == 50 + 39:
                assert one.near.calls < 40
                assert one.surveyor.calls <= 3
        # nobody is missing any more: one survey in two seconds, and no looks
        assert one.near.calls == 0
        assert one.surveyor.calls <= 9


@pytest.mark.slow
@pytest.mark.parametrize("split", [30, 58, 62, 65, 68])
def test_another_goes_on_with_the_search(split: int) -> None:
    def scene(step: int) -> Scene:
        return {"red": (100, 100), "green": (400, 200) if not 55 <= step < 70 else None}

    with search() as one, search() as other:
        for step in range(split):
            one.look(step / 25, scene(step))
        other.finder.restore(unpacked(packed(one.finder.state())))
        other.tracker.restore(unpacked(packed(one.tracker.state())))
        one.near.calls = one.surveyor.calls = 0
        for step in range(split, 100):
            assert one.look(step / 25, scene(step)) == other.look(step / 25, scene(step))
            assert one.near.calls == other.near.calls


# --- somebody comes ---


@pytest.mark.slow
@pytest.mark.parametrize("rate", [5, 15, 25])
def test_a_newcomer_who_moves_is_found_beside_a_followed_face(rate: float) -> None:
    def scene(time: float) -> Scene:
        across = (4 * SIZE * (time - 1.2)) % (2 * (WIDTH - SIZE))  # four widths a second, from side to side
        return {"red": (100, 40), "green": (min(across, 2 * (WIDTH - SIZE) - across), 250) if time > 1.2 else None}

    seen = run(rate, 6, scene)
    assert all("red" in ids for _, ids in seen)
    # surveys begin within two seconds of each other
    first = next(time for time, ids in seen if "green" in ids)
    assert first <= 1.2 + 2 * (2.0 + LATEST)


@pytest.mark.parametrize(("rate", "frames"), [(2, 0), (5, 2), (15, 5), (25, LATER - 1), (60, LATER - 1)])
def test_a_survey_is_looked_at_after_some_frames_or_a_third_of_a_second(rate: float, frames: int) -> None:
    with search() as one:
        one.look(0.0, {"red": (100, 100)})
        begun = round(1.0 * rate)
        seen = [one.look(step / rate, {"red": (100, 100), "green": (400, 200)}) for step in range(1, begun + 20)]
    assert ["green" in ids for ids in seen].index(True) + 1 == begun + frames


# --- few frames a second ---


@pytest.mark.parametrize("rate", [3, 2.5, 0.9, 0.5, 0.2])
def test_a_small_still_face_is_in_every_frame_however_few_there_are(rate: float) -> None:
    seen = run(rate, 20 / rate, lambda _: {"green": (300, 200)})
    assert [ids for _, ids in seen] == [{"green": 1}] * 20


@pytest.mark.parametrize("rate", [3, 0.9, 0.5])
def test_who_comes_between_two_frames_far_apart_is_found_at_once(rate: float) -> None:
    seen = run(rate, 12, lambda time: {"green": (300, 200), "red": (80, 80) if time > 5.8 else None})
    first = next(time for time, ids in seen if "red" in ids)
    assert first <= 5.8 + max(2.0, 1 / rate)


def test_pictures_ten_seconds_apart_have_nothing_to_do_with_each_other() -> None:
    tracker = Tracker()
    for step in range(3):
        time = step * 10.0
        assert tracker.expected(time) == tracker.missing(time) == []
        (face,) = tracker.update([Face((0, 0, 50, 50), 0.9)], time)
        assert face.track_id == step + 1


def test_who_was_overlooked_once_is_away_since_he_was_seen() -> None:
    tracker, face = Tracker(), Face((0, 0, 50, 50), 0.9)
    tracker.update([face], 0.0)
    tracker.update([], 2.0)
    assert tracker.expected(2.5) == tracker.missing(2.5) == []
    tracker.update([face], 4.0)
    assert len(tracker.expected(6.0)) == 1
    tracker.update([], 4.1)
    assert (len(tracker.expected(4.2)), len(tracker.missing(4.2))) == (1, 0)
    assert (len(tracker.expected(4.5)), len(tracker.missing(4.5))) == (0, 1)
    assert tracker.missing(4.0 + KEEP + 0.1) == []
