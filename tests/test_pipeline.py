"""The order of the stages, overlapped or not, and what becomes of the sinks when something breaks."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from fakes import ArraySource, CollectSink, FixedAnalyzer, FixedReader, stamp

from stemo.errors import InputError, OutputError, StemoError, TruncatedError
from stemo.insight.smoothing import Ema, MovingAverage
from stemo.pipeline import AHEAD, CHECKPOINT, DEPTH, Found, Pipeline, Rate, Smoother, deliver, groups
from stemo.records import Face, Frame, FrameResult, SceneObject

Stages = Callable[[], list[threading.Thread]]

COUNT = 30
IMAGES = [stamp(index, 48, 32) for index in range(COUNT)]
EMPTY = (0, 7, 8, COUNT - 1)


class MovingObject:
    """A scene with one object that lies where the frame's index says."""

    def update(self, frame: Frame) -> tuple[SceneObject, ...]:
        return (SceneObject("cup", 0.5, (float(frame.index), 0.0, 10.0, 10.0)),)


class CountedSource(ArraySource):
    """Counts the frames that were asked for."""

    asked = 0

    def __iter__(self) -> Iterator[Frame]:
        for frame in super().__iter__():
            self.asked += 1
            yield frame


def pipeline(smoother: Smoother | None = None, **analyzer: Any) -> Pipeline:
    return Pipeline(FixedAnalyzer(**analyzer), FixedReader(), smoother or MovingAverage(5), MovingObject())


def facts(result: FrameResult) -> list[object]:
    """Everything of a result but its rate, which is for display only, as comparable values."""
    readings = [
        (reading.frame, reading.time, reading.raw, reading.smoothed, reading.face and face_facts(reading.face))
        for reading in result.readings
    ]
    return [result.frame.index, result.frame.time, result.frame.image.tobytes(), result.objects, readings]


def face_facts(face: Face) -> list[object]:
    return [getattr(face, field.name) for field in fields(face)]


@pytest.mark.parametrize("smoother", [lambda: MovingAverage(5), lambda: MovingAverage(1), lambda: Ema(0.3)])
def test_overlapped_results_equal_the_synchronous_ones(smoother: Any) -> None:
    ways = [
        [facts(result) for result in pipeline(smoother(), count=2, empty=EMPTY).results(source, overlapped=overlapped)]
        for overlapped in (False, True)
        for source in [ArraySource(IMAGES)]
    ]
    assert len(ways[0]) == COUNT
    assert ways[0] == ways[1]


@pytest.mark.parametrize("batch", [2, 4, 7, 100])
def test_frames_read_at_once_have_the_results_of_each_by_itself(batch: int) -> None:
    alone = pipeline(count=2, empty=EMPTY)
    together = replace(pipeline(count=2, empty=EMPTY), batch=batch)
    ways = [[facts(result) for result in way.results(ArraySource(IMAGES))] for way in (alone, together)]
    assert ways[0] == ways[1]


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("overlapped", [False, True])
def test_faces_are_described_in_their_own_frame(overlapped: bool, batch: int) -> None:
    results = replace(pipeline(count=2), batch=batch).results(ArraySource(IMAGES), overlapped=overlapped)
    poses = [reading.face and reading.face.pose for result in results for reading in result.readings]
    assert poses == [(0.0, 0.0, float(index)) for index in range(COUNT) for _ in range(2)]


def found(indices: Iterable[int], error: Exception | None = None) -> Iterator[Found]:
    for index in indices:
        yield Found(Frame(index, index / 25, IMAGES[0]), [], (), None)
    if error is not None:
        raise error


def test_a_checkpoint_begins_a_group() -> None:
    begin = CHECKPOINT - 6
    lists = [[item.frame.index for item in group] for group in groups(found(range(begin, CHECKPOINT + 7)), 4)]
    resumed = [[item.frame.index for item in group] for group in groups(found(range(CHECKPOINT, CHECKPOINT + 7)), 4)]
    assert lists[2:] == resumed
    assert [number for group in lists for number in group] == list(range(begin, CHECKPOINT + 7))
    assert max(len(group) for group in lists) == 4


def test_what_came_before_an_exception_is_read() -> None:
    grouped = groups(found(range(6), InputError("broken on purpose")), 4)
    assert [len(next(grouped)), len(next(grouped))] == [4, 2]
    with pytest.raises(InputError):
        next(grouped)


@pytest.mark.parametrize("overlapped", [False, True])
def test_every_frame_has_a_reading_in_order(overlapped: bool) -> None:
    results = list(pipeline(count=2, empty=EMPTY).results(ArraySource(IMAGES), overlapped=overlapped))
    assert [result.frame.index for result in results] == list(range(COUNT))
    for result in results:
        expected = 1 if result.frame.index in EMPTY else 2
        assert len(result.readings) == expected
        assert len(result.faces) == (0 if result.frame.index in EMPTY else 2)
        assert all(reading.time == result.frame.time for reading in result.readings)


def test_a_frame_without_a_face_says_so() -> None:
    (reading,) = next(iter(pipeline(empty=(0,)).results(ArraySource(IMAGES[:1])))).readings
    assert (reading.face, reading.raw, reading.smoothed) == (None, None, None)


def test_raw_readings_are_the_readers_and_smoothed_ones_their_mean() -> None:
    readings = [result.readings[0] for result in pipeline(MovingAverage(3)).results(ArraySource(IMAGES))]
    for reading in readings:
        assert reading.raw == FixedReader.affect(1, reading.time)
    for before, middle, last in zip(readings, readings[1:], readings[2:], strict=False):
        raws = [reading.raw.valence for reading in (before, middle, last) if reading.raw]
        assert last.smoothed is not None
        assert last.smoothed.valence == pytest.approx(np.mean(raws))


def test_results_do_not_carry_the_crops() -> None:
    for result in pipeline().results(ArraySource(IMAGES)):
        assert all(reading.face is not None and reading.face.crop is None for reading in result.readings)


@pytest.mark.parametrize("overlapped", [False, True])
@pytest.mark.parametrize("stage", ["source", "analyzer", "reader"])
def test_an_exception_comes_after_the_results_before_it(stage: str, overlapped: bool, stage_threads: Stages) -> None:
    problem = InputError("broken on purpose")
    source = ArraySource(IMAGES[:9], error=problem) if stage == "source" else ArraySource(IMAGES)
    analyzer = FixedAnalyzer(fails=(9, problem) if stage == "analyzer" else None)
    reader = FixedReader(fails=(9 / 25, problem) if stage == "reader" else None)
    results = Pipeline(analyzer, reader, MovingAverage(5)).results(source, overlapped=overlapped)
    assert [next(results).frame.index for _ in range(9)] == list(range(9))
    with pytest.raises(InputError) as caught:
        next(results)
    assert caught.value is problem
    assert stage_threads() == []


def test_threads_end_with_the_last_result(stage_threads: Stages) -> None:
    assert len(list(pipeline().results(ArraySource(IMAGES)))) == COUNT
    assert stage_threads() == []


def test_threads_end_when_the_reader_of_results_leaves_early(stage_threads: Stages) -> None:
    results = pipeline().results(ArraySource(IMAGES * 10))
    next(iter(results))
    assert len(stage_threads()) == 3  # that decodes, that finds, that reads
    results.close()  # type: ignore[attr-defined]
    assert stage_threads() == []


def test_no_stage_runs_far_ahead() -> None:
    source = CountedSource(IMAGES * 10)
    for taken, _ in enumerate(pipeline().results(source), start=1):
        assert source.asked <= taken + 2 * (DEPTH + 1) + AHEAD + 1


# --- large pictures ---

SIZE = 48 * 32  # pixels of each of the made frames


@pytest.mark.parametrize("batch", [1, 4, 100])
@pytest.mark.parametrize("frames", [0.5, 1, 2, 3, 5])
def test_large_pictures_have_the_same_results_however_few_are_under_way(frames: float, batch: int) -> None:
    few = replace(pipeline(count=2, empty=EMPTY), batch=batch, pixels=int(frames * SIZE))
    source = CountedSource(IMAGES)
    expected = pipeline(count=2, empty=EMPTY).results(ArraySource(IMAGES), overlapped=False)
    for taken, (result, other) in enumerate(zip(few.results(source), expected, strict=True)):
        assert source.asked - taken <= max(frames, 1)  # the one just taken is under way still
        assert facts(result) == facts(other)


def test_of_8k_five_frames_are_under_way_at_most() -> None:
    picture = np.broadcast_to(np.uint8(0), (4320, 7680, 3))  # takes no memory
    source = CountedSource([picture] * COUNT)
    for taken, _ in enumerate(replace(pipeline(), batch=4).results(source)):
        assert source.asked - taken <= 5


@pytest.mark.parametrize("pixels", [1, 3 * SIZE])
def test_threads_end_where_frames_wait_for_room(pixels: int, stage_threads: Stages) -> None:
    results = replace(pipeline(), pixels=pixels).results(ArraySource(IMAGES))
    next(results)
    results.close()
    assert stage_threads() == []
    broken = Pipeline(FixedAnalyzer(fails=(1, InputError("broken on purpose"))), FixedReader(), MovingAverage(5))
    with pytest.raises(InputError):
        list(replace(broken, pixels=pixels).results(ArraySource(IMAGES)))
    assert stage_threads() == []


def test_a_group_is_full_with_so_many_pixels() -> None:
    lists = [[item.frame.index for item in group] for group in groups(found(range(7)), 4, int(2.5 * SIZE))]
    assert lists == [[0, 1, 2], [3, 4, 5], [6]]


def test_deliver_gives_every_result_to_every_sink() -> None:
    sinks = [CollectSink(), CollectSink()]
    deliver(pipeline().results(ArraySource(IMAGES)), sinks)
    for sink in sinks:
        assert [result.frame.index for result in sink.results] == list(range(COUNT))
        assert (sink.closed, sink.aborted) == ([True], 0)


@pytest.mark.parametrize("problem", [TruncatedError("ends early"), KeyboardInterrupt()])
def test_what_was_computed_is_kept_when_the_input_ends_early(problem: BaseException) -> None:
    sink = CollectSink()
    with pytest.raises(type(problem)):
        deliver(pipeline().results(ArraySource(IMAGES[:5], error=problem)), [sink])
    assert len(sink.results) == 5
    assert (sink.closed, sink.aborted) == ([False], 0)


def test_nothing_is_left_where_nothing_was_computed() -> None:
    sink = CollectSink()
    with pytest.raises(StemoError):
        deliver(pipeline(fails=(0, StemoError("no model"))).results(ArraySource(IMAGES)), [sink])
    assert (sink.closed, sink.aborted) == ([], 1)


def test_a_failing_sink_is_aborted_and_the_others_are_closed() -> None:
    problem = OutputError("disk full")
    sinks: Sequence[CollectSink] = [CollectSink(), CollectSink(fails=(4, problem)), CollectSink()]
    with pytest.raises(OutputError) as caught:
        deliver(pipeline().results(ArraySource(IMAGES)), sinks)
    assert caught.value is problem
    assert [sink.closed for sink in sinks] == [[False], [], [False]]
    assert [sink.aborted for sink in sinks] == [0, 1, 0]
    assert [len(sink.results) for sink in sinks] == [5, 4, 4]


def test_a_sink_that_cannot_be_closed_does_not_keep_the_others_open() -> None:
    sinks = [CollectSink(fails=(-1, OutputError("disk full"))), CollectSink()]
    with pytest.raises(OutputError, match="disk full"):
        deliver(pipeline().results(ArraySource(IMAGES)), sinks)
    assert sinks[1].closed == [True]


def test_the_rate_is_told_once_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = [0.0, 0.001, 0.002, 0.1, 0.2, 0.3, 0.4, 1.2, 1.3]
    monkeypatch.setattr("stemo.pipeline.time.monotonic", iter(moments).__next__)
    rate = Rate()
    told = [rate.tick() for _ in moments]
    assert told[:5] == [0.0] * 5  # a burst is no rate
    assert told[5:] == pytest.approx([5 / 0.3, 6 / 0.4, 2 / 0.9, 2 / 0.9])
