from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stemo.output import panels, text
from stemo.output.hud import Hud, scale
from stemo.output.palette import EMOTION_COLOURS, TEXT, emotion_colour
from stemo.output.placement import Layout, Placer
from stemo.records import EMOTIONS, Affect, Box, Face, Frame, FrameResult, Image, Reading, SceneObject


def affect(winner: int = 3, chance: float = 0.7, valence: float = 0.4) -> Affect:
    rest = (1 - chance) / 6
    return Affect(tuple(chance if index == winner else rest for index in range(7)), valence, 0.6)


def result(boxes: list[Box], size: tuple[int, int] = (640, 360), step: int = 0, **options) -> FrameResult:
    image = np.full((size[1], size[0], 3), 128, np.uint8)
    time = step / 30
    reading = options.pop("reading", affect())
    readings = tuple(Reading(step, time, Face(box, 0.9, i + 1), reading, reading) for i, box in enumerate(boxes))
    return FrameResult(Frame(step, time, image), readings or (Reading(step, time),), **options)


def changed(drawn: Image) -> np.ndarray:
    return (drawn != 128).any(axis=2)


def inside(box: Box) -> tuple[slice, slice]:
    """The face itself: the box without the brackets at its edge."""
    x1, y1, x2, y2 = (round(value) for value in box)
    rim = round(0.25 * min(x2 - x1, y2 - y1))
    return slice(y1 + rim, y2 - rim), slice(x1 + rim, x2 - rim)


@pytest.mark.parametrize("size", [(640, 360), (512, 512), (1280, 720), (360, 640), (3840, 2160), (161, 97)])
@pytest.mark.parametrize("where", [(0.35, 0.2, 0.6, 0.8), (0.0, 0.0, 0.3, 0.5), (0.7, 0.6, 1.0, 1.0)])
def test_the_panel_is_there_and_not_on_the_face(size: tuple[int, int], where: Box) -> None:
    box = (where[0] * size[0], where[1] * size[1], where[2] * size[0], where[3] * size[1])
    drawn = changed(Hud().draw(result([box], size)))
    assert not drawn[inside(box)].any()
    assert drawn.mean() > 0.01


def test_the_frame_is_not_changed_and_the_drawing_repeats() -> None:
    one = result([(200, 80, 330, 260)])
    before = one.frame.image.copy()
    first, second = Hud().draw(one), Hud().draw(one)
    np.testing.assert_array_equal(one.frame.image, before)
    np.testing.assert_array_equal(first, second)
    assert first.flags.c_contiguous
    assert first.dtype == np.uint8


def test_readings_show() -> None:
    box = (200, 80, 330, 260)
    seen = [Hud().draw(result([box], reading=one)) for one in (affect(3), affect(5), affect(3, valence=-0.4))]
    assert (seen[0] != seen[1]).any()
    assert (seen[0] != seen[2]).any()


def test_no_face_gets_a_calm_hint_and_a_rate_its_corner() -> None:
    still = changed(Hud().draw(result([])))
    assert still[300:].any()
    assert not still[:280].any()
    assert changed(Hud().draw(result([], fps=41.6)))[:40, 560:].any()


def test_objects_are_framed_without_writing_on_faces() -> None:
    face = (200.0, 80.0, 330.0, 260.0)
    thing = SceneObject("person", 0.9, (190.0, 60.0, 420.0, 350.0))
    drawn = changed(Hud().draw(result([face], objects=(thing,))))
    assert drawn[60, 300]
    assert not drawn[inside(face)].any()


def test_a_face_without_a_reading_is_boxed_only() -> None:
    bare = FrameResult(result([]).frame, (Reading(0, 0.0, Face((200, 80, 330, 260), 0.9, 1)),))
    drawn = changed(Hud().draw(bare))
    assert drawn[80:120, 200:240].any()
    assert not drawn[:, 360:].any()


def test_boxes_beyond_the_edge_are_drawn_as_far_as_they_go() -> None:
    for box in ((-40.0, -30.0, 90.0, 140.0), (560.0, 250.0, 700.0, 420.0), (-50.0, -50.0, 700.0, 420.0)):
        assert changed(Hud().draw(result([box]))).any()


CELLS = st.tuples(st.integers(0, 5), st.integers(0, 2), st.integers(30, 60))


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(st.lists(CELLS, max_size=6, unique_by=lambda cell: cell[:2]))
def test_many_faces_keep_clear_of_each_other(cells: list[tuple[int, int, int]]) -> None:
    boxes: list[Box] = [(20.0 + 200 * x, 30.0 + 230 * y, 20.0 + 200 * x + s, 30.0 + 230 * y + s) for x, y, s in cells]
    drawn = changed(Hud().draw(result(boxes, (1280, 720))))
    assert not any(drawn[inside(box)].any() for box in boxes)


FULL = [Layout("tall", 160, 180), Layout("tag", 100, 20)]


def walk(placer: Placer, boxes: list[Box]) -> list[tuple[str, str, float, float]]:
    spots = [placer.place([(1, box)], FULL, (640, 360), 8, step / 30)[1] for step, box in enumerate(boxes)]
    return [(spot.layout.name, spot.anchor, spot.x, spot.y) for spot in spots]


def test_a_trembling_box_leaves_its_panel_at_rest() -> None:
    tremble = np.random.default_rng(0).normal(0, 0.5, (60, 1))
    places = walk(Placer(), [(250 + d, 90 + d, 350 + d, 200 + d) for (d,) in tremble.tolist()])
    assert len(set(places)) == 1


def test_a_moving_face_is_followed_without_jumps() -> None:
    places = walk(Placer(), [(100 + 2.0 * step, 90, 200 + 2.0 * step, 200) for step in range(90)])
    assert len({anchor for _, anchor, _, _ in places[:80]}) == 1
    steps = np.abs(np.diff([x for _, _, x, _ in places[:80]]))
    assert steps.max() < 10


def test_a_richer_layout_waits_until_there_is_room_for_a_second() -> None:
    near, far = (100.0, 20.0, 540.0, 330.0), (250.0, 90.0, 350.0, 200.0)
    names = [name for name, *_ in walk(Placer(), [near] * 5 + [far] * 60)]
    assert names[4] == "tag"
    assert names[20] == "tag"
    assert names[-1] == "tall"


def test_gone_faces_are_forgotten() -> None:
    hud = Hud()
    for step in range(0, 3000, 30):
        seen = result([(200, 80, 330, 260)], step=step)
        face = Face((200, 80, 330, 260), 0.9, step)
        hud.draw(FrameResult(seen.frame, (Reading(step, step / 30, face, affect(), affect()),)))
    assert len(hud._pasts) <= 5
    assert len(hud._placer._memories) <= 3


def test_bars_are_as_long_as_their_chance() -> None:
    def yellow(chance: float) -> int:
        pane = np.zeros((190, 180, 3), np.uint8)
        past = panels.History(np.ones(1), np.zeros(1), np.zeros(1), ["Sad"])
        panels.draw(pane, panels.layout("tall", 1.0), 0, 0, 1, affect(3, chance), past)
        return int((pane[72] == EMOTION_COLOURS["Happy"]).all(axis=1).sum())

    assert yellow(0.8) == pytest.approx(2 * yellow(0.4), abs=2)
    assert yellow(0.8) == pytest.approx(0.8 * 76, abs=2)


@pytest.mark.parametrize("categories", [7, 8, 12])
def test_the_last_of_many_categories_has_a_place_of_its_own(categories: int) -> None:
    labels = tuple(f"Kind {number}" for number in range(categories))
    rest = 0.2 / (categories - 1)
    many = Affect((*[rest] * (categories - 1), 0.8), 1.0, 1.0, labels)
    past = panels.History(np.linspace(0, 1, 9), np.ones(9), np.ones(9), [labels[0]] * 9)
    last = categories - 1
    bars = {
        "tall": (slice(36 + 12 * last - 2, 36 + 12 * last + 2), slice(66, 66 + 60)),
        "wide": (slice(48 - 30, 48), slice(136 + 23 * last, 136 + 23 * last + 17)),
        "compact": (slice(45 - 16, 45), slice(9 + 6 * last, 9 + 6 * last + 4)),
    }
    for name, where in bars.items():
        layout = panels.layout(name, 1.0, categories)
        pane = np.zeros((layout.height, layout.width, 3), np.uint8)
        panels.draw(pane, layout, 0, 0, 1, many, past)
        assert (pane[where] == emotion_colour(labels[-1])).all(), name


def test_words_are_cached_clipped_and_of_one_height() -> None:
    assert text.mask("42%", 12) is text.mask("42%", 12)
    assert text.mask("aaa", 12).shape[0] == text.mask("Ajg", 12).shape[0]
    image = np.zeros((10, 20, 3), np.uint8)
    text.write(image, "Surprise", -5, 5, 14, TEXT)
    text.write(image, "away", 500, 500, 14, TEXT)
    assert image.max() > 150


@given(seed=st.integers(0, 2**32 - 1), left=st.integers(-9, 25), top=st.integers(-9, 17))
def test_a_stencil_lies_as_strongly_as_its_mask_says_and_is_clipped(seed: int, left: int, top: int) -> None:
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (16, 24, 3), dtype=np.uint8)
    mask = np.clip(rng.uniform(-0.3, 1.3, (7, 9)), 0, 1).astype(np.float32)
    colour = tuple(rng.integers(0, 256, 3).tolist())
    laid = image.copy()
    text.lay(laid, text.stencil(mask, colour), left, top)
    weight = np.zeros((40, 50, 1))
    weight[top + 10 : top + 17, left + 10 : left + 19, 0] = mask
    weight = weight[10:26, 10:34]
    exact = image * (1 - weight) + np.array(colour) * weight
    assert np.abs(laid - exact).max() <= 1.6  # three roundings
    assert (laid[weight[..., 0] == 0] == image[weight[..., 0] == 0]).all()
    assert (laid[weight[..., 0] == 1] == colour).all()


def test_every_emotion_has_its_own_colour_and_strangers_a_neutral_one() -> None:
    assert set(EMOTION_COLOURS) == set(EMOTIONS)
    assert len(set(EMOTION_COLOURS.values())) == 7
    assert emotion_colour("Bored") == EMOTION_COLOURS["Neutral"]


def test_scale_is_one_at_360p_and_six_at_4k() -> None:
    assert scale(np.zeros((360, 640, 3), np.uint8)) == pytest.approx(1)
    assert scale(np.zeros((2160, 3840, 3), np.uint8)) == pytest.approx(6)


def test_importing_the_display_loads_no_matplotlib() -> None:
    code = "import sys, stemo.output.hud; raise SystemExit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
