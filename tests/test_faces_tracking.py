"""Ids stay with people: over motion, absence and crossings, and end with a scene."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from stemo.faces.cuts import CutDetector
from stemo.faces.regions import iou, merge, zoom
from stemo.faces.tracking import FORBIDDEN, Tracker, assign
from stemo.output.saved import packed, unpacked
from stemo.records import Face, Image


def _person(seed: int) -> Image:
    return np.random.default_rng(seed).integers(0, 255, (8, 8, 3), np.uint8).repeat(28, 0).repeat(28, 1)


def _face(x: float, y: float = 100.0, size: float = 60.0, seed: int = 0) -> Face:
    return Face(box=(x, y, x + size, y + size), score=0.9, crop=_person(seed))


def _picture(seed: int) -> Image:
    return np.random.default_rng(seed).integers(0, 120, (8, 8, 3), np.uint8).repeat(40, 0).repeat(60, 1)


def _ids(faces: list[Face]) -> dict[int, float]:
    return {face.track_id: face.box[0] for face in faces}


def test_moving_face_keeps_its_id() -> None:
    tracker = Tracker()
    for step in range(30):
        assert list(_ids(tracker.update([_face(10.0 * step)], step / 25))) == [1]


def test_two_people_crossing_do_not_swap() -> None:
    tracker, first = Tracker(), 0
    for step in range(41):
        here, there = _face(10.0 * step, seed=1), _face(400 - 10.0 * step, seed=2)
        order = [here, there] if step % 2 else [there, here]
        tracked = {face.track_id: face for face in tracker.update(order, step / 25)}
        if step == 0:
            first = next(id for id, face in tracked.items() if face.crop is here.crop)
        assert np.array_equal(np.asarray(tracked[first].crop), np.asarray(here.crop))
        assert len(tracked) == 2


def test_absence_of_less_than_a_second_keeps_the_id_and_longer_does_not() -> None:
    tracker = Tracker()
    tracker.update([_face(100)], 0.0)
    tracker.update([], 0.5)
    assert list(_ids(tracker.update([_face(110)], 0.9))) == [1]
    tracker.update([], 1.0)
    assert list(_ids(tracker.update([_face(110)], 2.5))) == [2]


def test_time_without_frames_is_no_absence() -> None:
    tracker = Tracker()
    for time in (0.0, 0.4, 2.4, 7.4):
        assert list(_ids(tracker.update([_face(100 + time)], time))) == [1]
    assert list(_ids(tracker.update([_face(100)], 17.4))) == [2]


def test_after_a_pause_another_person_in_the_same_place_is_new() -> None:
    tracker = Tracker()
    tracker.update([_face(100, seed=1)], 0.0)
    assert list(_ids(tracker.update([_face(100, seed=2)], 3.0))) == [2]
    assert list(_ids(tracker.update([_face(400, seed=2)], 6.0))) == [3]


@pytest.mark.parametrize("again", [False, True])
def test_frames_a_millisecond_apart_say_nothing_about_speed(again: bool) -> None:
    tracker = Tracker()
    times = [0.0, 0.033, 0.066, 0.067, 0.132, 0.133, 0.199]
    for step, time in enumerate(times):
        if again:
            tracker.restore(unpacked(packed(tracker.state())))
        assert list(_ids(tracker.update([_face(100 + 3.0 * step, size=100)], time))) == [1]
        (expected,) = tracker.expected(time + 0.066)
        assert expected.box[0] == pytest.approx(100 + 3.0 * step, abs=10)


def test_nobody_is_thrown_far_by_a_detection_that_jumps() -> None:
    tracker = Tracker()
    tracker.update([_face(100)], 0.0)
    tracker.update([_face(150)], 0.031)
    (expected,) = tracker.expected(0.331)
    assert expected.box[0] <= 150 + 0.3 * 10 * 60 / 2 + 1


def test_another_person_in_the_place_of_an_absent_one_is_new() -> None:
    tracker = Tracker()
    tracker.update([_face(100, seed=1)], 0.0)
    assert list(_ids(tracker.update([_face(100, seed=2)], 0.6))) == [2]


def test_cut_ends_ids_but_a_flash_does_not() -> None:
    tracker = Tracker()
    tracker.update([_face(100, seed=1)], 0.0)
    assert list(_ids(tracker.update([_face(102, seed=1)], 0.04, cut=True))) == [1]
    assert list(_ids(tracker.update([_face(300, seed=2)], 0.08, cut=True))) == [2]
    assert list(_ids(tracker.update([_face(102, seed=1)], 0.12))) == [3]


def test_expected_moves_at_constant_speed_and_ends() -> None:
    tracker = Tracker()
    for step in range(20):
        tracker.update([_face(10.0 * step)], step * 0.04)
    (expected,) = tracker.expected(20 * 0.04)
    assert expected.box[0] == pytest.approx(200, abs=2)
    tracker.update([], 20 * 0.04)
    assert tracker.expected(19 * 0.04 + 0.5) == []


def test_time_running_backwards_starts_afresh() -> None:
    tracker = Tracker()
    tracker.update([_face(100)], 10.0)
    assert list(_ids(tracker.update([_face(100)], 0.0))) == [2]


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (3, 2), (4, 4), (5, 3)])
def test_assignment_equals_trying_everything(shape: tuple[int, int]) -> None:
    for seed in range(20):
        costs = np.random.default_rng(seed).random(shape)
        pairs = assign(costs)
        wide = costs if shape[0] <= shape[1] else costs.T
        best = min(
            sum(wide[row, column] for row, column in enumerate(columns))
            for columns in itertools.permutations(range(wide.shape[1]), wide.shape[0])
        )
        assert sum(costs[pair] for pair in pairs) == pytest.approx(best)
        assert len({row for row, _ in pairs}) == len({column for _, column in pairs}) == min(shape)


def test_assignment_leaves_forbidden_pairs_out() -> None:
    assert assign(np.array([[0.1, FORBIDDEN], [FORBIDDEN, FORBIDDEN]])) == [(0, 0)]
    assert assign(np.zeros((0, 3))) == []


def test_iou_and_merge() -> None:
    assert iou((0, 0, 10, 10), (5, 0, 15, 10)) == pytest.approx(1 / 3)
    read = Face(box=(0, 0, 10, 10), score=0.5, landmarks=np.zeros((478, 3), np.float32))
    boxed = Face(box=(1, 0, 11, 10), score=0.9)
    other = Face(box=(50, 0, 60, 10), score=0.7)
    assert merge([boxed, other, read]) == [read, other]


def test_window_leads_back_to_the_picture() -> None:
    image = np.zeros((100, 200, 3), np.uint8)
    image[40:60, 100:120] = 255
    for box in ((100.0, 40.0, 120.0, 60.0), (190.0, 90.0, 230.0, 130.0)):
        window = zoom(image, box)
        side = window.image.shape[0]
        back = window.back(Face(box=(side / 4, side / 4, side * 3 / 4, side * 3 / 4), score=1.0))
        np.testing.assert_allclose(back.box, box, atol=1.0)


def test_cuts_are_changes_of_scene_not_of_light() -> None:
    scene, other = _picture(0), _picture(1)
    cuts = CutDetector()
    assert [cuts.update(image) for image in (scene, scene, scene + 100, scene, other)] == [False] * 4 + [True]


@pytest.mark.parametrize("level", [0, 16, 128, 255])
def test_a_blank_frame_is_no_scene(level: int) -> None:
    scene, other = _picture(0), _picture(1)
    blank = np.full_like(scene, level)
    noisy = np.random.default_rng(2).integers(max(level - 4, 0), min(level + 4, 255), scene.shape).astype(np.uint8)
    for between in ([blank], [blank, noisy, blank]):
        cuts = CutDetector()
        seen = [cuts.update(image) for image in (scene, *between, scene, scene, *between, other, other, *between)]
        assert [index for index, cut in enumerate(seen) if cut] == [len(between) * 2 + 3]


def test_a_scene_that_comes_out_of_black_is_cut_off_from_the_one_that_went_into_it() -> None:
    levels = np.linspace(0, 1, 13)
    for other, expected in ((_picture(0), 0), (_picture(1), 1)):
        faded = [(_picture(0) * level).astype(np.uint8) for level in levels[::-1]]
        cuts = CutDetector()
        assert not any(cuts.update(image) for image in faded)
        assert sum(cuts.update((other * level).astype(np.uint8)) for level in levels) == expected


def test_the_first_scene_after_black_begins_one() -> None:
    black, cuts = np.zeros((320, 480, 3), np.uint8), CutDetector()
    assert [cuts.update(image) for image in (black, black, _picture(0), _picture(0))] == [False, False, True, False]
