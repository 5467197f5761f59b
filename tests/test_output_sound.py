"""Odd, damaged and unknown sound: it is carried as far as it can be, and never costs the pictures."""

from __future__ import annotations

import wave
from collections.abc import Container
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from stemo.output.pieces import PiecedVideo
from stemo.output.sound import Excerpt
from stemo.output.video import VideoWriter

RATE = 48_000
TONE = 440  # Hz
STEADY = [step / 25 for step in range(50)]


def sound_file(
    path: Path,
    codec: str,
    *,
    form: str | None = None,
    rate: int = RATE,
    seconds: float = 2.0,
    loud_from: float = 0.0,
    layout: str = "mono",
    damaged: Container[int] = (),
) -> Path:
    """A tone, silent before ``loud_from`` (seconds); of the packets ``damaged``, every bit is set."""
    with av.open(str(path), "w", format=form) as file:
        stream = file.add_stream(codec, rate=rate, layout=layout)
        assert isinstance(stream, av.AudioStream)
        number = 0
        for start in [*range(0, int(seconds * rate), 1024), None]:
            for packet in stream.encode(None if start is None else tone(start, rate, loud_from, layout)):
                file.mux(spoilt(packet) if number in damaged else packet)
                number += 1
    return path


def tone(start: int, rate: int, loud_from: float, layout: str) -> av.AudioFrame:
    times = np.arange(start, start + 1024) / rate
    samples = (np.sin(times * 2 * np.pi * TONE) * 9000 * (times >= loud_from)).astype(np.int16)
    channels = av.AudioLayout(layout).nb_channels
    frame = av.AudioFrame.from_ndarray(np.tile(samples, (channels, 1)), format="s16p", layout=layout)
    frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
    return frame


def spoilt(packet: av.Packet) -> av.Packet:
    bad = av.Packet(b"\xff" * packet.size)
    bad.stream, bad.pts, bad.dts = packet.stream, packet.pts, packet.dts
    bad.time_base, bad.duration = packet.time_base, packet.duration
    return bad


def film(folder: Path, pieced: bool, source: Path, times: list[float] = STEADY, offset: float = 0.0) -> Path:
    """A video of pictures at ``times`` with the sound of ``source``; in two pieces (``--resume``) or at once."""
    path, excerpt, work = folder / "o.mp4", Excerpt(source, offset), folder / "work"
    work.mkdir()
    if pieced:
        writer = PiecedVideo(path, work, 64, 48, Fraction(25), excerpt)
    else:
        writer = VideoWriter(path, 64, 48, Fraction(25), excerpt)
    for step, time in enumerate(times):
        if isinstance(writer, PiecedVideo) and step == len(times) // 2:
            writer.state()
        writer.write(np.full((48, 64, 3), step * 3, np.uint8), time)
    writer.close()
    with av.open(str(path)) as file:
        assert len(list(file.decode(video=0))) == len(times)
    return path


def sound_times(path: Path) -> list[float]:
    """When each packet of sound begins, in seconds, in the order of the file."""
    with av.open(str(path)) as file:
        packets = file.demux(file.streams.audio[0])
        return [float(packet.dts * packet.time_base) for packet in packets if packet.dts is not None]


def heard(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """The first channel's samples and when each is heard, in seconds."""
    waves, times = [], []
    with av.open(str(path)) as file:
        for frame in file.decode(audio=0):
            assert frame.time is not None
            waves.append(frame.to_ndarray()[0])
            times.append(frame.time + np.arange(frame.samples) / frame.sample_rate)
    return np.concatenate(waves), np.concatenate(times)


def loud_from(path: Path) -> float:
    waves, times = heard(path)
    return float(times[np.argmax(np.abs(waves) > 0.1)])


def audio_of(path: Path) -> list[tuple[str, int]]:
    """The codec and the rate (Hz) of each stream of sound."""
    with av.open(str(path)) as file:
        return [(stream.codec_context.codec.canonical_name, stream.rate) for stream in file.streams.audio]


both = pytest.mark.parametrize("pieced", [False, True], ids=["one", "pieces"])


@pytest.mark.slow
@both
@pytest.mark.parametrize(
    ("rate", "nearest"), [(11_024, 11_025), (5_512, 7_350), (176_400, 96_000), (192_000, 96_000), (22_050, 22_050)]
)
def test_a_rate_that_aac_lacks_becomes_the_nearest(tmp_path: Path, pieced: bool, rate: int, nearest: int) -> None:
    output = film(tmp_path, pieced, sound_file(tmp_path / "in.avi", "pcm_s16le", rate=rate))
    assert audio_of(output) == [("aac", nearest)]
    waves, times = heard(output)
    middle = waves[(times >= 0.5) & (times < 1.5)]
    assert np.sum(np.diff(np.signbit(middle).astype(int)) == 1) == pytest.approx(TONE, abs=2)
    assert times[-1] == pytest.approx(2.0, abs=0.3)  # the last frame is 1024 samples long, whatever is in it


@both
def test_mp3_too_slow_for_mp4_becomes_aac(tmp_path: Path, pieced: bool) -> None:
    output = film(tmp_path, pieced, sound_file(tmp_path / "in.mkv", "libmp3lame", rate=11_025))
    assert audio_of(output) == [("aac", 11_025)]


@both
@pytest.mark.parametrize(("codec", "kept"), [("mp2", "aac"), ("pcm_f32le", "aac"), ("ac3", "ac3"), ("eac3", "eac3")])
def test_damaged_sound_is_left_out_and_the_rest_stays_in_step(
    tmp_path: Path, pieced: bool, codec: str, kept: str
) -> None:
    source = sound_file(tmp_path / "in.mkv", codec, loud_from=1.0, damaged={0, 7, 8, 12, 50})
    output = film(tmp_path, pieced, source)
    assert audio_of(output) == [(kept, RATE)]
    assert loud_from(output) == pytest.approx(1.0, abs=0.03)
    assert sound_times(output)[-1] == pytest.approx(2.0, abs=0.05)


@pytest.mark.slow
@both
@pytest.mark.parametrize(
    ("codec", "form", "kept"), [("aac", "mpegts", "aac"), ("ac3", "mpegts", "ac3"), ("mp2", "vob", "aac")]
)
@pytest.mark.parametrize("layout", ["mono", "stereo"])
def test_sound_that_goes_back_in_time_goes_on_where_the_pictures_do(
    tmp_path: Path, pieced: bool, codec: str, form: str, kept: str, layout: str
) -> None:
    first = sound_file(tmp_path / "a", codec, form=form, seconds=0.8, loud_from=9.0)
    second = sound_file(tmp_path / "b", codec, form=form, loud_from=1.5, layout=layout)
    (tmp_path / "ab").write_bytes(first.read_bytes() + second.read_bytes())
    with av.open(str(tmp_path / "ab")) as file:
        offset = (file.start_time or 0) / av.time_base
    output = film(tmp_path, pieced, tmp_path / "ab", STEADY[:20] + STEADY, offset)
    assert audio_of(output) == [(kept, RATE)]
    assert all(earlier < later for earlier, later in pairwise(sound_times(output)))
    assert loud_from(output) == pytest.approx(1.5, abs=0.06)
    assert sound_times(output)[-1] == pytest.approx(2.0, abs=0.06)


def unknown_codec(folder: Path) -> Path:
    source = sound_file(folder / "in.mkv", "pcm_s16le")
    data = source.read_bytes()
    assert data.count(b"A_PCM/INT/LIT") == 1
    source.write_bytes(data.replace(b"A_PCM/INT/LIT", b"A_PCM/ODD/LIT"))
    return source


def nothing_decodes(folder: Path) -> Path:
    return sound_file(folder / "in.ts", "mp2", damaged=range(1000))


@both
@pytest.mark.parametrize("make", [unknown_codec, nothing_decodes])
@pytest.mark.parametrize("times", [STEADY, [9000.0 + time for time in STEADY]], ids=["near", "far"])
def test_sound_that_nobody_can_read_is_no_sound(tmp_path: Path, pieced: bool, make, times: list[float]) -> None:
    assert audio_of(film(tmp_path, pieced, make(tmp_path), times)) == []


@both
def test_sound_that_cannot_be_mixed_leaves_the_pictures(tmp_path: Path, pieced: bool) -> None:
    with wave.open(str(tmp_path / "in.wav"), "wb") as file:
        file.setnchannels(9)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(bytes(18 * RATE))
    assert audio_of(film(tmp_path, pieced, tmp_path / "in.wav")) == []
