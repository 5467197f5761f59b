"""Streaming: equal to the whole clip, by time and not by count, one buffer per face."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stemo.network.checkpoint import SHIPPED, load_weights
from stemo.network.clip_buffer import (
    BUFFER_FPS,
    LONGEST_GAP,
    ClipBuffer,
    Sighting,
    clip_views,
    nearest_places,
    turns,
    views_at,
)
from stemo.network.clips import NetworkClips
from stemo.network.model import Network
from stemo.network.preprocessing import TURNS, Preprocessing
from stemo.network.streaming import Observation, StreamReader, read_whole


@pytest.fixture(scope="module")
def network() -> Network:
    # a fresh network hardly sees its pictures, nor its buffer
    network = load_weights(SHIPPED)[0]
    assert isinstance(network, Network)
    return network.eval()


def observation(seed: int, track: int = 1) -> Observation:
    generator = torch.Generator().manual_seed(seed)
    picture = torch.randint(0, 255, (224, 224, 3), dtype=torch.uint8, generator=generator)
    landmarks = torch.randn(205, generator=generator) if seed % 3 else None
    return Observation(track, picture, landmarks)


def values(reader: StreamReader, faces: list[Observation], time: float) -> list[torch.Tensor]:
    return [torch.tensor([*probabilities, v, a]) for probabilities, v, a in reader.read(faces, time)]


@pytest.mark.parametrize("backend", [pytest.param("torch", marks=pytest.mark.slow), "onnx"])
@pytest.mark.parametrize("step", [*(pytest.param(step, marks=pytest.mark.slow) for step in (1 / 60, 1 / 15)), 0.037])
def test_streaming_equals_the_whole_clip(network: Network, step: float, backend: str) -> None:
    reader = StreamReader(network, Preprocessing(), torch.device("cpu"), backend)
    seen = [observation(seed) for seed in range(24)]
    times = [0.5 + index * step for index in range(len(seen))]
    for index, time in enumerate(times):
        streamed = values(reader, [seen[index]], time)[0]
        if index in (0, 5, 23):
            whole = read_whole(network, Preprocessing(), seen[: index + 1], times[: index + 1])
            expected = torch.cat([network.probabilities(whole)[0], whole.valence, whole.arousal])
            torch.testing.assert_close(streamed, expected, atol=1e-4, rtol=0)


def test_the_buffer_matters(network: Network) -> None:
    reader = StreamReader(network, Preprocessing(), torch.device("cpu"))
    fresh = values(reader, [observation(7)], 0.0)[0]
    for index in range(10):
        reader.read([observation(index, 2)], index / 25)
    later = values(reader, [observation(7, 2)], 10 / 25)[0]
    assert (fresh - later).abs().max().item() > 1e-4


def test_faces_of_a_frame_do_not_touch_each_other(network: Network) -> None:
    together = StreamReader(network, Preprocessing(), torch.device("cpu"))
    alone = StreamReader(network, Preprocessing(), torch.device("cpu"))
    for index in range(6):
        one, two = observation(index, 1), observation(100 + index, 2)
        both = values(together, [one, two], index / 25)
        torch.testing.assert_close(both[0], values(alone, [one], index / 25)[0], atol=1e-4, rtol=0)


def test_a_long_gap_starts_the_buffer_anew(network: Network) -> None:
    reader = StreamReader(network, Preprocessing(), torch.device("cpu"))
    for index in range(8):
        reader.read([observation(index)], index / 25)
    later = 8 / 25 + LONGEST_GAP + 0.5
    after = values(reader, [observation(50)], later)[0]
    fresh = values(StreamReader(network, Preprocessing(), torch.device("cpu")), [observation(50)], later)[0]
    torch.testing.assert_close(after, fresh, atol=1e-5, rtol=0)


def test_no_face_is_no_network_call() -> None:
    class Untouchable(Network):
        def encode_pictures(self, frames: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            raise AssertionError(f"called with {tuple(frames.shape)}")

    reader = StreamReader(Untouchable(), Preprocessing(), torch.device("cpu"), "torch")
    assert reader.read([], 0.0) == []


@pytest.mark.slow
def test_buffers_of_faces_that_left_are_freed(network: Network) -> None:
    reader = StreamReader(network, Preprocessing(), torch.device("cpu"))
    for track in range(20):
        reader.read([observation(track, track)], track * 0.5)
    assert len(reader.buffers) <= 4


def token(value: float) -> torch.Tensor:
    return torch.full((1,), value)


def test_the_first_frame_fills_the_buffer() -> None:
    buffer = ClipBuffer(16)
    buffer.push(2.0, [0], [token(5.0)])
    assert buffer.clip().flatten().tolist() == [5.0] * 16


def test_all_views_of_the_first_frame_fill_the_buffer_in_turns() -> None:
    buffer = ClipBuffer(16)
    buffer.push(2.0, range(4), [token(5.0 + view) for view in range(4)])
    assert buffer.clip().flatten().tolist() == [6.0, 7.0, 8.0, 5.0] * 4
    buffer.push(2.04, [1], [token(9.0)])
    assert buffer.clip().flatten().tolist() == [*([6.0, 7.0, 8.0, 5.0] * 4)[1:], 9.0]


def test_views_are_numbered_as_a_still_shows_them() -> None:
    assert turns(16).tolist() == [1, 2, 3, 0] * 4
    assert turns(1).tolist() == [0]
    assert clip_views([7.0], 16) == [(0, view) for view in turns(16)]
    assert clip_views([7.0], 1) == [(0, 0)]


@pytest.mark.parametrize("fps", [25, 50, 100])
def test_a_clip_at_a_usual_rate_holds_all_views_in_turns(fps: int) -> None:
    cycle = [0, 1, 2, 3] * 5
    for end in range(3 * fps, 4 * fps):
        views = [view for _, view in clip_views([place / fps for place in range(end)], 16)]
        assert views in [cycle[start : start + 16] for start in range(4)], end


@pytest.mark.parametrize("fps", [5, 6.25, 8.333, 10, 12, 12.5, 15, 20, 24, 29.97, 30, 60, 120, 240])
@pytest.mark.parametrize("start", [0.0, 0.02, 0.035, 1.04])
def test_a_clip_at_another_rate_holds_all_views_about_as_often(fps: float, start: float) -> None:
    for end in range(120, 240):
        views = [view for _, view in clip_views([start + place / fps for place in range(end)], 16)]
        counts = [views.count(view) for view in range(4)]
        # a slow camera gives few frames, of which each fills several places
        assert max(counts) <= 4 + 2 * math.ceil(25 / fps), (end, counts)
        assert sum(TURNS[view].mirrored for view in views) in range(4, 13), (end, views)


@given(st.floats(0, 1e5), st.lists(st.floats(0.001, 0.4), max_size=60))
@settings(max_examples=60, deadline=None)
def test_the_buffer_holds_what_it_is_said_to_hold(start: float, steps: list[float]) -> None:
    buffer, times = ClipBuffer(16), [start]
    for step in steps:
        times.append(times[-1] + step)
    for place, time in enumerate(times):
        views = views_at(time, buffer.last, 16)
        buffer.push(time, views, [token(4 * place + view) for view in views])
    expected = [4 * place + view for place, view in clip_views(times, 16)]
    assert buffer.clip().flatten().tolist() == expected


def test_the_newest_of_two_frames_at_one_time_is_the_newest() -> None:
    assert nearest_places([1.0, 1.04, 1.04], 2, 25.0) == [0, 2]
    assert views_at(1.04, Sighting(1.04, 3), 16) == (3,)


def test_a_buffer_goes_on_where_another_stood() -> None:
    buffer, other = ClipBuffer(16), ClipBuffer(16)
    for place in range(6):
        views = views_at(place / 25, buffer.last, 16)
        buffer.push(place / 25, views, [token(float(place))] * len(views))
    other.restore(buffer.state(), torch.device("cpu"))
    assert other.last == buffer.last == Sighting(5 / 25, 1)
    assert torch.equal(other.clip(), buffer.clip())


@pytest.mark.slow
@pytest.mark.parametrize("place", [0, 1])
def test_a_face_that_begins_is_read_as_a_still_in_all_views(network: Network, place: int) -> None:
    time, seen = place / BUFFER_FPS, observation(4)
    seen.picture[:, :112] //= 8  # its mirror image is another one
    seen.picture[:112] //= 2  # and its middle is another
    streamed = values(StreamReader(network, Preprocessing(), torch.device("cpu"), "torch"), [seen], time)[0]
    assert seen.landmarks is not None
    clips = NetworkClips(network, Preprocessing(), torch.device("cpu"))
    read = clips.read(seen.picture[None], seen.landmarks[None], torch.zeros(1, 16, dtype=torch.int64))
    expected = torch.cat([clips.probabilities(read)[0], read.valence, read.arousal])
    torch.testing.assert_close(streamed, expected, atol=1e-5, rtol=0)
    for view in TURNS:
        one = Preprocessing().fitted(seen.picture[None], [view])
        other = network(one[None].expand(1, 16, -1, -1, -1), seen.landmarks.expand(1, 16, -1))
        assert (network.probabilities(other)[0] - streamed[:7]).abs().max() > 1e-4  # the other views count


@given(st.lists(st.floats(0.001, 0.4), min_size=1, max_size=80))
@settings(max_examples=60, deadline=None)
def test_the_buffer_forgets_only_what_it_no_longer_needs(steps: list[float]) -> None:
    buffer, times, time = ClipBuffer(16), [], 0.0
    for step in steps:
        time += step
        times.append(time)
        buffer.push(time, [0], [token(float(len(times) - 1))])
    expected = nearest_places(times, 16, BUFFER_FPS)
    assert buffer.clip().flatten().tolist() == [float(place) for place in expected]
    assert len(buffer.tokens) <= 1 + len([t for t in times if t > time - 16 / BUFFER_FPS]) + 1


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["torch", "onnx"])
def test_frames_in_a_row_are_read_as_each_by_itself(network: Network, backend: str) -> None:
    """Faces come, cross a long gap and go; what is left in the buffers is the same as well."""
    together = StreamReader(network, Preprocessing(), torch.device("cpu"), backend)
    alone = StreamReader(network, Preprocessing(), torch.device("cpu"), backend)
    times = [0.0, 0.04, 0.08, 0.12, 3.0, 3.04, 3.08]
    tracks = [(1,), (1, 2), (), (2, 1), (2,), (), (3, 2)]
    frames = [
        ([observation(10 * place + track, track) for track in shown], time)
        for place, (shown, time) in enumerate(zip(tracks, times, strict=True))
    ]
    at_once = [row for group in (frames[:4], frames[4:]) for row in together.read_all(group)]
    one_by_one = [alone.read(faces, time) for faces, time in frames]
    assert [len(rows) for rows in at_once] == [len(shown) for shown in tracks]
    for rows, others in zip(at_once, one_by_one, strict=True):
        for (probabilities, *affect), (expected, *other) in zip(rows, others, strict=True):
            torch.testing.assert_close(torch.tensor([*probabilities, *affect]), torch.tensor([*expected, *other]))
    assert set(together.buffers) == set(alone.buffers)
    assert all(together.buffers[track].times == alone.buffers[track].times for track in alone.buffers)
