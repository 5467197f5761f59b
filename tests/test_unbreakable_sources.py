"""Sources that few people have and everybody meets once: odd sizes, strange names, cameras with gaps."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from fakes import ArraySource, FixedAnalyzer, FixedReader, FixedRecognizer, make_video, read_stamp, stamp
from PIL import Image

from stemo.capture import Camera, Source, SourceInfo, open_source
from stemo.cli import main
from stemo.config import RecognitionSettings
from stemo.errors import InputError, TruncatedError
from stemo.insight.smoothing import MovingAverage
from stemo.modes.live import Live
from stemo.modes.video import video_sink
from stemo.pipeline import Pipeline, deliver
from stemo.records import Frame


def annotate(source: Source, output: Path, faces: int = 2) -> list[tuple[int, int]]:
    """Draw made-up readings on every frame into a video; the sizes (width, height) of its pictures, read back."""
    sink = video_sink(source, output, RecognitionSettings(), False, False)
    deliver(Pipeline(FixedAnalyzer(faces), FixedReader(), MovingAverage(5)).results(source), [sink])
    with av.open(str(output)) as container:
        return [(frame.width, frame.height) for frame in container.decode(video=0)]


def test_one_frame_is_a_video(tmp_path: Path) -> None:
    make_video(tmp_path / "a.mp4", frames=1, audio=True)
    with open_source(tmp_path / "a.mp4") as source:
        assert annotate(source, tmp_path / "out.mp4") == [(96, 64)]
        assert source.info.frames == 1


def test_an_odd_size_goes_the_whole_way(tmp_path: Path) -> None:
    make_video(tmp_path / "a.mp4", frames=3, width=641, height=361, pixels="yuv444p")
    with open_source(tmp_path / "a.mp4") as source:
        assert (source.info.width, source.info.height) == (641, 361)
        assert annotate(source, tmp_path / "out.mp4") == [(642, 362)] * 3


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (33, 1), (1, 500), (32, 32), (900, 40), (33, 900), (120, 1280)])
def test_hardly_a_picture_goes_the_whole_way(tmp_path: Path, size: tuple[int, int]) -> None:
    Image.fromarray(stamp(0, *size)).save(tmp_path / "a.png")
    with open_source(tmp_path / "a.png") as source:
        assert annotate(source, tmp_path / "out.mp4") == [tuple(side + side % 2 for side in size)]


@pytest.mark.slow
def test_8k_goes_the_whole_way(tmp_path: Path) -> None:
    make_video(tmp_path / "a.mkv", frames=1, width=7680, height=4320, codec="mjpeg", pixels="yuvj420p")
    with open_source(tmp_path / "a.mkv") as source:
        assert annotate(source, tmp_path / "out.mp4") == [(7680, 4320)]


NAMES = ["two words.mp4", "Größe & Maß; $(x).mp4", "映画 🎬.mp4", "%03d.mp4", "-v.mp4", "a:b.mp4"]


@pytest.mark.parametrize("name", NAMES)
def test_any_name_of_a_file_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    folder = tmp_path / name.removesuffix(".mp4")
    folder.mkdir()
    monkeypatch.chdir(folder)
    make_video(tmp_path / "plain.mp4", frames=2, audio=True)
    (tmp_path / "plain.mp4").rename(name)
    with open_source(name) as source:
        assert annotate(source, folder / f"out {name}") == [(96, 64)] * 2
    assert sorted(path.name for path in folder.iterdir()) == sorted([name, f"out {name}"])


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems refuse such names")
def test_a_name_that_is_no_utf8_works(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.mp4")
    make_video(tmp_path / "a.mp4", frames=2, audio=True)
    (tmp_path / "a.mp4").rename(tmp_path / name)
    with open_source(tmp_path / name) as source:
        assert annotate(source, tmp_path / f"out {name}") == [(96, 64)] * 2


def test_a_title_in_another_encoding_does_not_matter(tmp_path: Path) -> None:
    make_video(tmp_path / "a.mp4", frames=2, audio=True)
    with av.open(str(tmp_path / "a.mp4")) as given, av.open(str(tmp_path / "b.mp4"), "w") as titled:
        titled.metadata["title"] = "XXXX"
        copied = titled.add_stream_from_template(given.streams.video[0])
        for packet in given.demux(given.streams.video[0]):
            if packet.dts is not None:
                packet.stream = copied
                titled.mux(packet)
    data = (tmp_path / "b.mp4").read_bytes()
    assert data.count(b"XXXX") == 1
    (tmp_path / "b.mp4").write_bytes(data.replace(b"XXXX", b"caf\xe9"))
    with open_source(tmp_path / "b.mp4") as source:
        assert annotate(source, tmp_path / "out.mp4") == [(96, 64)] * 2


def test_a_codec_that_ffmpeg_does_not_know_is_one_line_and_such_sound_is_left_out(tmp_path: Path) -> None:
    make_video(tmp_path / "a.mp4", frames=2, audio=True)
    whole = (tmp_path / "a.mp4").read_bytes()
    for name, known in (("pictures", b"avc1"), ("sound", b"mp4a")):
        place = whole.rindex(known)
        (tmp_path / f"{name}.mp4").write_bytes(whole[:place] + b"zzzz" + whole[place + 4 :])
    with pytest.raises(InputError, match="a codec that this FFmpeg does not know: expected") as caught:
        open_source(tmp_path / "pictures.mp4")
    assert "\n" not in str(caught.value)
    with open_source(tmp_path / "sound.mp4") as source:
        assert annotate(source, tmp_path / "out.mp4") == [(96, 64)] * 2


class Gaps:
    """OpenCV's camera over a script: stamps, with ``None`` for each time it is asked in vain, then nothing more."""

    def __init__(self, script: Sequence[int | None], sizes: Sequence[tuple[int, int]] = ((96, 64),)) -> None:
        self.script, self.sizes = list(script), list(sizes)

    def isOpened(self) -> bool:
        return True

    def get(self, _property: int) -> float:
        return 25.0

    def read(self) -> tuple[bool, np.ndarray | None]:
        index = self.script.pop(0) if self.script else None
        if index is None:
            return False, None
        return True, np.ascontiguousarray(stamp(index, *self.sizes[index % len(self.sizes)])[..., ::-1])

    def release(self) -> None: ...


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stemo.capture.camera.PATIENCE", 2.0)  # a busy machine may stall shorter ones itself
    monkeypatch.setattr("stemo.capture.camera.RETRY", 0.001)


@pytest.mark.slow
@pytest.mark.usefixtures("_impatient")
def test_a_camera_that_stalls_then_returns_goes_on_until_it_vanishes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "VideoCapture", lambda _index: Gaps([0, 1, None, None, None, 2, None, 3]))
    frames: list[Frame] = []
    began = time.monotonic()
    with pytest.raises(TruncatedError, match="camera 0 stopped: expected another picture, got none after 4"):
        frames.extend(Camera(0))
    assert [read_stamp(frame.image) for frame in frames] == [0, 1, 2, 3]
    assert [frame.index for frame in frames] == [0, 1, 2, 3]
    assert time.monotonic() - began > 2.0  # it had its time to come back


@pytest.mark.usefixtures("_impatient")
def test_a_camera_that_changes_its_size_is_fitted_into_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "VideoCapture", lambda _index: Gaps([0, 1, 2, 3], [(96, 64), (192, 128), (48, 32)]))
    camera = iter(Camera(0))
    images = [next(camera).image for _ in range(4)]
    assert {image.shape for image in images} == {(64, 96, 3)}
    assert [read_stamp(image) for image in images] == [0, 1, 2, 3]


class InStep(Gaps):
    """The same, but it gives a picture only once the one before has been read."""

    def __init__(self, script: Sequence[int | None]) -> None:
        super().__init__(script)
        self.go = threading.Semaphore(1)

    def read(self) -> tuple[bool, np.ndarray | None]:
        if self.script and self.script[0] is not None:
            assert self.go.acquire(timeout=30)
        return super().read()


@pytest.mark.slow
@pytest.mark.usefixtures("_impatient")
def test_a_camera_that_stalls_and_then_vanishes_leaves_whole_files_and_exit_code_3(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    device = InStep([0, 1, None, None, None, 2])
    recognizer = FixedRecognizer(meanwhile=lambda _frame: device.go.release())
    monkeypatch.setattr(cv2, "VideoCapture", lambda _index: device)
    monkeypatch.setattr("stemo.modes.realtime.make_recognizer", lambda _settings: recognizer)
    monkeypatch.chdir(tmp_path)
    flags = ("--no-window", "--no-objects", "--camera", "0", "--output", "out", "--record", "seen.mp4")
    assert main(["--realtime", *flags]) == 3
    assert "camera 0 stopped: expected another picture, got none after 3" in capsys.readouterr().err
    rows = [json.loads(row) for row in Path("out_results.jsonl").read_text().splitlines()]
    facts = json.loads(Path("out_meta.json").read_text())
    with av.open("seen.mp4") as video:
        assert sum(1 for _ in video.decode(video=0)) == 3
    assert [row["frame"] for row in rows] == [0, 1, 2]
    assert (facts["complete"], facts["counts"]["frames"], facts["counts"]["dropped"]) == (False, 3, 0)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out_meta.json", "out_results.jsonl", "seen.mp4"]


class Stalling(ArraySource):
    """A camera that gives two pictures, stalls until it is let go, gives the rest, and may vanish then."""

    def __init__(self, error: BaseException | None) -> None:
        super().__init__([stamp(index, 96, 64) for index in range(5)], error=error)
        self.info = SourceInfo("stalling", "camera", 96, 64, Fraction(25))
        self.released = threading.Event()

    def __iter__(self) -> Iterator[Frame]:
        for frame in super().__iter__():
            if frame.index == 2:
                assert self.released.wait(10)
            yield frame


@pytest.mark.parametrize("error", [None, TruncatedError("camera 0 stopped")])
def test_the_live_mode_waits_out_a_stall_and_tells_of_a_loss(error: TruncatedError | None) -> None:
    source, looks = Stalling(error), 0

    def idle() -> None:
        nonlocal looks
        looks += 1
        if looks == 3:
            source.released.set()

    seen: list[int] = []
    with Live(source, threading.Event(), idle) as live, pytest.raises(TruncatedError) if error else nullcontext():
        seen.extend(read_stamp(frame.image) for frame in live)
    assert looks >= 3
    assert seen[-1] == 4
    assert seen == sorted(set(seen))
