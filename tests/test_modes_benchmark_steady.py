"""A long stream is a clip whose clock runs on, and what is compared is the same work early and late."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from fakes import FixedRecognizer, make_video, read_stamp

from stemo.cli import main
from stemo.modes.benchmark import steady
from stemo.modes.benchmark.steady import Looped, Steady


@pytest.fixture(autouse=True)
def _short_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stemo.modes.benchmark.pace.ADDITIONS", 1000)


def test_a_looped_clip_goes_on_where_it_ended(tmp_path: Path) -> None:
    make_video(tmp_path / "clip.mp4", frames=5)
    frames = list(Looped(tmp_path / "clip.mp4", 12))
    assert [frame.index for frame in frames] == list(range(12))
    np.testing.assert_allclose([frame.time for frame in frames], np.arange(12) / 25, atol=1e-6)
    assert [read_stamp(frame.image) for frame in frames] == [0, 1, 2, 3, 4] * 2 + [0, 1]


def test_a_clip_of_one_frame_moves_on_by_its_rate(tmp_path: Path) -> None:
    make_video(tmp_path / "clip.mp4", frames=1)
    assert [frame.time for frame in Looped(tmp_path / "clip.mp4", 3)] == pytest.approx([0.0, 0.04, 0.08])


def test_pace_is_that_of_the_first_window_behind_a_round_and_of_the_last() -> None:
    moments = np.cumsum([9.0] * 10 + [1.0] * 41 + [2.0] * 40)
    seen = Steady(moments.tolist(), {steady.EARLY: (100.0, 110.0), 91: (101.0, 150.0)})
    figures = seen.figures(10, 40)
    assert figures["first_ms"] == pytest.approx(1000.0)
    assert figures["last_ms"] == pytest.approx(2000.0)
    assert figures["ratio"] == pytest.approx(2.0)
    assert figures["peak_growth_mb"] == 40.0
    assert figures["memory_mb"] == {"1000": 100.0, "91": 101.0}


@pytest.mark.parametrize(
    ("grown", "slower", "verdicts"),
    [
        (49.9, 1.049, ("within", "within")),
        (50.0, 1.051, ("over", "over")),
        (-3.0, 0.94, ("within", "over")),
        (math.nan, 1.0, ("unknown", "within")),
    ],
)
def test_both_bounds_have_a_verdict(grown: float, slower: float, verdicts: tuple[str, str]) -> None:
    moments = np.cumsum([9.0] * 10 + [1.0] * 41 + [slower] * 40)
    seen = Steady(moments.tolist(), {steady.EARLY: (100.0, 110.0), 91: (101.0, 110.0 + grown)})
    figures = seen.figures(10, 40)
    assert (figures["memory_verdict"], figures["pace_verdict"]) == verdicts
    assert list(steady.told(Path("a.mp4"), figures))[-1] == (
        f"  bounds        memory {verdicts[0]} (peak grows under 50 MB), pace {verdicts[1]} (differs by 5% at most)"
    )


def test_the_whole_way(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    make_video(tmp_path / "clip.mp4", frames=8)
    monkeypatch.setattr(steady, "EARLY", 10)
    monkeypatch.setattr(steady, "make_recognizer", lambda _settings: FixedRecognizer())
    command = ["--benchmark", str(tmp_path / "clip.mp4"), "--output", str(tmp_path / "facts.json")]
    assert main([*command, "--frames", "39"]) == 2
    assert "expected 40 or more for a clip of 8" in capsys.readouterr().err
    assert main([*command, "--frames", "45"]) == 0
    facts = json.loads((tmp_path / "facts.json").read_text())
    assert facts["frames"] == 45
    assert facts["window"] == 16
    assert set(facts["peak_memory_mb"]) == {"10", "45"}
    assert len(facts["ms_by_thousand"]) == 4
    assert "looped to 45 frames; annotated video, json, jsonl, csv, parquet" in capsys.readouterr().out


def test_only_one_clip_is_looped(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--benchmark", "a.mp4", "b.mp4", "--frames", "5000"]) == 2
    assert "expected one to loop" in capsys.readouterr().err
