"""The benchmark measures what it says: every stage of every frame, and only frames after the warm-up."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from stemo.cli import main
from stemo.modes.benchmark import stages
from stemo.modes.benchmark.clips import make_clip
from stemo.modes.benchmark.stages import STAGES, WARM_UP, Clock, Timings


def test_the_clock_starts_behind_the_warm_up(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter([10.0, 14.0])
    monkeypatch.setattr(stages.time, "perf_counter", lambda: next(moments))
    clock = Clock()
    assert list(clock.after(3, range(11))) == list(range(11))
    assert clock.count == 8
    assert clock.rate() == 2.0


def test_nothing_behind_the_warm_up_is_no_rate() -> None:
    clock = Clock()
    assert list(clock.after(3, range(2))) == [0, 1]
    assert clock.rate() == 0.0


def test_medians_leave_the_warm_up_out() -> None:
    timings = Timings()
    timings.spent["draw"] = [1000.0] * WARM_UP + [1.0, 2.0, 3.0]
    timings.spent["rows"] = [5.0]
    assert timings.medians() == {"draw": 2.0, "rows": 5.0}


def test_a_timed_call_returns_what_it_computes() -> None:
    timings = Timings()
    assert timings.timed("rows", divmod, 7, 2) == (3, 1)
    assert len(timings.spent["rows"]) == 1


@pytest.mark.slow
def test_the_whole_way(
    tmp_path: Path, fresh_weights: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stemo.modes.benchmark.run.REPEATS", 1)
    clip = make_clip(tmp_path / "clip.mp4", 320, 180, seconds=1)
    report = tmp_path / "benchmark.json"
    for ending in (".safetensors", ".json"):
        shutil.copy(fresh_weights.with_suffix(ending), tmp_path / f"own{ending}")
    recorded = ["--weights", str(tmp_path / "own.safetensors"), "--record", "speed"]
    assert main(["--benchmark", str(clip), "--output", str(report), *recorded]) == 0
    printed = capsys.readouterr().out
    facts = json.loads(report.read_text())
    figures = facts["clips"]["clip.mp4"]
    assert figures["size"] == "320x180"
    assert set(figures["stages_ms"]) == set(STAGES)
    assert all(value > 0 for value in figures["stages_ms"].values())
    assert figures["frames_per_second"] == pytest.approx(np.median(figures["runs"]))
    assert set(facts["network_ms"]) == {"onnx", "torch"}
    assert main(["--card", str(tmp_path / "own.safetensors")]) == 0
    card = (tmp_path / "own.md").read_text()
    shown = re.search(r"clip\.mp4 \(320x180\): ([\d.]+)$", card, re.MULTILINE)
    assert shown
    assert float(shown[1]) == round(figures["frames_per_second"], 1)
    assert "onnx, 6 faces" in card
    assert facts["peak_memory_mb"] > 100
    for word in ("machine:", "threads:", "versions:", "network:", "clip.mp4 (320x180)", "whole"):
        assert word in printed


def test_only_speed_is_recorded_of_a_benchmark(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--benchmark", "--record", "valid"]) == 2
    assert "expected one of speed, got 'valid'" in capsys.readouterr().err


@pytest.mark.slow
def test_many_videos_by_one_and_by_two(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stemo.modes.benchmark.throughput.VIDEOS", 2)
    clip, report = make_clip(tmp_path / "clip.mp4", 320, 180, seconds=1), tmp_path / "facts.json"
    assert main(["--benchmark", str(clip), "--workers", "2", "--output", str(report)]) == 0
    facts = json.loads(report.read_text())
    assert facts["videos_per_minute_1"] > 1
    assert facts["videos_per_minute_2"] > 1
    assert "2 at a time: " in capsys.readouterr().out
    (tmp_path / "bad.mp4").write_text("no video")
    assert main(["--benchmark", str(tmp_path / "bad.mp4"), "--workers", "1"]) == 2
