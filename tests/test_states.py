"""Whatever remembers something from frame to frame can hand it over: another one goes on exactly as it would have."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stemo.capture import open_source
from stemo.faces.analyzer import FaceAnalyzer
from stemo.faces.cuts import CutDetector
from stemo.faces.surveying import Agenda
from stemo.faces.tracking import Tracker
from stemo.insight.smoothing import Ema, MovingAverage
from stemo.network.clip_buffer import ClipBuffer, views_at
from stemo.network.streaming import Observation, StreamReader
from stemo.output.hud import Hud
from stemo.output.journal import Journal
from stemo.output.placement import Layout, Placer
from stemo.output.saved import load, packed, save, unpacked
from stemo.records import EMOTIONS, Affect, Box, Face, Frame, FrameResult, Reading

Step = Callable[[Any, int], Any]  # what one of them answers at a step of the time

seeds = st.integers(0, 10_000)


def noise(seed: int, step: int, *shape: int) -> np.ndarray:
    return np.random.default_rng((seed, step)).random(shape)


def moment(seed: int, step: int) -> float:
    """Seconds: mostly 1/25 apart, with a gap now and then."""
    return step / 25 + sum(2.0 for before in range(step + 1) if noise(seed, before, 1)[0] > 0.97)


def affect(seed: int, step: int, track: int) -> Affect:
    *chances, valence, arousal = noise(seed + track, step, 9).tolist()
    total = sum(chances)
    return Affect(tuple(chance / total for chance in chances), valence * 2 - 1, arousal, EMOTIONS)


def box(seed: int, step: int, track: int) -> Box:
    left, top = (40 * track + 10 * noise(seed + track, step, 2)).tolist()
    return (left, top, left + 30.0, top + 30.0)


def faces(seed: int, step: int) -> list[Face]:
    """Up to three people, who come and go."""
    there = [track for track in (1, 2, 3) if noise(seed + track, step // 9, 1)[0] > 0.3]
    crop = (noise(seed, step, 64, 64, 3) * 255).astype(np.uint8)
    return [Face(box(seed, step, track), 0.5 + step / 1000, crop=np.roll(crop, 9 * track)) for track in there]


def track_faces(tracker: Any, seed: int, step: int) -> Any:
    seen = tracker.update(faces(seed, step), moment(seed, step), cut=step % 17 == 16)
    expected = [(face.track_id, face.box, face.score) for face in tracker.expected(moment(seed, step) + 0.04)]
    return [(face.track_id, face.box) for face in seen], expected


def read_agenda(agenda: Any, seed: int, step: int) -> Any:
    found = int(noise(seed, step, 1)[0] * 3)
    due = agenda.due(moment(seed, step), found, False)
    if due:
        agenda.begun(moment(seed, step))
        agenda.ended(found, gained=found == 2)
    return due


def see_cuts(cuts: Any, seed: int, step: int) -> Any:
    return cuts.update((noise(seed, step // 4, 40, 60, 3) * 255).astype(np.uint8))


def smooth(smoother: Any, seed: int, step: int) -> Any:
    time = moment(seed, step)
    tracks = [track for track in (1, 2) if noise(seed + track, step // 7, 1)[0] > 0.3]
    return [
        (
            smoother.update(track, affect(seed, step, track), time),
            smoother.update_box(track, box(seed, step, track), time),
        )
        for track in tracks
    ]


def place_panels(placer: Any, seed: int, step: int) -> Any:
    known = [(track, box(seed, step // 3, track)) for track in (1, 2)]
    layouts = [Layout("tall", 90, 120), Layout("tag", 40, 12)]
    return placer.place(known, layouts, (320, 240), 6.0, moment(seed, step))


def draw(hud: Any, seed: int, step: int) -> Any:
    readings = tuple(
        Reading(step, moment(seed, step), Face(box(seed, step, track), 0.9, track), affect(seed, step, track))
        for track in (1, 2)
    )
    frame = Frame(step, moment(seed, step), np.zeros((180, 320, 3), np.uint8))
    return hud.draw(FrameResult(frame, readings)).tobytes()


KINDS: dict[str, tuple[Callable[[], Any], Callable[[Any, int, int], Any]]] = {
    "tracker": (Tracker, track_faces),
    "agenda": (Agenda, read_agenda),
    "cuts": (CutDetector, see_cuts),
    "average": (MovingAverage, smooth),
    "ema": (lambda: Ema(0.3), smooth),
    "placer": (Placer, place_panels),
}


def goes_on(make: Callable[[], Any], answer: Callable[[Any, int, int], Any], seed: int, split: int, last: int) -> None:
    one, other = make(), make()
    for step in range(split):
        answer(one, seed, step)
    other.restore(unpacked(packed(one.state())))
    for step in range(split, last):
        assert answer(one, seed, step) == answer(other, seed, step), step


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=6, deadline=None)
@given(seed=seeds, split=st.integers(0, 30))
def test_another_goes_on_as_it_would_have(kind: str, seed: int, split: int) -> None:
    goes_on(*KINDS[kind], seed, split, 45)


def test_the_display_goes_on_as_it_would_have() -> None:
    goes_on(Hud, draw, 7, 20, 40)


def test_a_state_is_not_changed_by_what_comes_after() -> None:
    for make, answer in KINDS.values():
        one = make()
        for step in range(10):
            answer(one, 3, step)
        state = one.state()
        before = repr(packed(state))
        for step in range(10, 30):
            answer(one, 3, step)
        assert repr(packed(state)) == before


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(seed=seeds, split=st.integers(0, 40))
def test_a_clip_goes_on_as_it_would_have(seed: int, split: int) -> None:
    def push(buffer: ClipBuffer, seed: int, step: int) -> bytes:
        time = moment(seed, step)
        views = views_at(time, buffer.last, buffer.length)
        token = torch.from_numpy(noise(seed, step, 5).astype(np.float32))
        buffer.push(time, views, [token + view for view in views])
        return buffer.clip().numpy().tobytes()

    one, other = ClipBuffer(), ClipBuffer()
    for step in range(split):
        push(one, seed, step)
    other.restore(unpacked(packed(one.state())), torch.device("cpu"))
    for step in range(split, 50):
        assert push(one, seed, step) == push(other, seed, step)


# --- files ---

numbers = st.floats(allow_nan=False) | st.integers() | st.booleans() | st.none() | st.text()
plain = st.recursive(
    numbers,
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text().filter(str.isalpha), inner),
)


@pytest.mark.slow
@settings(deadline=None)
@given(plain)
def test_plain_values_come_back_as_they_were(value: Any) -> None:
    again = unpacked(packed(value))
    assert again == value
    assert repr(again) == repr(value)  # which tells 1 from 1.0, and -0.0 from 0.0


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int64", "uint8"])
@pytest.mark.parametrize("shape", [(3, 2), (0, 4), (5,), ()])
def test_arrays_come_back_as_they_were(dtype: str, shape: tuple[int, ...]) -> None:
    array = (noise(1, 2, *shape) * 100).astype(dtype)
    again = unpacked(packed({"a": array}))["a"]
    assert (again.dtype, again.shape, again.tobytes()) == (array.dtype, array.shape, array.tobytes())
    if shape:
        again[:] = 0  # as one that is used further must be


def test_a_file_that_was_cut_off_or_changed_is_none(tmp_path: Path) -> None:
    path = tmp_path / "state"
    save(path, {"a": [1, (2.5, np.arange(3))]})
    whole = path.read_bytes()
    assert repr(load(path)) == repr({"a": [1, (2.5, np.arange(3))]})
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        assert load(path) is None
    for place in range(0, len(whole), 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        assert load(path) is None
    assert load(tmp_path / "nothing") is None
    assert [file.name for file in tmp_path.iterdir()] == ["state"]


@given(rows=st.lists(st.dictionaries(st.text(max_size=5), numbers, max_size=3), max_size=8), cut=st.integers(0, 8))
@settings(max_examples=25, deadline=None)
def test_a_journal_goes_on_where_its_state_was(tmp_path_factory: pytest.TempPathFactory, rows: Any, cut: int) -> None:
    path = tmp_path_factory.mktemp("journal") / "rows.jsonl"
    journal = Journal(path)
    for row in rows[:cut]:
        journal.write(row)
    state = journal.state()
    for row in [*rows[cut:], {"half": 1}]:
        journal.write(row)
    journal.close()
    again = Journal(path, state)
    assert list(again.rows()) == rows[:cut]
    for row in rows[cut:]:
        again.write(row)
    assert repr(list(again.rows())) == repr(rows)
    again.close()


# --- with the models ---


def facts(found: Sequence[Face]) -> list[Any]:
    """Every bit of the faces."""

    def bits(array: np.ndarray | None) -> bytes | None:
        return None if array is None else array.tobytes()

    return [
        (face.track_id, face.box, face.score, face.pose, bits(face.landmarks), bits(face.blendshapes), bits(face.crop))
        for face in found
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("clip", "most", "split"),
    [
        ("expressive_a.mp4", 1, 60),
        ("expressive_a.mp4", 4, 61),
        ("several_faces.mp4", 4, 40),
        ("face_noface.mov", 4, 45),
    ],
)
def test_faces_after_a_checkpoint_are_the_same_bit_for_bit(shared: Path, clip: str, most: int, split: int) -> None:
    with open_source(shared / "videos" / clip) as source:
        frames = [frame for frame, _ in zip(source, range(split + 25), strict=False)]
    with FaceAnalyzer(most) as one, FaceAnalyzer(most) as other:
        for frame in frames[:split]:
            one.analyze(frame)
        other.restore(unpacked(packed(one.state())))
        for frame in frames[split:]:
            assert facts(one.analyze(frame)) == facts(other.analyze(frame)), frame.index


@pytest.mark.slow
def test_readings_after_a_checkpoint_are_the_same_bit_for_bit(fresh_weights: Path) -> None:
    from stemo.network.checkpoint import load_weights

    network, weights = load_weights(fresh_weights)
    readers = [StreamReader(network, weights.preprocessing, torch.device("cpu")) for _ in range(2)]

    def read(reader: StreamReader, step: int) -> list[Any]:
        tracks = (1, 2) if step % 5 else (2,)
        pictures = [torch.from_numpy((noise(track, step, 224, 224, 3) * 255).astype(np.uint8)) for track in tracks]
        landmarks = torch.from_numpy(noise(0, step, 205).astype(np.float32))
        pairs = zip(tracks, pictures, strict=True)
        return reader.read([Observation(track, picture, landmarks) for track, picture in pairs], step / 30)

    for step in range(10):
        read(readers[0], step)
    readers[1].restore(unpacked(packed(readers[0].state())))
    for step in range(10, 15):
        assert read(readers[0], step) == read(readers[1], step)
