"""The newest frame wins; nothing grows, nothing hangs, and errors arrive."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes import ArraySource, make_video, read_stamp, stamp

from stemo.capture import latest, open_source
from stemo.errors import TruncatedError
from stemo.records import Frame

IMAGES = [stamp(index, 48, 16) for index in range(30)]


class GatedSource(ArraySource):
    """Gives ``free`` frames at once, and each further one only when the gate opens."""

    def __init__(self, free: int) -> None:
        super().__init__(IMAGES)
        self.free, self.gate, self.waiting = free, threading.Event(), threading.Event()

    def __iter__(self) -> Iterator[Frame]:
        for frame in super().__iter__():
            if frame.index >= self.free:
                self.waiting.set()
                self.gate.wait(10)
            yield frame


def test_the_newest_frame_wins_and_the_rest_is_counted() -> None:
    source = GatedSource(free=10)
    with latest(source, realtime=False) as live:
        assert source.waiting.wait(10)
        frames = iter(live)
        assert next(frames).index == 9
        assert live.dropped == 9
        source.gate.set()
        rest = [frame.index for frame in frames]
    assert rest == sorted(set(rest))
    assert rest[-1] == 29
    assert live.dropped == 30 - 1 - len(rest)


def test_the_mailbox_has_one_slot() -> None:
    with latest(ArraySource(IMAGES), realtime=False) as live:
        live._thread.join(10)
        assert [frame.index for frame in live] == [29]
        assert live.dropped == 29


def test_a_failure_arrives_after_the_last_frame() -> None:
    source = ArraySource(IMAGES[:3], error=TruncatedError("cut"))
    with latest(source, realtime=False) as live:
        live._thread.join(10)
        frames = iter(live)
        assert next(frames).index == 2
        with pytest.raises(TruncatedError, match="cut"):
            next(frames)
    assert source.closed


def test_closing_early_stops_the_thread_and_closes_the_source() -> None:
    source = ArraySource(IMAGES, times=[float(index * 100) for index in range(30)])
    live = latest(source, realtime=True)
    assert next(iter(live)).index == 0
    live.close()
    live.close()
    assert not live._thread.is_alive()
    assert source.closed == 1
    assert list(live) == []


def test_closing_wakes_a_reader_that_waits() -> None:
    source = GatedSource(free=1)
    live = latest(source, realtime=False)
    frames: list[int] = []
    reader = threading.Thread(target=lambda: frames.extend(frame.index for frame in live))
    reader.start()
    assert source.waiting.wait(10)
    closer = threading.Thread(target=live.close)
    closer.start()
    reader.join(10)
    assert not reader.is_alive()
    source.gate.set()
    closer.join(10)
    assert not live._thread.is_alive()
    assert frames in ([], [0])


@pytest.mark.slow
def test_a_paced_file_gives_the_frames_of_the_plain_one(tmp_path: Path) -> None:
    """A reader quick enough gets every frame, with the same time and picture as when read as a file."""
    make_video(tmp_path / "a.mp4", frames=10, fps=10)
    with open_source(tmp_path / "a.mp4") as source:
        plain = {frame.index: (frame.time, read_stamp(frame.image)) for frame in source}
    with latest(open_source(tmp_path / "a.mp4"), realtime=True) as live:
        paced = {frame.index: (frame.time, read_stamp(frame.image)) for frame in live}
        assert live.info.frames == 10
    assert paced.items() <= plain.items()
    assert len(paced) + live.dropped == 10
