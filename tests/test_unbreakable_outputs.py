"""However a run ends, its files are whole or absent: disk full, folder gone, Ctrl-C, a second run."""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import av
import pytest
from conftest import ROOT, wait_until
from fakes import ArraySource, CollectSink, FixedAnalyzer, FixedReader, FixedRecognizer, make_video, stamp

from stemo.cli import main
from stemo.errors import OutputError
from stemo.insight.smoothing import MovingAverage
from stemo.modes.live import stopping, until
from stemo.output.pending import Pending
from stemo.output.sinks import RowSink
from stemo.output.writers import WRITERS
from stemo.pipeline import Pipeline, Scene, deliver
from stemo.records import Frame, FrameResult

pytestmark = pytest.mark.usefixtures("_usual_ctrl_c")
FRAMES = 12


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a clip ``in.mp4``."""
    make_video(tmp_path / "in.mp4", frames=FRAMES, audio=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def recognize(monkeypatch: pytest.MonkeyPatch) -> Callable[[FixedRecognizer], None]:
    """Let ``--video`` use this recogniser."""
    return lambda recognizer: monkeypatch.setattr("stemo.modes.video.make_recognizer", lambda _settings: recognizer)


def read(*flags: str) -> int:
    return main(["--video", "in.mp4", "--output", "out/out.mp4", *flags])


def results(count: int = FRAMES) -> Iterator[FrameResult]:
    source = ArraySource([stamp(index, 96, 64) for index in range(count)])
    yield from Pipeline(FixedAnalyzer(), FixedReader(), MovingAverage(5)).results(source)


def assert_whole(folder: Path, *, complete: bool) -> int:
    """The three files of a run agree with one another; returns the number of frames."""
    rows = json.loads((folder / "out_results.json").read_text())
    meta = json.loads((folder / "out_meta.json").read_text())
    with av.open(str(folder / "out.mp4")) as video:
        pictures = sum(1 for _ in video.decode(video=0))
    assert [row["frame"] for row in rows] == list(range(pictures))
    assert (meta["complete"], meta["counts"]["frames"]) == (complete, pictures)
    assert sorted(path.name for path in folder.iterdir()) == ["out.mp4", "out_meta.json", "out_results.json"]
    return pictures


# --- disk full ---


@pytest.mark.parametrize("room", [0, 100, 5_000])
def test_a_full_disk_leaves_nothing_half_made(
    folder: Path, recognize: Callable[[FixedRecognizer], None], capsys: pytest.CaptureFixture[str], room: int
) -> None:
    """However much fits: the video fails first, or the rows do, or only their last lines when they are closed."""
    recognize(FixedRecognizer(4))
    (folder / "out").mkdir()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        code = read("--format", "json,jsonl,csv,parquet")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert code == 2
    error = capsys.readouterr().err
    assert "cannot be written" in error
    assert error.count("\n") == 1
    left = {path.name for path in (folder / "out").iterdir()}
    assert left <= {"out.mp4", "out_meta.json"}, "nothing half-made"
    if "out.mp4" in left:
        with av.open("out/out.mp4") as video:
            assert 0 < sum(1 for _ in video.decode(video=0)) <= FRAMES


@pytest.mark.parametrize("first", WRITERS)
def test_rows_that_cannot_be_finished_do_not_keep_others_from_it(tmp_path: Path, first: str) -> None:
    class Full(WRITERS[first]):  # type: ignore[misc]
        def _end(self) -> None:
            raise OSError(28, "No space left on device")

        def _flush(self) -> None:
            raise OutputError("No space left on device")

    sink = RowSink(tmp_path / "out", ["json", "csv"])
    sink.writers.insert(0, Full(tmp_path / f"full.{first}"))
    with pytest.raises(OutputError, match="No space left"):
        deliver(results(2), [sink])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out_results.csv", "out_results.json"]
    assert len(json.loads((tmp_path / "out_results.json").read_text())) == 2


# --- the folder goes away ---


@pytest.mark.parametrize("back", [False, True])
def test_an_output_folder_removed_midway_is_one_line(
    folder: Path,
    recognize: Callable[[FixedRecognizer], None],
    capsys: pytest.CaptureFixture[str],
    stage_threads: Callable[[], list[threading.Thread]],
    back: bool,
) -> None:
    def remove(frame: Frame) -> None:
        if frame.index == 5:
            # before its first frame, the video would begin anew in the new folder
            wait_until(lambda: Path("out/out.mp4.part").stat().st_size > 0, "the video to begin")
            shutil.rmtree("out")
            if back:
                Path("out").mkdir()

    recognize(FixedRecognizer(meanwhile=remove))
    (folder / "out").mkdir()
    assert read() == 2
    error = capsys.readouterr().err
    assert "out" in error
    assert error.count("\n") == 1
    assert stage_threads() == []
    left = list((folder / "out").iterdir()) if back else []
    assert [path.name for path in left] in ([], ["out_meta.json"])


def test_neither_the_source_nor_facts_of_another_run_are_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_video(tmp_path / "in.mp4")
    (tmp_path / "out_meta.json").write_text("mine")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    monkeypatch.chdir(tmp_path)
    assert main(["--realtime", "--no-window", "--source", "in.mp4", "--record", "in.mp4", "--overwrite"]) == 2
    assert "is the input" in capsys.readouterr().err
    for command in (["--realtime", "--no-window", "--source"], ["--no-video", "--video"]):
        assert main([*command, "in.mp4", "--output", "out"]) == 2
        assert "'out_meta.json' exists" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


# --- Ctrl-C ---


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("moment", [0, 3, FRAMES - 2])
def test_ctrl_c_at_any_frame_leaves_whole_files(
    folder: Path,
    recognize: Callable[[FixedRecognizer], None],
    stage_threads: Callable[[], list[threading.Thread]],
    moment: int,
    number: signal.Signals,
) -> None:
    asked = threading.Event()

    def interrupt(frame: Frame) -> None:
        if frame.index == moment:
            asked.set()
            os.kill(os.getpid(), number)

    recognize(FixedRecognizer(meanwhile=interrupt))
    (folder / "out").mkdir()
    code = read()
    assert asked.is_set()
    assert stage_threads() == []
    if any((folder / "out").iterdir()):
        assert assert_whole(folder / "out", complete=code == 0) <= FRAMES
    assert code == 130 or moment == FRAMES - 2  # the last frames may be through before anybody asks


def test_ctrl_c_amid_a_write_lets_it_finish() -> None:
    """Wherever in Python the signal comes, a frame reaches every sink or none."""
    stop = threading.Event()

    class Interrupted(CollectSink):
        def write(self, result: FrameResult) -> None:
            if result.frame.index == 3:
                signal.raise_signal(signal.SIGINT)
            super().write(result)

    sinks = [Interrupted(), CollectSink()]
    with pytest.raises(KeyboardInterrupt), stopping(stop):
        deliver(until(stop, results()), sinks)
    assert [[result.frame.index for result in sink.results] for sink in sinks] == [[0, 1, 2, 3]] * 2
    assert [(sink.closed, sink.aborted) for sink in sinks] == [([False], 0)] * 2


def test_ctrl_c_while_files_are_finished_lets_them_be() -> None:
    stop = threading.Event()

    class Interrupted(CollectSink):
        def close(self, *, complete: bool = True) -> None:
            signal.raise_signal(signal.SIGINT)
            super().close(complete=complete)

    sinks = [Interrupted(), CollectSink()]
    with stopping(stop):
        deliver(until(stop, results()), sinks)
    assert [(sink.closed, sink.aborted) for sink in sinks] == [([True], 0)] * 2


def test_ctrl_c_before_the_first_frame_leaves_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Swallowing(FixedRecognizer):
        @contextmanager
        def stages(self, scene: Scene | None = None, *, in_turn: bool = False) -> Iterator[Pipeline]:
            # as a library in C++ does that is interrupted while it loads
            with suppress(BaseException):
                signal.raise_signal(signal.SIGINT)
            with super().stages(scene, in_turn=in_turn) as pipeline:
                yield pipeline

    monkeypatch.setattr("stemo.modes.video.make_recognizer", lambda _settings: Swallowing())
    (folder / "out").mkdir()
    assert read("--format", "json,parquet") == 130
    assert list((folder / "out").iterdir()) == []
    assert capsys.readouterr().err.count("\n") == 1


# --- two runs ---


@pytest.mark.parametrize("flags", [(), ("--overwrite",)])
def test_of_two_runs_with_one_output_the_second_refuses(
    folder: Path,
    recognize: Callable[[FixedRecognizer], None],
    capsys: pytest.CaptureFixture[str],
    flags: tuple[str, ...],
) -> None:
    second: list[tuple[int, str]] = []
    begun = threading.Event()

    def start_another(frame: Frame) -> None:
        if frame.index == 4 and not begun.is_set():
            begun.set()
            capsys.readouterr()
            second.append((read(*flags), capsys.readouterr().err))

    recognize(FixedRecognizer(meanwhile=start_another))
    (folder / "out").mkdir()
    assert read(*flags) == 0
    ((code, error),) = second
    assert code == 2
    assert "is being written by another run: expected" in error
    assert error.count("\n") == 1
    assert assert_whole(folder / "out", complete=True) == FRAMES


HOLD = "import sys; from pathlib import Path; from stemo.output.pending import Pending; held = Pending(Path('a')); "
HOLD += "held.part.write_text('mine'); print('held', flush=True); sys.stdin.read()"


def test_another_program_s_output_is_refused_until_it_ends_or_is_killed(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-c", HOLD], cwd=tmp_path, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        for _ in range(2):
            with pytest.raises(OutputError, match="another run"):
                Pending(tmp_path / "a", overwrite=True)
        assert (tmp_path / "a.part").read_text() == "mine"
        other.kill()
    pending = Pending(tmp_path / "a")
    pending.part.write_text("new")
    pending.commit()
    pending.discard()
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a", "new")]


# --- names ---


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems refuse such names")
def test_a_name_that_no_encoding_knows_is_written_all_the_same(
    folder: Path, recognize: Callable[[FixedRecognizer], None], capsys: pytest.CaptureFixture[str]
) -> None:
    recognize(FixedRecognizer())
    name = os.fsdecode(b"caf\xe9 \xff.mp4")
    (folder / "in.mp4").rename(folder / name)
    assert main(["--video", name, "--output", f"read {name}"]) == 0
    assert "caf\\udce9" in capsys.readouterr().out
    meta = json.loads((folder / f"read {name}").with_name(f"read {name[:-4]}_meta.json").read_text())
    assert meta["source"]["name"] == name


def test_a_name_that_no_drive_takes_is_one_line(
    folder: Path, recognize: Callable[[FixedRecognizer], None], capsys: pytest.CaptureFixture[str]
) -> None:
    recognize(FixedRecognizer())
    kept = {path.name for path in folder.iterdir()}
    assert main(["--video", "in.mp4", "--output", f"{'a' * 300}.mp4"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    words = (
        r"name '.*aaa\.mp4' is too long: expected at most about 255 bytes between slashes, got 304 in all\. Shorten it"
    )
    assert re.search(words, line)
    assert {path.name for path in folder.iterdir()} == kept
