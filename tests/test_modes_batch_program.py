"""Many videos through the program itself, as a user runs it: exit codes, odd names, and processes that are killed."""

from __future__ import annotations

import csv
import glob
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import AbstractContextManager, suppress
from pathlib import Path

import av
import pytest
from conftest import ROOT, running, wait_until
from fakes import make_video

pytestmark = pytest.mark.slow
needs_proc = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc, to find who writes a file")
LONG = 3_600  # frames: many seconds of work, so that there is time to kill it


def program(folder: Path, *flags: str | Path, **environment: str) -> AbstractContextManager[subprocess.Popen[str]]:
    """The program at work in ``folder``; it is killed where the test ends before it."""
    command = [sys.executable, str(ROOT / "main.py"), *map(str, flags)]
    return running(command, folder, **{**os.environ, **environment})


def run(folder: Path, *flags: str | Path, **environment: str) -> tuple[int, str, str]:
    """The whole of a run: exit code, stdout and stderr."""
    with program(folder, *flags, **environment) as running:
        out, error = running.communicate(timeout=300)
    return running.returncode, out, error


def summary(folder: Path) -> dict[str, str]:
    """The outcome of every video."""
    with (folder / "summary.csv").open(newline="", encoding="utf-8") as file:
        return {row["video"]: row["outcome"] for row in csv.DictReader(file)}


def writer_of(path: Path, running: subprocess.Popen[str]) -> int:
    """The process that has ``path`` open for writing, as soon as there is one; fails where the program ends first."""
    end = time.monotonic() + 240
    while time.monotonic() < end and running.poll() is None:
        for link in glob.iglob("/proc/[0-9]*/fd/*"):  # Path.glob breaks off where a process has just ended
            try:
                if os.readlink(link) == str(path):
                    return int(link.split("/")[2])
            except OSError:
                continue  # it has just ended
        time.sleep(0.05)
    running.kill()
    raise AssertionError(f"nobody writes {path}: {running.communicate()}")


def frames_of(meta: Path) -> int:
    facts = json.loads(meta.read_text(encoding="utf-8"))
    assert facts["complete"] is True
    return facts["counts"]["frames"]


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """Two videos, one long, one short with an odd name, and a file that is none."""
    folder = tmp_path / "my clips"
    folder.mkdir()
    make_video(folder / "long.mp4", frames=LONG)
    make_video(folder / "ein Gruß.mov", frames=5)
    (folder / "bad.mp4").write_text("no video\n" * 50)
    return folder


@needs_proc
def test_a_killed_worker_is_replaced_and_a_second_run_does_the_rest(
    tmp_path: Path, clips: Path, fresh_weights: Path
) -> None:
    out = tmp_path / "read here"
    flags = ("--video", clips, "--output", out, "--no-video", "--weights", fresh_weights, "--device", "cpu")
    with program(tmp_path, *flags, "--workers", "2") as running:
        victim = writer_of(out / "long_results.json.part", running)
        assert victim != running.pid
        os.kill(victim, signal.SIGKILL)
        said, error = running.communicate(timeout=300)
    assert (running.returncode, error) == (1, "")
    assert summary(out) == {"bad.mp4": "failed", "ein Gruß.mov": "read", "long.mp4": "read"}
    assert frames_of(out / "long_meta.json") == LONG
    assert list(out.glob("*.part")) == []
    assert "1 of 3 failed:" in said
    assert "2 videos read in" in said

    (clips / "bad.mp4").unlink()
    code, said, error = run(tmp_path, "--video", "my clips/*.m??", *flags[2:])
    assert (code, error) == (0, "")
    assert "2 of 2 videos are finished" in said
    assert summary(out) == {"ein Gruß.mov": "skipped", "long.mp4": "skipped"}


@needs_proc
@pytest.mark.usefixtures("_usual_ctrl_c")
@pytest.mark.parametrize("asked", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_keeps_what_is_done_and_leaves_no_process(
    tmp_path: Path, clips: Path, fresh_weights: Path, asked: signal.Signals
) -> None:
    flags = ("--video", clips, "--output", "out", "--no-video", "--weights", fresh_weights, "--device", "cpu")
    with program(tmp_path, *flags, "--workers", "2") as running:
        part = tmp_path / "out" / "long_results.json.part"
        worker = writer_of(part, running)
        wait_until(lambda: running.poll() is not None or part.stat().st_size > 0, f"rows in {part}")
        running.send_signal(asked)
        _, error = running.communicate(timeout=300)
    assert (running.returncode, error) == (130, "interrupted: what was computed has been kept.\n")
    assert summary(tmp_path / "out")["long.mp4"] == "not read"
    assert_long_is_kept(tmp_path / "out")
    assert not Path(f"/proc/{worker}").exists()


@needs_proc
def test_workers_whose_program_is_killed_keep_what_they_have(tmp_path: Path, clips: Path, fresh_weights: Path) -> None:
    flags = ("--video", clips, "--output", "out", "--no-video", "--weights", fresh_weights, "--device", "cpu")
    with program(tmp_path, *flags, "--workers", "2") as running:
        part = tmp_path / "out" / "long_results.json.part"
        writer_of(part, running)
        wait_until(lambda: running.poll() is not None or part.stat().st_size > 0, f"rows in {part}")
        workers = children_of(running.pid)  # the other one may still be at the short video
        running.kill()
        wait_until(lambda: not any(map(is_running, workers)), "the workers end as well")
    assert_long_is_kept(tmp_path / "out")


def is_running(process: int) -> bool:
    """Whether it is at work; one that has ended may wait for somebody to ask how."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def assert_long_is_kept(out: Path) -> None:
    """What was computed of the long video is there, as whole files."""
    assert list(out.glob("*.part")) == []
    rows = json.loads((out / "long_results.json").read_text())
    facts = json.loads((out / "long_meta.json").read_text())
    assert (facts["complete"], facts["counts"]["rows"]) == (False, len(rows))
    assert 0 < len(rows) < LONG


@needs_proc
def test_all_of_it_killed_with_resume_a_second_run_gives_the_same_bytes(tmp_path: Path, fresh_weights: Path) -> None:
    (tmp_path / "clips").mkdir()
    make_video(tmp_path / "clips" / "a.mp4", frames=400)  # more than there are to a checkpoint
    make_video(tmp_path / "clips" / "b.mp4", frames=5)
    flags = ("--video", "clips", "--format", "json,csv,parquet", "--weights", str(fresh_weights), "--device", "cpu")
    assert run(tmp_path, *flags, "--output", "whole")[0] == 0
    out, going_on = tmp_path / "out", ("--resume", "--workers", "2")
    with program(tmp_path, *flags, "--output", out, *going_on) as running:
        wait_until(lambda: running.poll() is not None or any(out.glob(".a*/checkpoint-*[0-9]")), "a checkpoint")
        workers = children_of(running.pid)
        assert len(workers) >= 2
        for process in (running.pid, *workers):
            os.kill(process, signal.SIGKILL)
        running.communicate()
        wait_until(lambda: not any(map(is_running, workers)), "the workers end")
    assert not (out / "a_meta.json").exists()
    assert any(out.glob(".a.mp4.resume/checkpoint-*"))
    code, said, error = run(tmp_path, *flags, "--output", out, *going_on)
    assert (code, error) == (0, ""), said
    assert data(out) == data(tmp_path / "whole")
    assert len(data(out)) == 2 * 4
    assert sorted(path.name for path in out.iterdir()) == sorted(path.name for path in (tmp_path / "whole").iterdir())
    for name in ("a", "b"):
        assert times(out / f"{name}.mp4") == times(tmp_path / "whole" / f"{name}.mp4")


def children_of(process: int) -> set[int]:
    """The processes that it has started."""
    found = set()
    for path in glob.iglob("/proc/[0-9]*/stat"):
        with suppress(OSError):  # it has just ended
            if int(Path(path).read_text().rpartition(")")[2].split()[1]) == process:
                found.add(int(path.split("/")[2]))
    return found


def data(folder: Path) -> dict[str, bytes]:
    """The results without the videos, and without the table of the batch, which has the pace in it."""
    return {path.name: path.read_bytes() for path in folder.glob("?_*")}


def times(path: Path) -> list[float]:
    """When every picture of a video is shown; all must decode."""
    with av.open(str(path)) as file:
        return [frame.time for frame in file.decode(video=0) if frame.time is not None]


def test_a_list_of_nothing_that_works_is_exit_code_1(tmp_path: Path, fresh_weights: Path) -> None:
    (tmp_path / "all.txt").write_text("missing one.mp4\n# that is all\n")
    code, said, error = run(tmp_path, "--video", "all.txt", "--output", "out", "--weights", fresh_weights)
    assert (code, error) == (1, "")
    assert "missing one.mp4' does not exist" in said
    assert summary(tmp_path / "out") == {"missing one.mp4": "failed"}


def test_an_unknown_engine_is_one_line(tmp_path: Path) -> None:
    code, said, error = run(tmp_path, "--video", "*.mp4", "--engine", "steam")
    assert (code, said) == (2, "")
    assert error.startswith("error: command line: argument --engine")
    assert error.count("\n") == 1
