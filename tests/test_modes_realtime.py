"""Live reading: the newest frame, a window or none, and whole files however it ends."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
from fakes import make_video
from going_live import LONG, assert_whole, live, wait_for

from stemo.cli import main

# --- whole runs ---


@pytest.mark.slow
def test_a_file_stands_in_for_the_camera(tmp_path: Path, fresh_weights: Path) -> None:
    times = make_video(tmp_path / "in.mp4", frames=40)
    base, record = tmp_path / "out", tmp_path / "seen.mp4"
    flags = ("--no-window", "--no-objects", "--weights", fresh_weights, "--output", base, "--record", record)
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
def test_an_interruption_leaves_whole_files(tmp_path: Path, fresh_weights: Path, live_clip: Path, number: int) -> None:
    base, record = tmp_path / "out", tmp_path / "seen.mp4"
    flags = ("--no-window", "--no-objects", "--weights", fresh_weights, "--output", base, "--record", record)
    with live("--source", live_clip, *flags) as process:
        wait_for(tmp_path / "out_results.jsonl.part", 10, process)
        process.send_signal(number)
        said, complained = process.communicate(timeout=180)
    assert process.returncode == 0, complained
    assert complained.count("Traceback") == 0
    assert 10 <= len(assert_whole(base, record)) < LONG
    assert "frames read" in said


@pytest.mark.slow
def test_a_source_that_breaks_off_is_kept_and_told(tmp_path: Path, fresh_weights: Path) -> None:
    whole = tmp_path / "whole.mp4"
    make_video(whole, frames=40, options={"movflags": "faststart"})
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole.read_bytes()[: int(whole.stat().st_size * 0.7)])
    base, record = tmp_path / "out", tmp_path / "seen.mp4"
    flags = ("--no-window", "--no-objects", "--weights", fresh_weights, "--output", base, "--record", record)
    with live("--source", cut, *flags) as process:
        _, complained = process.communicate(timeout=120)
    assert process.returncode == 3
    assert "ends early" in complained.splitlines()[-1]
    assert 1 <= len(assert_whole(base, record)) < 40
    assert json.loads((tmp_path / "out_meta.json").read_text())["complete"] is False


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
