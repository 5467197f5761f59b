"""The decoder over containers that fail: a camera that is lost, a disk that breaks, clocks that mislead."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import av
import av.error
import pytest
from fakes import FixedRecognizer, make_video, read_stamp
from numpy.testing import assert_allclose

from stemo.capture import Source, open_source
from stemo.capture.decoding import Decoder
from stemo.capture.video import VideoSource
from stemo.config import RecognitionSettings
from stemo.errors import TruncatedError
from stemo.modes.video import run_video


class Lost:
    """An open container whose packets stop coming after ``count``, with the fault of a disk or network."""

    def __init__(self, path: Path, count: int) -> None:
        self._container, self._count = av.open(str(path)), count
        self.given = 0

    def demux(self, *streams: Any) -> Iterator[Any]:
        """The packets before the fault, and then the fault."""
        for packet in self._container.demux(*streams):
            if self.given == self._count:
                raise av.error.OSError(5, "Input/output error")
            self.given += 1
            yield packet

    def __getattr__(self, name: str) -> Any:
        return getattr(self._container, name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._container.close()


def lost(path: Path, count: int, **given: Any) -> VideoSource:
    """The video at ``path``, lost after so many packets."""
    return VideoSource(Lost(path, count), path.name, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize("end", [None, 100.0])
def test_a_read_that_fails_keeps_time_and_order_of_what_was_still_to_come(tmp_path: Path, end: float | None) -> None:
    times = make_video(tmp_path / "a.mp4", frames=60)
    found: list[tuple[int, float]] = []
    with pytest.raises(TruncatedError, match="breaks off"), lost(tmp_path / "a.mp4", 20, end=end) as source:
        found.extend((read_stamp(frame.image), frame.time) for frame in source)
    stamps, seen = [stamp for stamp, _ in found], [time for _, time in found]
    assert len(found) == 20
    assert stamps[:-1] == list(range(19))  # the last is what there was in the place of a picture that refers to it
    assert_allclose(seen[:-1], times[:19], atol=1e-6)
    assert seen == sorted(set(seen))


def test_an_end_before_the_fault_is_reached(tmp_path: Path) -> None:
    make_video(tmp_path / "a.mp4", frames=60)
    with lost(tmp_path / "a.mp4", 20, end=0.4) as source:
        assert [read_stamp(frame.image) for frame in source] == list(range(10))


@pytest.mark.parametrize("end", [None, 100.0])
def test_rows_and_video_before_a_read_that_fails_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: float | None
) -> None:
    make_video(tmp_path / "a.mp4", frames=60)

    def open_lost(_spec: str, *, start: float | None, end: float | None) -> Source:
        return lost(tmp_path / "a.mp4", 20, start=start, end=end)

    monkeypatch.setattr("stemo.modes.video.open_source", open_lost)
    given: Any = {"recognizer": FixedRecognizer(), "bar": False}
    with pytest.raises(TruncatedError, match="breaks off"):
        run_video("a.mp4", tmp_path / "out.mp4", RecognitionSettings(end=end), False, False, print, **given)
    rows = json.loads((tmp_path / "out_results.json").read_text())
    assert [row["frame"] for row in rows] == list(range(20))
    assert json.loads((tmp_path / "out_meta.json").read_text())["complete"] is False
    with av.open(str(tmp_path / "out.mp4")) as video:
        assert sum(1 for _ in video.decode(video=0)) == 20


def test_a_live_stream_holds_no_frames_back_for_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stemo.capture.decoding.codec_threads", lambda: 8)
    make_video(tmp_path / "a.mp4", frames=40)
    given = {}
    for live in (False, True):
        with Lost(tmp_path / "a.mp4", 100) as container:
            container_: Any = container
            next(Decoder(container_, container_.streams.video[0], live=live).frames(None, None))
            given[live] = container.given
    assert given[True] <= 4 < given[False]  # two B-frames wait for the picture that they refer to


class Timeless(Lost):
    """A container that says of no picture when it is shown, and seeks as if it did."""

    def demux(self, *streams: Any) -> Iterator[Any]:
        """The packets, without their times."""
        for packet in self._container.demux(*streams):
            packet.pts = packet.dts = None
            yield packet


def test_a_seek_is_not_trusted_where_no_frame_says_its_time(tmp_path: Path) -> None:
    make_video(tmp_path / "a.mkv", frames=100, between="0")
    with VideoSource(Timeless(tmp_path / "a.mkv", 0), "a.mkv", start=2.0, end=2.2) as source:  # type: ignore[arg-type]
        assert [read_stamp(frame.image) for frame in source] == [50, 51, 52, 53, 54]


@pytest.mark.parametrize("between", ["0", "2"])
def test_h264_in_avi_counts_its_frames(tmp_path: Path, between: str) -> None:
    """AVI says when a packet is decoded, not when its picture is shown."""
    make_video(tmp_path / "a.avi", frames=100, between=between)
    with open_source(tmp_path / "a.avi") as source:
        found = [(read_stamp(frame.image), frame.time) for frame in source]
    assert [stamp for stamp, _ in found] == list(range(100))
    assert_allclose([time for _, time in found], [index / 25 for index in range(100)], atol=1e-6)
