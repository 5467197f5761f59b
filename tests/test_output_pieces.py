"""A video in pieces is the same video: times, sound, errors."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from stemo.errors import InputError, OutputError
from stemo.output.pieces import PiecedVideo
from stemo.output.saved import packed, unpacked
from stemo.output.sound import Excerpt
from stemo.output.video import VideoWriter

STEADY = [step / 25 for step in range(30)]
UNEVEN = [0.0, 0.01, 0.02, 0.03, 0.4, 0.9, 0.901, 0.902, 0.903, 0.904, 2.0, 4.0, 4.001, 4.002, 9.0]
FAR = [9000.0 + time for time in STEADY]


def picture(step: int) -> np.ndarray:
    image = np.full((48, 64, 3), (200, 60, 30), np.uint8)
    image[:, : 4 + 2 * step % 40] = (20, 60, 200)
    return image


def packets(path: Path, kind: str) -> list[tuple[int | None, Any]]:
    with av.open(str(path)) as file:
        (stream,) = [stream for stream in file.streams if stream.type == kind]
        return sorted((packet.pts, stream.time_base) for packet in file.demux(stream) if packet.pts is not None)


def pictures(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as file:
        return [frame.to_ndarray(format="gray") for frame in file.decode(video=0)]


def in_pieces(folder: Path, times: list[float], cuts: tuple[int, ...], **options: Any) -> Path:
    """Write pictures at ``times``; at each of ``cuts`` another writer goes on."""
    (folder / "work").mkdir()
    writer = PiecedVideo(folder / "pieces.mp4", folder / "work", 64, 48, Fraction(25), Excerpt(**options))
    for step, time in enumerate(times):
        if step in cuts:
            state = unpacked(packed(writer.state()))
            writer.write(picture(0), time)  # which the next one knows nothing of
            writer.abort()
            writer = PiecedVideo(folder / "pieces.mp4", folder / "work", 64, 48, Fraction(25), Excerpt(**options))
            writer.restore(state)
        writer.write(picture(step), time)
    writer.close()
    return folder / "pieces.mp4"


def in_one(folder: Path, times: list[float], **options: Any) -> Path:
    with VideoWriter(folder / "one.mp4", 64, 48, Fraction(25), Excerpt(**options)) as writer:
        for step, time in enumerate(times):
            writer.write(picture(step), time)
    return folder / "one.mp4"


@pytest.mark.parametrize("times", [STEADY, UNEVEN, FAR], ids=["steady", "uneven", "far"])
@pytest.mark.parametrize("cuts", [(1,), (5, 6, 13), (14,)])
def test_times_and_pictures_are_those_of_a_video_in_one(
    tmp_path: Path, times: list[float], cuts: tuple[int, ...]
) -> None:
    pieces, one = in_pieces(tmp_path, times, cuts), in_one(tmp_path, times)
    assert packets(pieces, "video") == packets(one, "video")
    for seen, expected in zip(pictures(pieces), pictures(one), strict=True):
        assert np.abs(seen.astype(int) - expected).mean() < 3
    data = pieces.read_bytes()
    assert 0 < data.find(b"moov") < data.find(b"mdat")


@pytest.mark.parametrize("options", [{}, {"start": 0.2, "end": 0.8}])
@pytest.mark.parametrize(("codec", "form"), [("aac", "mp4"), ("pcm_s16le", "wav")])
def test_sound_is_that_of_a_video_in_one(tmp_path: Path, options: dict[str, float], codec: str, form: str) -> None:
    source = tmp_path / f"in.{form}"
    with av.open(str(source), "w", format=form) as file:
        stream = file.add_stream(codec, rate=48_000, layout="mono")
        assert isinstance(stream, av.AudioStream)
        for start in range(0, 57_600, 1024):
            tone = (np.sin(np.arange(start, start + 1024) / 17)[None] * 9000).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(tone, format="s16", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = 48_000, start, Fraction(1, 48_000)
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    times = [time for time in STEADY if options.get("start", 0.0) <= time < options.get("end", 9.0)]
    pieces = in_pieces(tmp_path, times, (4, 9), sound_from=source, **options)
    one = in_one(tmp_path, times, sound_from=source, **options)
    assert packets(pieces, "audio") == packets(one, "audio") != []
    assert packets(pieces, "video") == packets(one, "video")


def test_faults_are_those_of_a_video_in_one(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "words.mp4").write_text("words")
    with pytest.raises(InputError, match="sound of"):
        PiecedVideo(tmp_path / "o.mp4", tmp_path / "work", 64, 48, Fraction(25), Excerpt(tmp_path / "words.mp4"))
    writer = PiecedVideo(tmp_path / "o.mp4", tmp_path / "work", 32, 48, Fraction(25))
    with pytest.raises(OutputError, match="expected 32x48, got 64x48"):
        writer.write(picture(0), 0.0)
    with pytest.raises(OutputError, match="is empty"):
        writer.close()
    with pytest.raises(OutputError, match="exists"):
        PiecedVideo(tmp_path / "words.mp4", tmp_path / "work", 64, 48, Fraction(25))
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["words.mp4", "work"]


def test_a_colon_in_the_name_of_a_relative_folder_is_no_protocol(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    work = Path(".a:b.mp4.resume")
    work.mkdir()
    writer = PiecedVideo(Path("a:b.mp4"), work, 64, 48, Fraction(25))
    for step, time in enumerate(STEADY):
        writer.write(picture(step), time)
        if step == 12:
            writer.state()
    writer.close()
    assert len(pictures(tmp_path / "a:b.mp4")) == len(STEADY)
