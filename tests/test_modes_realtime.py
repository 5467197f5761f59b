"""Live reading: the newest frame, a window or none, and whole files however it ends."""

from __future__ import annotations

import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from conftest import ROOT
from fakes import ArraySource, make_video, read_stamp, stamp

from stemo.capture import SourceInfo
from stemo.cli import main
from stemo.errors import OutputError, StemoError
from stemo.modes.live import Live, Meter, stopping
from stemo.modes.realtime import Forgiving, Screen
from stemo.modes.recorder import WAITING, Recorder
from stemo.modes.window import Window, check_display, opening_size
from stemo.records import Frame, FrameResult, Image, Reading, SceneObject

IMAGES = [stamp(index, 96, 64) for index in range(20)]
BARE = {key: value for key, value in os.environ.items() if key not in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")}
LONG = 2000  # frames, 80 s: longer than any of these tests


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from stemo.network.checkpoint import WeightFacts, save_weights
    from stemo.network.model import Network

    path = tmp_path_factory.mktemp("weights") / "fresh.safetensors"
    save_weights(path, Network(), WeightFacts())
    return path


@pytest.fixture(scope="session")
def long_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "long.mp4"
    make_video(path, frames=LONG)
    return path


@pytest.fixture
def display(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A virtual display of 320x240, and the file in which its pixels lie."""
    if shutil.which("Xvfb") is None:
        pytest.skip("needs Xvfb (apt-get install xvfb)")
    reading, writing = os.pipe()
    command = ["Xvfb", "-displayfd", str(writing), "-screen", "0", "320x240x24", "-nolisten", "tcp", "-fbdir", tmp_path]
    with subprocess.Popen(command, pass_fds=[writing], stderr=subprocess.DEVNULL) as server:
        os.close(writing)
        with os.fdopen(reading) as answer:
            number = answer.readline().strip()
        yield f":{number}", tmp_path / "Xvfb_screen0"
        server.terminate()


def screen_pixels(path: Path) -> Image:
    """The pixels (h w 3) RGB of an XWD file with 32 bits a pixel."""
    data = path.read_bytes()
    header = np.frombuffer(data[:100], ">u4")
    size, width, height, line, colours = (int(header[place]) for place in (0, 4, 5, 12, 19))
    begin = size + 12 * colours
    rows = np.frombuffer(data[begin : begin + line * height], np.uint8).reshape(height, line)
    return np.ascontiguousarray(rows[:, : 4 * width].reshape(height, width, 4)[..., 2::-1])


def start(*flags: object, environment: dict[str, str] | None = None) -> subprocess.Popen[str]:
    command = [sys.executable, "main.py", "--realtime", *map(str, flags)]
    return subprocess.Popen(
        command, cwd=ROOT, env=environment or BARE, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def wait_for(path: Path, lines: int, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if process.poll() is not None:
            pytest.fail(f"ended too early: {process.communicate()}")
        if path.exists() and path.read_text().count("\n") >= lines:
            return
        time.sleep(0.05)
    process.kill()
    pytest.fail(f"{path} never had {lines} lines")


def read_rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def video_times(path: Path) -> list[float]:
    with av.open(str(path)) as container:
        return [float(frame.time or 0.0) for frame in container.decode(video=0)]


def assert_whole(base: Path, record: Path) -> list[dict[str, Any]]:
    """Rows, facts and recording are there, finished, and tell of the same frames at the same times."""
    rows = read_rows(base.with_name(f"{base.name}_results.jsonl"))
    facts = json.loads(base.with_name(f"{base.name}_meta.json").read_text())
    assert facts["counts"]["frames"] == len(rows)
    assert video_times(record) == pytest.approx([row["time_s"] for row in rows], abs=1e-3)
    assert not list(base.parent.glob("*.part"))
    return rows


# --- whole runs ---


@pytest.mark.slow
def test_a_file_stands_in_for_the_camera(tmp_path: Path, weights: Path) -> None:
    times = make_video(tmp_path / "in.mp4", frames=40)
    base, record = tmp_path / "out", tmp_path / "seen.mp4"
    flags = ("--no-window", "--no-objects", "--weights", weights, "--output", base, "--record", record)
    process = start("--source", tmp_path / "in.mp4", *flags)
    said, complained = process.communicate(timeout=120)
    assert process.returncode == 0, complained
    rows = assert_whole(base, record)
    assert rows[-1]["frame"] == 39
    assert all(row["time_s"] == pytest.approx(times[row["frame"]], abs=1e-6) for row in rows)
    dropped = json.loads((tmp_path / "out_meta.json").read_text())["counts"]["dropped"]
    assert len(rows) + dropped == 40
    assert said.startswith(f"{len(rows)} frames read, {dropped} dropped, ")
    assert "(p50)" in said
    assert "(p95)" in said


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_leaves_whole_files(tmp_path: Path, weights: Path, long_clip: Path, number: int) -> None:
    base, record = tmp_path / "out", tmp_path / "seen.mp4"
    flags = ("--no-window", "--no-objects", "--weights", weights, "--output", base, "--record", record)
    process = start("--source", long_clip, *flags)
    wait_for(tmp_path / "out_results.jsonl.part", 10, process)
    process.send_signal(number)
    said, complained = process.communicate(timeout=60)
    assert process.returncode == 0, complained
    assert complained.count("Traceback") == 0
    assert 10 <= len(assert_whole(base, record)) < LONG
    assert "frames read" in said


@pytest.mark.slow
def test_a_source_that_breaks_off_is_kept_and_told(tmp_path: Path, weights: Path) -> None:
    whole = tmp_path / "whole.mp4"
    make_video(whole, frames=40, options={"movflags": "faststart"})
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole.read_bytes()[: int(whole.stat().st_size * 0.7)])
    base, record = tmp_path / "out", tmp_path / "seen.mp4"
    flags = ("--no-window", "--no-objects", "--weights", weights, "--output", base, "--record", record)
    process = start("--source", cut, *flags)
    _, complained = process.communicate(timeout=120)
    assert process.returncode == 3
    assert "ends early" in complained.splitlines()[-1]
    assert 1 <= len(assert_whole(base, record)) < 40
    assert json.loads((tmp_path / "out_meta.json").read_text())["complete"] is False


@pytest.mark.slow
def test_the_window_shows_the_picture(
    tmp_path: Path, weights: Path, long_clip: Path, display: tuple[str, Path]
) -> None:
    name, pixels = display
    flags = ("--no-objects", "--weights", weights, "--output", tmp_path / "out")
    process = start("--source", long_clip, *flags, environment={**BARE, "DISPLAY": name})
    wait_for(tmp_path / "out_results.jsonl.part", 10, process)
    seen = screen_pixels(pixels).astype(int)
    process.send_signal(signal.SIGINT)
    _, complained = process.communicate(timeout=60)
    assert process.returncode == 0, complained
    assert (seen.max(axis=2) > 0).sum() > 96 * 64 / 4  # non-black
    red = (seen[..., 0] > 150) & (seen[..., 1] < 90) & (seen[..., 2] < 90)
    assert red.sum() > 96 * 64 / 16  # the band on the top of every stamped picture, in its own colour


@pytest.mark.slow
def test_q_in_the_window_ends_it(tmp_path: Path, weights: Path, long_clip: Path, display: tuple[str, Path]) -> None:
    if shutil.which("xdotool") is None:
        pytest.skip("needs xdotool to press a key (apt-get install xdotool)")
    environment = {**BARE, "DISPLAY": display[0]}
    base, record = tmp_path / "out", tmp_path / "seen.mp4"
    flags = ("--no-objects", "--weights", weights, "--output", base, "--record", record)
    process = start("--source", long_clip, *flags, environment=environment)
    wait_for(tmp_path / "out_results.jsonl.part", 10, process)
    press = ["xdotool", "search", "--name", "stemo", "windowfocus", "key", "q"]
    subprocess.run(press, env=environment, check=True, timeout=30)
    _, complained = process.communicate(timeout=60)
    assert process.returncode == 0, complained
    assert 10 <= len(assert_whole(base, record)) < LONG


def test_without_a_display_there_is_one_line_and_no_crash() -> None:
    process = start()
    said, complained = process.communicate(timeout=120)
    assert process.returncode == 2
    assert said == ""
    assert complained.splitlines() == [complained.rstrip("\n")]
    assert complained.startswith("error: window 'stemo' cannot be opened: expected a display")
    assert "--no-window" in complained


def test_without_a_camera_there_is_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["--realtime", "--no-window", "--camera", "93"]) == 2
    complained = capfd.readouterr().err
    assert complained.startswith("error: camera 93 cannot be opened")
    assert complained.count("\n") == 1


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        (["--record", "out.avi"], "recording 'out.avi' is not a video name"),
        (["--record", "nowhere/out.mp4"], "output folder 'nowhere' is missing"),
        (["--output", "nowhere/out"], "output folder 'nowhere' is missing"),
    ],
)
def test_a_wrong_output_is_told_before_the_work(
    flags: list[str], problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_video(tmp_path / "in.mp4")
    monkeypatch.chdir(tmp_path)
    assert main(["--realtime", "--no-window", "--source", "in.mp4", *flags]) == 2
    assert problem in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]


def test_a_recording_is_not_replaced_unasked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_video(tmp_path / "in.mp4")
    kept = tmp_path / "seen.mp4"
    kept.write_bytes(b"mine")
    flags = ["--output", str(tmp_path / "out"), "--record", str(kept)]
    assert main(["--realtime", "--no-window", "--source", str(tmp_path / "in.mp4"), *flags]) == 2
    assert "exists" in capsys.readouterr().err
    assert kept.read_bytes() == b"mine"
    assert {path.name for path in tmp_path.iterdir()} == {"in.mp4", "seen.mp4"}


# --- the display ---


def test_a_display_that_refuses_is_an_error_not_an_abort() -> None:
    if not sys.platform.startswith("linux"):
        pytest.skip("only Linux is asked in a process of its own")
    with pytest.raises(OutputError, match=r"accepts windows, got .*Add --no-window"):
        check_display({**BARE, "DISPLAY": ":987"})


def test_a_display_that_accepts_is_no_error(display: tuple[str, Path]) -> None:
    check_display({**BARE, "DISPLAY": display[0]})


@pytest.mark.parametrize(
    ("size", "expected"), [((640, 360), (640, 360)), ((3840, 2160), (1280, 720)), ((1000, 2000), (400, 800))]
)
def test_large_pictures_open_scaled_down(size: tuple[int, int], expected: tuple[int, int]) -> None:
    assert opening_size(*size) == expected


USER_CLOSES = """
import ctypes, subprocess, numpy, time
from stemo.modes.window import Window

class Message(ctypes.Structure):
    _fields_ = [("type", ctypes.c_int), ("serial", ctypes.c_ulong), ("sent", ctypes.c_int),
                ("display", ctypes.c_void_p), ("window", ctypes.c_ulong), ("kind", ctypes.c_ulong),
                ("format", ctypes.c_int), ("data", ctypes.c_long * 5), ("rest", ctypes.c_char * 100)]

window, picture = Window("stemo: closing"), numpy.full((60, 90, 3), 200, numpy.uint8)
for _ in range(20):
    window.show(picture)
    time.sleep(0.02)
assert not window.closed
number = int(subprocess.check_output(["xdotool", "search", "--name", "^stemo"], text=True).split()[0])
x11 = ctypes.CDLL("libX11.so.6")
x11.XOpenDisplay.restype, x11.XInternAtom.restype = ctypes.c_void_p, ctypes.c_ulong
display = ctypes.c_void_p(x11.XOpenDisplay(None))
message = Message(type=33, window=number, kind=x11.XInternAtom(display, b"WM_PROTOCOLS", 0), format=32)
message.data[0] = x11.XInternAtom(display, b"WM_DELETE_WINDOW", 0)
x11.XSendEvent(display, ctypes.c_ulong(number), 0, ctypes.c_long(0), ctypes.byref(message))
x11.XFlush(display)
for _ in range(500):
    window.show(picture)
    time.sleep(0.02)
    if window.closed:
        break
window.show(picture)
window.close()
print("closed" if window.closed and not window._open and _ < 499 else "open")
"""


def test_closing_the_window_is_noticed(display: tuple[str, Path]) -> None:
    """What a window manager sends when its cross is pressed; after it, asking the window anything is an error in Qt."""
    if shutil.which("xdotool") is None:
        pytest.skip("needs xdotool to find the window (apt-get install xdotool)")
    command = [sys.executable, "-c", USER_CLOSES]
    environment = {**BARE, "DISPLAY": display[0]}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "closed\n", done.stderr


# --- the parts ---


class StuckSource(ArraySource):
    """Gives its frames, then nothing, until it is let go."""

    def __init__(self, kind: str = "camera", times: list[float] | None = None) -> None:
        super().__init__(IMAGES[:3], times=times)
        self.info = SourceInfo("stuck", kind, 96, 64, Fraction(25))
        self.released = threading.Event()

    def __iter__(self) -> Iterator[Frame]:
        yield from super().__iter__()
        self.released.wait(10)


def test_a_silent_camera_can_be_stopped_and_the_window_lives() -> None:
    source, stop, looks = StuckSource(), threading.Event(), 0

    def idle() -> None:
        nonlocal looks
        looks += 1
        if looks == 3:
            stop.set()

    with Live(source, stop, idle) as live:
        given = list(live)
        source.released.set()
    assert len(given) >= 1
    assert looks == 3


def test_a_camera_begins_to_count_when_somebody_looks() -> None:
    source = StuckSource(times=[0.0, 1.0, 5.0])
    stop = threading.Event()
    with Live(source, stop, stop.set) as live:
        assert live._latest
        while live._latest.dropped < 2:  # all three came before anybody looked
            time.sleep(0.001)
        (frame,) = list(live)
        assert (frame.index, frame.time, read_stamp(frame.image)) == (0, 0.0, 2)
        assert live.dropped == 0
        source.released.set()


def test_a_file_keeps_its_clock_and_waits_for_its_reader() -> None:
    source = ArraySource(IMAGES[:3], times=[2.0, 2.01, 2.02])
    with Live(source, threading.Event()) as live:
        assert live._latest is None
        first = next(iter(live))
        assert (first.index, first.time) == (0, 2.0)
    assert source.closed == 1


def test_a_source_that_nobody_read_is_closed() -> None:
    source = ArraySource(IMAGES)
    Live(source, threading.Event()).close()
    assert source.closed == 1


class FixedArrival(Live):
    """Every frame arrived at 100 s."""

    arrived = 100.0  # type: ignore[assignment]


def test_the_meter_counts_and_ranks_delays(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter([100.010, 100.020, 100.030, 100.500])
    monkeypatch.setattr("stemo.modes.live.time.monotonic", lambda: next(moments))
    meter = Meter(FixedArrival(ArraySource(IMAGES), threading.Event()))
    frames = [FrameResult(Frame(index, 0.0, IMAGES[0]), (Reading(index, 0.0),)) for index in range(4)]
    assert list(meter.watch(frames)) == frames
    assert (meter.frames, meter.quantile(0.5), meter.quantile(0.95)) == (4, 20, 500)
    assert meter.summary() == (
        "4 frames read, 0 dropped, 6.1 frames/s, from arrival to reading 20 ms (p50), 500 ms (p95)"
    )


class BrokenScene:
    """Finds one cup, then breaks."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def update(self, frame: Frame) -> tuple[SceneObject, ...]:
        self.asked.append(frame.index)
        if len(self.asked) == 2:
            raise StemoError("it broke")
        return (SceneObject("cup", 0.5, (0.0, 0.0, 1.0, 1.0)),)


def test_a_scene_that_breaks_warns_once_and_the_rest_goes_on() -> None:
    said: list[str] = []
    scene = BrokenScene()
    forgiving = Forgiving(scene, said.append)
    seen = [forgiving.update(Frame(index, 0.0, IMAGES[0])) for index in (4, 9, 14, 19)]
    assert [len(objects) for objects in seen] == [1, 0, 0, 0]
    assert scene.asked == [0, 1]  # counted anew, and left alone after it broke
    assert said == ["warning: going on without scene objects: it broke"]


def test_ctrl_c_asks_first_and_breaks_in_second() -> None:
    stop = threading.Event()
    with stopping(stop):
        signal.raise_signal(signal.SIGINT)
        assert stop.is_set()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


class SlowWriter:
    """Writes only what it is let through; breaks at ``breaks``."""

    def __init__(self, breaks: int | None = None) -> None:
        self.gate: queue.Queue[None] = queue.Queue()
        self.times: list[float] = []
        self.ended = ""
        self._breaks = breaks

    def write(self, image: Image, time: float) -> None:  # noqa: ARG002
        self.gate.get(timeout=10)
        if len(self.times) == self._breaks:
            raise OutputError("disk full")
        self.times.append(time)

    def close(self, *, keep: bool = False) -> None:
        self.ended = "kept" if keep else "closed"

    def abort(self) -> None:
        self.ended = "aborted"


def test_recording_does_not_wait_for_the_encoder_and_loses_nothing() -> None:
    writer = SlowWriter()
    recorder = Recorder(writer)
    for index in range(WAITING):
        recorder.write(IMAGES[0], float(index))
    assert writer.times == []
    for _ in range(WAITING):
        writer.gate.put(None)
    recorder.close()
    assert (writer.times, writer.ended) == ([float(index) for index in range(WAITING)], "kept")


def test_a_failure_of_the_encoder_comes_out_and_nobody_hangs() -> None:
    writer = SlowWriter(breaks=1)
    recorder = Recorder(writer)
    for index in range(3):
        writer.gate.put(None)
        recorder.write(IMAGES[0], float(index))
        if index == 1:
            break
    with pytest.raises(OutputError, match="disk full"):
        recorder.close()
    assert (writer.times, writer.ended) == ([0.0], "aborted")


class FakeWindow(Window):
    """A window whose user has enough after ``shows`` pictures."""

    def __init__(self, shows: int) -> None:
        super().__init__("fake")
        self.left = shows
        self.images: list[Image] = []

    def show(self, image: Image) -> None:
        self.images.append(image)
        self.closed = len(self.images) >= self.left

    def pump(self) -> None: ...

    def close(self) -> None:
        self.closed = True


def test_closing_the_window_stops_and_the_recording_holds_what_was_shown() -> None:
    window, stop, writer = FakeWindow(2), threading.Event(), SlowWriter()
    screen = Screen(window, stop, Recorder(writer))
    for index in range(2):
        assert not stop.is_set()
        writer.gate.put(None)
        screen.write(FrameResult(Frame(index, index / 25, IMAGES[index]), (Reading(index, index / 25),)))
    assert stop.is_set()
    screen.close()
    assert (writer.times, writer.ended, len(window.images)) == ([0.0, 0.04], "kept", 2)
