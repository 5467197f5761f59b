"""The parts of the live mode: newest frame, meter, interruption, recording."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import pytest
from conftest import wait_until
from fakes import ArraySource, SlowFilm, read_stamp, stamp

from stemo.capture import Source, SourceInfo, latest
from stemo.capture.live import Latest
from stemo.errors import StemoError
from stemo.modes.live import Live, Meter, stopping
from stemo.modes.realtime import Forgiving, Screen
from stemo.modes.window import Window
from stemo.output.background import Background
from stemo.records import Frame, FrameResult, Image, Reading, SceneObject

IMAGES = [stamp(index, 96, 64) for index in range(20)]


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
        assert live._latest
        assert live._latest.wait(120)  # or the first picture may come after the third look
        given = list(live)
        source.released.set()
    assert len(given) >= 1
    assert looks == 3


def test_a_camera_begins_to_count_when_somebody_looks() -> None:
    source = StuckSource(times=[0.0, 1.0, 5.0])
    stop = threading.Event()
    with Live(source, stop, stop.set) as live:
        captured = live._latest
        assert captured
        wait_until(lambda: captured.dropped == 2, "all three pictures come before anybody looks")
        (frame,) = list(live)
        assert (frame.index, frame.time, read_stamp(frame.image)) == (0, 0.0, 2)
        assert live.dropped == 0
        source.released.set()


def test_a_file_keeps_its_clock_and_waits_for_its_reader() -> None:
    source = ArraySource(IMAGES[:3], times=[2.0, 62.0, 122.0])  # nothing replaces the first before it is read
    with Live(source, threading.Event()) as live:
        assert live._latest is None
        first = next(iter(live))
        assert (first.index, first.time) == (0, 2.0)
    assert source.closed == 1


def test_a_file_misses_nothing_before_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(source: Source, *, realtime: bool) -> Latest:
        captured = latest(source, realtime=realtime)
        wait_until(lambda: captured.dropped == 2, "the last frame replaces the two before it")
        return captured

    monkeypatch.setattr("stemo.modes.live.latest", slow)
    with Live(ArraySource(IMAGES[:3], times=[0.0, 0.0, 0.0]), threading.Event()) as live:
        assert [frame.index for frame in live] == [2]
        assert live.dropped == 2


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


class StepwiseSource(ArraySource):
    """A camera whose next picture comes when it is asked for with :meth:`step`; its clock began 7 s ago."""

    def __init__(self) -> None:
        super().__init__(IMAGES[:6], times=[7.0 + index for index in range(6)])
        self.info = SourceInfo("stepwise", "camera", 96, 64, Fraction(25))
        self.waits, self.go = threading.Event(), threading.Semaphore(0)

    def __iter__(self) -> Iterator[Frame]:
        for frame in super().__iter__():
            self.waits.set()
            assert self.go.acquire(timeout=10)
            yield frame

    def step(self, live: Live) -> None:
        assert live._latest
        if self.waits.is_set() and not live._latest.wait(0):  # what came before has been fetched
            self.waits.clear()
            self.go.release()


def test_a_part_of_what_a_camera_sees_counts_from_the_first_frame_that_is_read() -> None:
    source = StepwiseSource()
    with Live(source, threading.Event(), limits=(1.0, 4.0)) as live:
        live.idle = lambda: source.step(live)
        assert [(frame.index, frame.time) for frame in live] == [(1, 1.0), (2, 2.0), (3, 3.0)]
        source.go.release()  # it sees that nobody is there any more


def deliver_signal(number: signal.Signals) -> None:
    """Run what answers a signal: programs are sent real ones, the test run itself had better not be."""
    answer = signal.getsignal(number)
    assert callable(answer)
    answer(number, None)


@pytest.mark.usefixtures("_usual_ctrl_c")
def test_ctrl_c_asks_first_and_breaks_in_second() -> None:
    stop = threading.Event()
    with stopping(stop):
        deliver_signal(signal.SIGINT)
        assert stop.is_set()
        with pytest.raises(KeyboardInterrupt):
            deliver_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.usefixtures("_usual_ctrl_c")
def test_a_polite_kill_never_breaks_in_however_often_it_comes() -> None:
    before, stop = signal.getsignal(signal.SIGTERM), threading.Event()
    with stopping(stop):
        for _ in range(3):
            deliver_signal(signal.SIGTERM)
    assert stop.is_set()
    assert signal.getsignal(signal.SIGTERM) is before


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


class LeftWindow(FakeWindow):
    """A window whose user presses q while there is nothing to show, at the third look."""

    def pump(self) -> None:
        self.left -= 1
        self.closed = self.left == 0


def watched(source: StuckSource) -> None:
    """Look at ``source``, until the user of its window has had enough amid a stall."""
    stop = threading.Event()
    with Live(source, stop) as live:
        assert live._latest
        assert live._latest.wait(120)  # or the first picture may come after the third look
        live.idle = Screen(LeftWindow(3), stop).idle
        assert len(list(live)) >= 1


def test_who_leaves_while_the_camera_stalls_does_not_wait_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stemo.capture.live.JOIN", 600.0)
    source = StuckSource()
    watched(source)
    assert source.closed == 0
    source.released.set()
    wait_until(lambda: source.closed == 1, "the camera closes on its own")


def test_a_camera_that_goes_on_is_closed_before_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stemo.modes.live.GRACE", 60.0)
    source = StuckSource()
    threading.Timer(0.3, source.released.set).start()
    watched(source)
    assert source.closed == 1


def test_a_slow_camera_has_the_time_of_a_picture_to_end(monkeypatch: pytest.MonkeyPatch) -> None:
    # asked when the first picture comes, and once for each that is kept
    moments = iter([100.0, 100.5, 103.0])
    source = StepwiseSource()
    with monkeypatch.context() as patched, Live(source, threading.Event()) as live:
        patched.setattr("stemo.capture.live.time.monotonic", lambda: next(moments, 103.0))
        assert live._pace == 0.04
        live.idle = lambda: source.step(live)
        given = iter(live)
        next(given)
        next(given)
        assert live._pace == 2.5
        source.go.release()


def test_closing_the_window_stops_and_the_recording_holds_what_was_shown() -> None:
    window, stop, writer = FakeWindow(2), threading.Event(), SlowFilm()
    screen = Screen(window, stop, Background(writer))
    for index in range(2):
        assert not stop.is_set()
        writer.gate.put(None)
        screen.write(FrameResult(Frame(index, index / 25, IMAGES[index]), (Reading(index, index / 25),)))
    assert stop.is_set()
    screen.close()
    assert (writer.times, writer.ended, len(window.images)) == ([0.0, 0.04], "kept", 2)


STUCK = """
import atexit, sys, threading, time
sys.path.insert(0, {tests!r})
from stemo.modes.live import Live
from test_modes_live import StuckSource

source, stop = StuckSource(), threading.Event()
live = Live(source, stop)
assert live._latest.wait(120)
next(iter(live))
stop.set()
read = live._latest._thread
atexit.register(lambda: print("still reading" if read.is_alive() else "let go"))  # runs after what close registers
live.close()
print("closed", read.is_alive())
letting_go = threading.Timer(0.2, source.released.set)
letting_go.daemon = True  # or Python would wait for it before all that it does at exit
letting_go.start()
"""


@pytest.mark.slow
def test_a_program_ends_after_a_read_that_it_did_not_wait_for() -> None:
    code = STUCK.format(tests=str(Path(__file__).parent))
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.splitlines() == ["closed True", "let go"]
