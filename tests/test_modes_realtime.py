"""Live reading: the newest frame, a window or none, and whole files however it ends."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from conftest import ROOT, running, wait_until
from fakes import make_video, stamp

from stemo.cli import main
from stemo.errors import OutputError
from stemo.modes.window import check_display, opening_size
from stemo.records import Image

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


def shows_picture(pixels: Path) -> bool:
    """Whether a display shows a picture of 96 by 64 pixels, and not only the pointer."""
    return bool((screen_pixels(pixels).max(axis=2) > 0).sum() > 96 * 64 / 4)


def wait_for_picture(pixels: Path) -> Image:
    """What a display shows as soon as it shows a picture."""
    wait_until(lambda: shows_picture(pixels), "a picture on the display")
    return screen_pixels(pixels)


@contextmanager
def live(*flags: object, **environment: str) -> Iterator[subprocess.Popen[str]]:
    with running([sys.executable, "main.py", "--realtime", *map(str, flags)], ROOT, **(environment or BARE)) as process:
        yield process


def wait_for(path: Path, lines: int, process: subprocess.Popen[str]) -> None:
    def written() -> bool:
        if process.poll() is not None:
            pytest.fail(f"ended too early: {process.communicate()}")
        return path.exists() and path.read_text().count("\n") >= lines

    wait_until(written, f"{lines} lines of {path}")


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
    with live("--source", tmp_path / "in.mp4", *flags) as process:
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
    with live("--source", long_clip, *flags) as process:
        wait_for(tmp_path / "out_results.jsonl.part", 10, process)
        process.send_signal(number)
        said, complained = process.communicate(timeout=180)
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
    with live("--source", cut, *flags) as process:
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
    with live("--source", long_clip, *flags, **{**BARE, "DISPLAY": name}) as process:
        wait_for(tmp_path / "out_results.jsonl.part", 10, process)
        # rows are written before the display server has painted, on a busy machine long before
        seen = wait_for_picture(pixels)
        process.send_signal(signal.SIGINT)
        _, complained = process.communicate(timeout=180)
    assert process.returncode == 0, complained
    red = (seen[..., 0] > 150) & (seen[..., 1] < 90) & (seen[..., 2] < 90)
    assert red.sum() > 96 * 64 / 16  # the band on the top of every stamped picture, in its own colour


SHOWS = """
import numpy, time
from stemo.modes.window import Window

window, picture = Window("stemo: busy"), numpy.full((64, 96, 3), 200, numpy.uint8)
for _ in range(25):
    window.show(picture)
    time.sleep(0.04)
print("shown 25 times", flush=True)
time.sleep(60)
"""


@pytest.mark.slow
def test_on_a_busy_machine_the_window_shows_the_picture_too(display: tuple[str, Path]) -> None:
    """A first window of Qt stays black there every second or third time, one that follows another hardly ever."""
    name, pixels = display
    black = 0
    with ExitStack() as busy:
        for _ in range(3 * (os.cpu_count() or 1)):
            busy.enter_context(running([sys.executable, "-c", "while True: pass"], ROOT))
        for _ in range(8):
            with running([sys.executable, "-c", SHOWS], ROOT, **{**BARE, "DISPLAY": name}) as process:
                assert process.stdout is not None
                assert process.stdout.readline() == "shown 25 times\n"
                black += not shows_picture(pixels)
            wait_until(lambda: not shows_picture(pixels), "a window that has gone")
    assert black <= 1


@pytest.mark.slow
def test_q_in_the_window_ends_it(tmp_path: Path, weights: Path, long_clip: Path, display: tuple[str, Path]) -> None:
    if shutil.which("xdotool") is None:
        pytest.skip("needs xdotool to press a key (apt-get install xdotool)")
    environment = {**BARE, "DISPLAY": display[0]}
    base, record = tmp_path / "out", tmp_path / "seen.mp4"
    flags = ("--no-objects", "--weights", weights, "--output", base, "--record", record)
    with live("--source", long_clip, *flags, **environment) as process:
        wait_for(tmp_path / "out_results.jsonl.part", 10, process)
        press = ["xdotool", "search", "--name", "stemo", "windowfocus", "key", "q"]
        subprocess.run(press, env=environment, check=True, timeout=30)
        _, complained = process.communicate(timeout=180)
    assert process.returncode == 0, complained
    assert 10 <= len(assert_whole(base, record)) < LONG


@pytest.mark.slow
def test_without_a_display_there_is_one_line_and_no_crash() -> None:
    with live() as process:
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
