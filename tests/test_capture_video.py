"""Video files: timestamps, rotation, ranges, odd formats, all checked against what was encoded."""

from __future__ import annotations

import io
import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.bitstream import BitStreamFilterContext
from fakes import is_upright, make_sound, make_video, read_stamp, stamp
from PIL import Image

from stemo.capture import open_source
from stemo.errors import InputError

CLIPS = (
    "expressive_a.mp4",
    "expressive_b.mp4",
    "face_noface.mov",
    "no_face.mp4",
    "several_faces.mp4",
    "single_face.mp4",
)


def read(path: Path, **range_: float) -> tuple[list[int], list[float]]:
    """The stamps and times of all frames in ``path``."""
    with open_source(path, **range_) as source:
        pairs = [(read_stamp(frame.image), frame.time) for frame in source]
    return [stamp for stamp, _ in pairs], [time for _, time in pairs]


def test_every_frame_comes_once_in_order_with_its_time(tmp_path: Path) -> None:
    times = make_video(tmp_path / "a.mp4", frames=40)
    stamps, found = read(tmp_path / "a.mp4")
    assert stamps == list(range(40))
    assert found == pytest.approx(times, abs=1e-6)


def test_variable_frame_rate_keeps_the_stream_s_own_times(tmp_path: Path) -> None:
    wanted = [0.0, 0.01, 0.3, 0.31, 1.5, 1.54, 1.58, 4.0, 4.001, 4.2]
    make_video(tmp_path / "a.mp4", vfr_times=wanted)
    stamps, found = read(tmp_path / "a.mp4")
    assert stamps == list(range(10))
    assert found == pytest.approx(wanted, abs=1e-4)


def test_a_stream_that_starts_late_keeps_its_late_start(tmp_path: Path) -> None:
    make_video(tmp_path / "a.mkv", vfr_times=[2.0, 2.04, 2.08])
    assert read(tmp_path / "a.mkv")[1] == pytest.approx([2.0, 2.04, 2.08], abs=1e-3)


def test_a_clock_that_starts_anywhere_counts_from_the_start(tmp_path: Path) -> None:
    make_video(tmp_path / "a.ts", vfr_times=[index / 25 + 3600 for index in range(50)])
    with open_source(tmp_path / "a.ts") as source:
        assert source.info.origin > 3000
        assert [frame.time for frame in source] == pytest.approx([index / 25 for index in range(50)], abs=1e-3)
    assert read(tmp_path / "a.ts", start=1.0, end=1.2)[0] == [25, 26, 27, 28, 29]


def test_a_raw_stream_without_any_clock_counts_at_its_rate(tmp_path: Path) -> None:
    make_video(tmp_path / "a.h264", frames=20)
    stamps, times = read(tmp_path / "a.h264", start=0.2)
    assert stamps == list(range(5, 20))
    assert times == pytest.approx([index / 25 for index in range(5, 20)])


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_rotation_is_undone(tmp_path: Path, rotation: int) -> None:
    make_video(tmp_path / "a.mp4", width=96, height=64, rotation=rotation)
    with open_source(tmp_path / "a.mp4") as source:
        assert (source.info.width, source.info.height) == (96, 64)
        for index, frame in enumerate(source):
            assert frame.image.shape == (64, 96, 3)
            assert frame.image.flags.c_contiguous
            assert is_upright(frame.image)
            assert read_stamp(frame.image) == index


def test_a_telephone_held_upright_is_the_case_of_270(tmp_path: Path) -> None:
    """Telephones write the matrix (0 1 -1 0), "turn clockwise": the fake must mean the same as they do."""
    make_video(tmp_path / "a.mp4", rotation=270)
    data = (tmp_path / "a.mp4").read_bytes()
    assert struct.unpack_from(">5i", data, data.index(b"tkhd") + 44) == (0, 1 << 16, 0, -1 << 16, 0)


def test_pixels_become_square(tmp_path: Path) -> None:
    make_video(tmp_path / "a.mp4", frames=3, pixel_aspect=Fraction(3, 2), rotation=90, width=64, height=96)
    with open_source(tmp_path / "a.mp4") as source:
        assert (source.info.width, source.info.height) == (64, 144)
        for frame in source:
            assert frame.image.shape == (144, 64, 3)
            assert is_upright(frame.image)
            assert read_stamp(frame.image) == frame.index


@pytest.mark.parametrize(("width", "height"), [(596, 64), (598, 66), (62, 50), (642, 34)])
def test_frames_are_contiguous_whatever_the_width(tmp_path: Path, width: int, height: int) -> None:
    make_video(tmp_path / "a.mp4", frames=3, width=width, height=height)
    with open_source(tmp_path / "a.mp4") as source:
        for frame in source:
            assert frame.image.shape == (height, width, 3)
            assert frame.image.strides == (width * 3, 3, 1)
            assert frame.image.dtype == np.uint8
            assert read_stamp(frame.image) == frame.index


@pytest.mark.parametrize(
    ("name", "codec", "pixels", "width", "height"),
    [
        ("odd.mp4", "libx264", "yuv444p", 97, 65),
        ("gray.mkv", "ffv1", "gray", 96, 64),
        ("gray16.mkv", "ffv1", "gray16le", 97, 65),
        ("rgb16.mkv", "ffv1", "rgb48le", 96, 64),
        ("ten.mkv", "ffv1", "yuv420p10le", 596, 64),
        ("old.avi", "mpeg4", "yuv420p", 96, 64),
    ],
)
def test_odd_sizes_and_deep_pixels(tmp_path: Path, name: str, codec: str, pixels: str, width: int, height: int) -> None:
    make_video(tmp_path / name, frames=6, codec=codec, pixels=pixels, width=width, height=height)
    with open_source(tmp_path / name) as source:
        images = [frame.image for frame in source]
    assert [image.shape for image in images] == [(height, width, 3)] * 6
    assert [read_stamp(image) for image in images] == list(range(6))


@pytest.mark.parametrize("matrix", [8, 10, 12, 14])  # YCgCo, BT.2020 of constant luminance, one derived, ICtCp
def test_colours_that_ffmpeg_does_not_convert_are_read_by_their_light(tmp_path: Path, matrix: int) -> None:
    make_video(tmp_path / "a.mp4", frames=3)
    with av.open(str(tmp_path / "a.mp4")) as given, av.open(str(tmp_path / "b.mp4"), "w") as tagged:
        copied = tagged.add_stream_from_template(given.streams.video[0])
        tag = BitStreamFilterContext(f"h264_metadata=matrix_coefficients={matrix}", given.streams.video[0], copied)
        for packet in given.demux(video=0):
            for retagged in tag.filter(packet):
                retagged.stream = copied
                tagged.mux(retagged)
    with av.open(str(tmp_path / "b.mp4")) as container:
        assert next(container.decode(video=0)).colorspace == matrix
    assert read(tmp_path / "b.mp4")[0] == [0, 1, 2]


def test_a_resolution_that_changes_is_fitted_into_the_first(tmp_path: Path) -> None:
    sizes = ((96, 64, 0), (192, 128, 4), (48, 64, 8))
    for width, height, first in sizes:
        make_video(tmp_path / f"{first}.h264", frames=4, first=first, width=width, height=height)
    (tmp_path / "a.h264").write_bytes(b"".join((tmp_path / f"{first}.h264").read_bytes() for *_, first in sizes))
    with open_source(tmp_path / "a.h264") as source:
        images = [frame.image for frame in source]
    assert {image.shape for image in images} == {(64, 96, 3)}
    assert [read_stamp(image) for image in images[:8]] == list(range(8))
    assert read_stamp(np.ascontiguousarray(images[9][:, 24:72])) == 9  # between two black bars
    assert images[9][:, :24].max() < 8


FORMS = [
    *(("mp4", "libx264", "2"), ("mkv", "libx264", "2"), ("ts", "libx264", "2")),
    *(("avi", "mpeg4", "0"), ("avi", "libx264", "0"), ("avi", "libx264", "2")),
]


@pytest.mark.slow
@pytest.mark.parametrize(("suffix", "codec", "between"), FORMS)
@pytest.mark.parametrize(("start", "end"), [(1.0, 2.0), (0.96, None), (None, 0.5), (3.9, None), (1.37, 1.45)])
def test_a_range_holds_exactly_its_frames(
    tmp_path: Path, suffix: str, codec: str, between: str, start: float | None, end: float | None
) -> None:
    path = tmp_path / f"a.{suffix}"
    make_video(path, frames=100, codec=codec, between=between)
    everything = dict(zip(*read(path), strict=True))
    with open_source(path, start=start, end=end) as source:
        frames = list(source)
    wanted = [i for i, t in everything.items() if t >= (start or 0) - 1e-6 and (end is None or t < end - 1e-6)]
    assert [read_stamp(frame.image) for frame in frames] == wanted
    assert [frame.time for frame in frames] == pytest.approx([everything[index] for index in wanted], abs=1e-6)
    assert [frame.index for frame in frames] == list(range(len(wanted)))


def test_info_tells_what_to_expect(tmp_path: Path) -> None:
    make_video(tmp_path / "a.mp4", frames=50, fps=Fraction(30000, 1001), audio=True)
    with open_source(tmp_path / "a.mp4") as source:
        info = source.info
    assert (info.kind, info.width, info.height, info.frames, info.has_audio) == ("video", 96, 64, 50, True)
    assert float(info.fps) == pytest.approx(30000 / 1001, abs=1e-2)
    assert info.duration == pytest.approx(50 * 1001 / 30000, abs=0.05)
    with open_source(tmp_path / "a.mp4", start=0.5, end=1.0) as source:
        assert source.info.duration == pytest.approx(0.5)
        assert source.info.frames == 15


def test_a_range_without_frames_is_one_clear_line(tmp_path: Path) -> None:
    make_video(tmp_path / "a.mp4", frames=25)
    with pytest.raises(InputError, match=r"range 5 to the end of video .* is empty: expected") as caught:
        open_source(tmp_path / "a.mp4", start=5.0)
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="leaves nothing to read"):
        open_source(tmp_path / "a.mp4", start=1.0, end=0.5)
    with pytest.raises(InputError, match="start -1"):
        open_source(tmp_path / "a.mp4", start=-1)


def test_the_cover_art_of_a_song_is_no_video(tmp_path: Path) -> None:
    make_sound(tmp_path / "plain.aac")
    picture = io.BytesIO()
    Image.fromarray(stamp(1, 96, 64)).save(picture, "jpeg")
    content = b"\0image/jpeg\0\3\0" + picture.getvalue()
    frame = b"APIC" + len(content).to_bytes(4, "big") + b"\0\0" + content
    seven_bits = bytes(len(frame) >> shift & 127 for shift in (21, 14, 7, 0))
    tagged = b"ID3\3\0\0" + seven_bits + frame + (tmp_path / "plain.aac").read_bytes()
    (tmp_path / "a.aac").write_bytes(tagged)
    with av.open(str(tmp_path / "a.aac")) as container:
        assert container.streams.video, "the cover is there, as a stream"
    with pytest.raises(InputError, match="has no pictures: expected a video stream, got audio only"):
        open_source(tmp_path / "a.aac")


@pytest.mark.slow
@pytest.mark.parametrize("name", CLIPS)
def test_real_clips_agree_with_an_independent_reading(shared: Path, name: str) -> None:
    path = shared / "videos" / name
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        wanted = [(frame.pts or 0) * float(stream.time_base or 0) for frame in container.decode(stream)]
    with open_source(path) as source:
        found = [frame.time for frame in source]
        assert source.info.frames == len(found)
    assert len(found) == len(wanted)
    assert found == pytest.approx(wanted, abs=1e-9)
