"""Bad input: each a one-line error, and everything that decodes is kept."""

from __future__ import annotations

import socket
import struct
from pathlib import Path

import av
import av.error
import pytest
from fakes import make_sound, make_video, read_stamp

from stemo.capture import Camera, open_source
from stemo.capture.completeness import read_extent
from stemo.errors import InputError, TruncatedError

FASTSTART = {"movflags": "faststart"}


def decodable(path: Path) -> int:
    """How many frames an independent, single-threaded reading decodes before it fails."""
    count = 0
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_count = 1
        try:
            for packet in container.demux(stream):
                try:
                    count += len(packet.decode())
                except av.error.InvalidDataError:
                    continue
        except av.error.InvalidDataError:
            count += len(stream.decode(None))
    return count


def cut(path: Path, fraction: float) -> Path:
    """A copy of ``path`` with only its first bytes."""
    data = path.read_bytes()
    shorter = path.with_stem("cut")
    shorter.write_bytes(data[: int(len(data) * fraction)])
    return shorter


UNREADABLE = Path("/sys/bus/cpu/drivers_probe")


def message(path: Path | str) -> str:
    """The error of opening and reading ``path``, which must be one line that names the next step."""
    with pytest.raises(InputError) as caught:
        for _ in open_source(path):
            pass
    text = str(caught.value)
    assert "\n" not in text
    assert "expected" in text
    assert "got" in text
    assert text.endswith(".")
    return text


def test_missing_file(tmp_path: Path) -> None:
    assert "does not exist" in message(tmp_path / "nothing.mp4")


def test_empty_file(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch()
    assert "is empty" in message(tmp_path / "a.mp4")


@pytest.mark.parametrize("name", ["a.mp4", "a.txt", "a.mkv", "a"])
def test_text_is_not_a_video(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("Dear diary,\ntoday I was renamed.\n" * 50)
    text = message(tmp_path / name)
    assert "is not a video" in text or "has no pictures" in text


@pytest.mark.skipif(not UNREADABLE.is_file(), reason="needs a file that not even root may read")
def test_a_file_that_cannot_be_read_is_one_line() -> None:
    text = message(UNREADABLE)
    assert f"input {str(UNREADABLE)!r} is not a video: expected something that FFmpeg decodes, got permission" in text


def test_audio_only(tmp_path: Path) -> None:
    make_sound(tmp_path / "a.mp4")
    assert "has no pictures" in message(tmp_path / "a.mp4")


def test_an_mp4_without_its_index(tmp_path: Path) -> None:
    make_video(tmp_path / "a.mp4")
    with pytest.raises(TruncatedError, match="cut off before its index"):
        open_source(cut(tmp_path / "a.mp4", 0.6))


@pytest.mark.slow
@pytest.mark.parametrize("fraction", [0.4, 0.7, 0.98])
def test_a_cut_mp4_gives_what_decodes_and_then_says_so(tmp_path: Path, fraction: float) -> None:
    make_video(tmp_path / "a.mp4", frames=100, width=320, height=240, options=FASTSTART, audio=True)
    path = cut(tmp_path / "a.mp4", fraction)
    stamps: list[int] = []
    with pytest.raises(TruncatedError, match=r"ends early: expected .* bytes, got"), open_source(path) as source:
        stamps.extend(read_stamp(frame.image) for frame in source)
    assert len(stamps) == decodable(path) > 10
    assert stamps[:-1] == list(range(len(stamps) - 1))  # the last may be half a picture


@pytest.mark.parametrize("suffix", ["mkv", "webm", "avi", "mov", "flv", "wmv"])
def test_other_containers_cut_short(tmp_path: Path, suffix: str) -> None:
    codec = {"webm": "libvpx-vp9", "avi": "mpeg4", "wmv": "wmv2"}.get(suffix, "libx264")
    make_video(tmp_path / f"a.{suffix}", frames=60, codec=codec, options=FASTSTART if suffix == "mov" else None)
    with open_source(tmp_path / f"a.{suffix}") as source:
        assert len(list(source)) == 60
    stamps: list[int] = []
    with (
        pytest.raises(TruncatedError, match=r"ends early: expected .* bytes, got"),
        open_source(cut(tmp_path / f"a.{suffix}", 0.7)) as source,
    ):
        stamps.extend(read_stamp(frame.image) for frame in source)
    assert len(stamps) > 10
    assert stamps[:-1] == list(range(len(stamps) - 1))


def test_an_mp4_cut_inside_its_index(tmp_path: Path) -> None:
    make_video(tmp_path / "a.mp4", options=FASTSTART)
    for fraction in (0.01, 0.03, 0.1):
        with pytest.raises(InputError, match="expected"):
            open_source(cut(tmp_path / "a.mp4", fraction))


def test_a_live_recording_of_unknown_size_is_whole(tmp_path: Path) -> None:
    make_video(tmp_path / "a.mkv", options={"live": "1"})
    with open_source(tmp_path / "a.mkv") as source:
        assert len(list(source)) == 20


class Pipe:
    """A file that can only grow, so that nobody comes back to say in its beginning how long it has become."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.touch()

    def write(self, data: bytes) -> int:
        with self._path.open("ab") as file:
            return file.write(data)


@pytest.mark.parametrize(("suffix", "form", "codec"), [("flv", "flv", "libx264"), ("wmv", "asf", "wmv2")])
def test_what_came_through_a_pipe_is_whole(tmp_path: Path, suffix: str, form: str, codec: str) -> None:
    make_video(tmp_path / f"a.{suffix}", codec=codec)
    piped = tmp_path / f"piped.{suffix}"
    with av.open(str(tmp_path / f"a.{suffix}")) as given, av.open(Pipe(piped), "w", format=form) as target:
        copied = target.add_stream_from_template(given.streams.video[0])
        for packet in given.demux(given.streams.video[0]):
            if packet.dts is not None:
                packet.stream = copied
                target.mux(packet)
    with open_source(piped) as source:
        assert len(list(source)) == 20


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_a_size_that_is_none_is_no_promise(tmp_path: Path, value: float) -> None:
    make_video(tmp_path / "a.flv")
    data = (tmp_path / "a.flv").read_bytes()
    place = data.index(b"filesize") + 9
    (tmp_path / "a.flv").write_bytes(data[:place] + struct.pack(">d", value) + data[place + 8 :])
    with open_source(tmp_path / "a.flv") as source:
        assert len(list(source)) == 20


def test_a_real_clip_cut_short(shared: Path, tmp_path: Path) -> None:
    with av.open(str(shared / "videos" / "single_face.mp4")) as source:
        video = source.streams.video[0]
        with av.open(str(tmp_path / "a.mp4"), "w", options=FASTSTART) as target:
            copied = target.add_stream_from_template(video)
            for packet in source.demux(video):
                if packet.dts is not None:
                    packet.stream = copied
                    target.mux(packet)
    path = cut(tmp_path / "a.mp4", 0.5)
    indices: list[int] = []
    with pytest.raises(TruncatedError), open_source(path) as source:
        indices.extend(frame.index for frame in source)
    assert len(indices) == decodable(path) > 10


def test_a_cut_mp4_is_fine_where_the_wanted_part_is_there(tmp_path: Path) -> None:
    make_video(tmp_path / "a.mp4", frames=100, options=FASTSTART)
    with open_source(cut(tmp_path / "a.mp4", 0.8), start=0.4, end=0.8) as source:
        assert [read_stamp(frame.image) for frame in source] == list(range(10, 20))


def test_an_mp4_whose_samples_point_behind_its_end(tmp_path: Path) -> None:
    """The boxes are whole, but the last of the data is missing: the container's index tells."""
    make_video(tmp_path / "a.mp4", frames=100, options=FASTSTART)
    data = bytearray((tmp_path / "a.mp4").read_bytes())
    place = data.index(b"mdat") - 4
    keep = (len(data) - place) // 2
    data[place : place + 4] = keep.to_bytes(4, "big")
    (tmp_path / "a.mp4").write_bytes(data[: place + keep])
    indices: list[int] = []
    with pytest.raises(TruncatedError, match="expected"), open_source(tmp_path / "a.mp4") as source:
        indices.extend(frame.index for frame in source)
    assert len(indices) > 10


def test_an_mp4_overwritten_with_zeros_is_damaged(tmp_path: Path) -> None:
    make_video(tmp_path / "a.mp4", frames=100, width=320, height=240, options=FASTSTART)
    data = bytearray((tmp_path / "a.mp4").read_bytes())
    data[len(data) // 2 :] = bytes(len(data) - len(data) // 2)
    (tmp_path / "a.mp4").write_bytes(data)
    indices: list[int] = []
    with pytest.raises(TruncatedError, match="damaged"), open_source(tmp_path / "a.mp4") as source:
        indices.extend(frame.index for frame in source)
    assert len(indices) > 10


def test_whole_files_are_complete(shared: Path) -> None:
    for path in sorted((shared / "videos").iterdir()):
        extent = read_extent(path)
        assert extent is not None
        assert extent.complete
        assert "moov" in extent.names


def test_trailing_bytes_are_no_truncation(tmp_path: Path) -> None:
    make_video(tmp_path / "a.mp4")
    with (tmp_path / "a.mp4").open("ab") as file:
        file.write(bytes(100))
    with open_source(tmp_path / "a.mp4") as source:
        assert len(list(source)) == 20


def test_a_video_without_frames(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        container.add_stream("libx264", rate=25)
        container.start_encoding()
    text = message(tmp_path / "a.mp4")
    assert "has no frames" in text or "has no pictures" in text


def test_a_stream_that_nobody_sends_is_one_line_without_the_password() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    text = message(f"rtsp://user:secret@127.0.0.1:{port}/live")
    assert "cannot be opened" in text
    assert "secret" not in text


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("rtsp://anna:se/c@r?e#t@[::1]:1/live", "rtsp://***@[::1]:1/live"),
        ("rtsp://anna:secret@[fe80::1/x", "rtsp://***@[fe80::1/x"),
        ("rtsp://[fe80::1/x", "rtsp://[fe80::1/x"),
    ],
)
def test_no_part_of_a_password_is_shown(address: str, shown: str) -> None:
    assert f"stream {shown!r} cannot be opened" in message(address)


def test_no_camera_is_one_line_and_stderr_stays_quiet(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match="camera 97 cannot be opened") as caught:
        Camera(97)
    assert "\n" not in str(caught.value)
    out, err = capfd.readouterr()
    assert (out, err) == ("", "")


@pytest.mark.parametrize("name", ["x" * 300, f"{'x' * 300}.mp4", f"{'x' * 300}.png"])
def test_a_path_that_cannot_be_looked_at(tmp_path: Path, name: str) -> None:
    assert "cannot be looked at" in (text := message(tmp_path / name))
    assert "got File name too long" in text


def test_a_folder_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(folder: Path) -> None:
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr(Path, "iterdir", refuse)
    assert "got Permission denied" in message(tmp_path)
