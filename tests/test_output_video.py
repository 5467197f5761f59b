from __future__ import annotations

import resource
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from stemo.errors import InputError, OutputError
from stemo.output.sound import Excerpt
from stemo.output.video import VideoWriter, as_frame

RATE = 48_000


def picture(step: int, width: int = 64, height: int = 48) -> np.ndarray:
    image = np.full((height, width, 3), (200, 60, 30), np.uint8)
    image[:, : 4 + step % 40] = (20, 60, 200)
    return image


def sound_file(path: Path, codec: str, form: str, seconds: float = 2.0) -> Path:
    with av.open(str(path), "w", format=form) as file:
        stream = file.add_stream(codec, rate=RATE, layout="mono")
        assert isinstance(stream, av.AudioStream)
        for start in range(0, int(seconds * RATE), 1024):
            tone = np.sin(np.arange(start, start + 1024) * 2 * np.pi * 440 / RATE)
            frame = av.AudioFrame.from_ndarray((tone[None] * 9000).astype(np.int16), format="s16", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = RATE, start, Fraction(1, RATE)
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path


def write(path: Path, times: list[float], **options) -> VideoWriter:
    writer = VideoWriter(path, 64, 48, Fraction(25), Excerpt(**options))
    for step, time in enumerate(times):
        writer.write(picture(step), time)
    return writer


def frame_times(path: Path) -> list[float]:
    with av.open(str(path)) as file:
        return [float(frame.time or 0) for frame in file.decode(video=0)]


def audio_packets(path: Path) -> list[tuple[float, bytes]]:
    with av.open(str(path)) as file:
        packets = file.demux(file.streams.audio[0])
        return [(float(p.pts * p.time_base), bytes(p)) for p in packets if p.pts is not None and p.size]


def span(path: Path) -> tuple[float, float]:
    times = [time for time, _ in audio_packets(path)]
    return times[0], times[-1]


STEADY = [step / 25 for step in range(50)]


def test_variable_times_are_kept(tmp_path: Path) -> None:
    times = [0.0, 0.04, 0.1, 0.11, 0.5, 0.9333333]
    write(tmp_path / "o.mp4", times).close()
    np.testing.assert_allclose(frame_times(tmp_path / "o.mp4"), times, atol=1e-4)


def test_times_that_stand_still_still_increase(tmp_path: Path) -> None:
    write(tmp_path / "o.mp4", [0.0, 0.0, 0.0, 0.04]).close()
    assert all(a < b for a, b in pairwise(frame_times(tmp_path / "o.mp4")))
    assert len(frame_times(tmp_path / "o.mp4")) == 4


def test_it_plays_everywhere_and_keeps_its_colours(tmp_path: Path) -> None:
    write(tmp_path / "o.mp4", STEADY).close()
    data = (tmp_path / "o.mp4").read_bytes()
    assert 0 < data.find(b"moov") < data.find(b"mdat")
    with av.open(str(tmp_path / "o.mp4")) as file:
        stream = file.streams.video[0]
        assert (stream.codec_context.name, stream.pix_fmt) == ("h264", "yuv420p")
        assert stream.average_rate == 25
        image = next(file.decode(video=0)).to_ndarray(format="rgb24")
    np.testing.assert_allclose(image[24, 56], (200, 60, 30), atol=6)


@pytest.mark.parametrize("size", [(2, 2), (1, 1), (34, 22), (642, 362), (33, 7), (64, 48)])
def test_every_pixel_reaches_the_encoder(size: tuple[int, int]) -> None:
    width, height = size
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    frame = as_frame(image, 7)
    whole = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    assert (frame.width, frame.height, frame.pts) == (whole.shape[1], whole.shape[0], 7)
    np.testing.assert_array_equal(frame.to_ndarray(format="yuv420p"), cv2.cvtColor(whole, cv2.COLOR_RGB2YUV_I420))


def test_odd_sizes_gain_a_row_and_a_column(tmp_path: Path) -> None:
    writer = VideoWriter(tmp_path / "o.mp4", 63, 47, Fraction(25))
    writer.write(picture(0, 63, 47), 0.0)
    writer.close()
    with av.open(str(tmp_path / "o.mp4")) as file:
        assert (file.streams.video[0].width, file.streams.video[0].height) == (64, 48)


def test_start_becomes_zero_and_a_far_clock_too(tmp_path: Path) -> None:
    write(tmp_path / "a.mp4", [5.0, 5.04], start=5.0).close()
    write(tmp_path / "b.mp4", [9000.0, 9000.04]).close()
    write(tmp_path / "c.mp4", [0.8, 0.84]).close()
    assert [frame_times(tmp_path / name)[0] for name in ("a.mp4", "b.mp4", "c.mp4")] == pytest.approx([0, 0, 0.8])


def test_sound_that_mp4_carries_is_not_encoded_again(tmp_path: Path) -> None:
    source = sound_file(tmp_path / "in.mp4", "aac", "mp4")
    writer = write(tmp_path / "o.mp4", STEADY, sound_from=source)
    assert writer.has_sound
    writer.close()
    assert [data for _, data in audio_packets(tmp_path / "o.mp4")] == [data for _, data in audio_packets(source)]


def test_other_sound_becomes_aac(tmp_path: Path) -> None:
    source = sound_file(tmp_path / "in.wav", "pcm_s16le", "wav")
    write(tmp_path / "o.mp4", STEADY, sound_from=source).close()
    with av.open(str(tmp_path / "o.mp4")) as file:
        assert file.streams.audio[0].codec_context.name == "aac"
    first, last = span(tmp_path / "o.mp4")
    assert first <= 0.0
    assert last == pytest.approx(2.0, abs=0.05)


@pytest.mark.parametrize(("codec", "form"), [("aac", "mp4"), ("pcm_s16le", "wav")])
def test_sound_is_trimmed_with_the_picture(tmp_path: Path, codec: str, form: str) -> None:
    source = sound_file(tmp_path / "in", codec, form)
    times = [time for time in STEADY if 0.5 <= time < 1.5]
    write(tmp_path / "o.mp4", times, sound_from=source, start=0.5, end=1.5).close()
    first, last = span(tmp_path / "o.mp4")
    assert first == pytest.approx(0, abs=0.03)
    assert last == pytest.approx(1.0, abs=0.06)


def test_a_source_without_sound_is_fine(tmp_path: Path) -> None:
    write(tmp_path / "in.mp4", STEADY).close()
    writer = write(tmp_path / "o.mp4", STEADY, sound_from=tmp_path / "in.mp4")
    assert not writer.has_sound
    writer.close()
    assert len(frame_times(tmp_path / "o.mp4")) == 50


def test_unreadable_sound_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "in.mp4").write_text("words")
    with pytest.raises(InputError, match="sound of"):
        VideoWriter(tmp_path / "o.mp4", 64, 48, Fraction(25), Excerpt(tmp_path / "in.mp4"))
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]


def test_the_name_appears_only_when_complete(tmp_path: Path) -> None:
    writer = write(tmp_path / "o.mp4", STEADY)
    assert [path.name for path in tmp_path.iterdir()] == ["o.mp4.part"]
    writer.close()
    writer.close()
    assert [path.name for path in tmp_path.iterdir()] == ["o.mp4"]


def test_abort_and_exceptions_leave_nothing(tmp_path: Path) -> None:
    write(tmp_path / "o.mp4", STEADY).abort()
    VideoWriter(tmp_path / "p.mp4", 64, 48, Fraction(25)).abort()
    with pytest.raises(KeyError):
        break_off(tmp_path / "q.mp4")
    assert list(tmp_path.iterdir()) == []


def break_off(path: Path) -> None:
    with VideoWriter(path, 64, 48, Fraction(25)) as writer:
        writer.write(picture(0), 0.0)
        raise KeyError


def test_keep_finishes_what_was_written_and_ends_the_sound_there(tmp_path: Path) -> None:
    source = sound_file(tmp_path / "in.mp4", "aac", "mp4")
    write(tmp_path / "o.mp4", STEADY[:20], sound_from=source).close(keep=True)
    assert len(frame_times(tmp_path / "o.mp4")) == 20
    assert span(tmp_path / "o.mp4")[1] <= 0.8


def test_no_picture_is_an_error_unless_kept(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="is empty"):
        write(tmp_path / "o.mp4", []).close()
    write(tmp_path / "o.mp4", []).close(keep=True)
    assert list(tmp_path.iterdir()) == []


def test_what_the_encoder_does_not_take_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"16400x8 pixels is too large for H\.264: expected at most 16384 a side"):
        VideoWriter(tmp_path / "wide.mp4", 16_400, 8, Fraction(25))
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_one_clear_error(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    writer = VideoWriter(tmp_path / "o.mp4", 640, 480, Fraction(25))
    noise = np.random.default_rng(0).integers(0, 255, (480, 640, 3), np.uint8)
    resource.setrlimit(resource.RLIMIT_FSIZE, (65_536, hard))
    try:
        with pytest.raises(OutputError, match="cannot be written"):
            fill(writer, noise)
        writer.abort()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []


def fill(writer: VideoWriter, image: np.ndarray) -> None:
    for step in range(12):
        writer.write(image, step / 25)
    writer.close()


def test_bad_places_and_sizes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="is missing"):
        VideoWriter(tmp_path / "no" / "o.mp4", 64, 48, Fraction(25))
    (tmp_path / "o.mp4").write_text("mine")
    with pytest.raises(OutputError, match="--overwrite"):
        VideoWriter(tmp_path / "o.mp4", 64, 48, Fraction(25))
    with VideoWriter(tmp_path / "o.mp4", 64, 48, Fraction(25), overwrite=True) as writer:
        with pytest.raises(OutputError, match="expected 64x48, got 32x48"):
            writer.write(picture(0, 32, 48), 0.0)
        writer.write(picture(0), 0.0)


@pytest.mark.parametrize("name", ["face_noface.mov", "several_faces.mp4", "single_face.mp4"])
def test_real_sound_and_times_survive(tmp_path: Path, shared: Path, name: str) -> None:
    source = shared / "videos" / name
    with av.open(str(source)) as file:
        stream = file.streams.video[0]
        times = [float(packet.pts * packet.time_base) for packet in file.demux(stream) if packet.pts is not None]
    times.sort()
    write(tmp_path / "o.mp4", times, sound_from=source).close()
    np.testing.assert_allclose(frame_times(tmp_path / "o.mp4"), times, atol=1e-3)
    kept, given = audio_packets(tmp_path / "o.mp4"), audio_packets(source)
    assert [data for _, data in kept] == [data for _, data in given]
    np.testing.assert_allclose([time for time, _ in kept], [time for time, _ in given], atol=1e-3)
