"""Flags that a mode would leave unused in silence are one line on stderr, and nothing is read or written."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from fakes import FixedRecognizer, make_video

from stemo.cli import main

MODES = ("--video", "--evaluate", "--explain", "--train-detector", "--compare-detectors", "--card", "--export")
LIVE = ("--realtime", "--source", "in.mp4", "--no-window")


@pytest.fixture(autouse=True)
def _inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make_video(tmp_path / "in.mp4", frames=3)


def refusal(capsys: pytest.CaptureFixture[str], *flags: str) -> str:
    """The one line for flags that end in nothing."""
    before = sorted(Path().iterdir())
    assert main(list(flags)) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert sorted(Path().iterdir()) == before
    return error


@pytest.mark.parametrize("mode", [*MODES, "--prepare"])
@pytest.mark.parametrize("form", ["apart", "together"])
def test_an_empty_mode_is_not_no_mode(
    capsys: pytest.CaptureFixture[str], fresh_weights: Path, mode: str, form: str
) -> None:
    for ending in (".safetensors", ".json"):
        shutil.copy(fresh_weights.with_suffix(ending), Path(f"mine{ending}"))
    before = Path("mine.safetensors").read_bytes()
    given = (mode, "") if form == "apart" else (f"{mode}=",)
    assert f"{mode} has an empty value" in refusal(capsys, *given, "--weights", "mine.safetensors", "--overwrite")
    assert Path("mine.safetensors").read_bytes() == before


@pytest.mark.parametrize("flag", ["--weights", "--output", "--config", "--format", "--source"])
def test_no_flag_may_be_empty(capsys: pytest.CaptureFixture[str], flag: str) -> None:
    assert f"{flag} has an empty value" in refusal(capsys, "--video", "in.mp4", flag, " ")


@pytest.mark.parametrize(
    "flags", [("--faces", "2"), ("--output", "o.mp4"), ("--no-video",), ("--device", "cpu"), ("--no-objects",)]
)
def test_a_forgotten_mode_writes_no_weights(capsys: pytest.CaptureFixture[str], flags: tuple[str, ...]) -> None:
    text = refusal(capsys, "--weights", "new.safetensors", "--overwrite", *flags)
    assert f"{flags[0].replace('--no-objects', '--objects')} has no meaning without a mode" in text


@pytest.mark.parametrize(
    ("flags", "part"),
    [
        (("--video", "in.mp4", "--record", "seen.mp4"), "--record has no meaning with --video"),
        (("--video", "in.mp4", "--engine", "ray"), "engine 'ray' is for many videos"),
        (("--video", "in.mp4", "--workers", "2"), "workers 2 are for many videos"),
        (("--video", "in.mp4", "--workers", "0"), "workers 0 is out of range"),
        (("--demo", "--workers", "-1"), "workers -1 is out of range"),
        ((*LIVE, "--output", "o", "--format", "csv,xml"), "'xml'"),
        ((*LIVE, "--format", "csv"), "--format has no meaning in --realtime without --output"),
        (("--realtime", "--no-window", "--end", "-1"), "end -1.0 leaves nothing"),
    ],
)
def test_what_would_be_left_unused_is_refused(
    capsys: pytest.CaptureFixture[str], flags: tuple[str, ...], part: str
) -> None:
    assert part in refusal(capsys, *flags)


@pytest.mark.parametrize(
    ("flag", "value", "what"), [("--workers", "2", "workers 2 are"), ("--engine", "ray", "engine 'ray' is")]
)
def test_what_is_for_many_videos_is_refused_in_the_same_words(
    capsys: pytest.CaptureFixture[str], flag: str, value: str, what: str
) -> None:
    assert refusal(capsys, "--video", "in.mp4", flag, value) == (
        f"error: {what} for many videos: expected a folder, a pattern or a list of them, got one source. "
        f"Leave {flag} out, or name it in a list (.txt).\n"
    )


def test_rows_of_what_is_seen_live_come_in_the_formats_asked_for(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stemo.modes.realtime.make_recognizer", lambda _settings: FixedRecognizer())
    assert main([*LIVE, "--no-objects", "--output", "a.mp4"]) == 0
    assert "add --record a.mp4" in capsys.readouterr().out
    assert main([*LIVE, "--no-objects", "--output", "b", "--format", "csv,parquet"]) == 0
    assert "--record" not in capsys.readouterr().out
    Path("c.yaml").write_text("recognition: {format: csv}\n", encoding="utf-8")
    assert main([*LIVE, "--no-objects", "--output", "c", "--config", "c.yaml"]) == 0
    assert main([*LIVE, "--no-objects", "--output", "d", "--config", "c.yaml", "--format", "jsonl"]) == 0
    Path("e.yaml").write_text("recognition: {format: json}\n", encoding="utf-8")
    assert main([*LIVE, "--no-objects", "--output", "e", "--config", "e.yaml"]) == 0
    assert main([*LIVE, "--no-objects", "--output", "f", "--format", "json"]) == 0
    Path("g.yaml").write_text("recognition: {faces: 2}\ntraining:\n", encoding="utf-8")
    assert main([*LIVE, "--no-objects", "--output", "g", "--config", "g.yaml"]) == 0
    made = {path.name for path in Path().iterdir() if path.suffix not in (".mp4", ".yaml")}
    assert made == {
        *("a_results.jsonl", "a_meta.json", "b_results.csv", "b_results.parquet", "b_meta.json"),
        *("c_results.csv", "c_meta.json", "d_results.jsonl", "d_meta.json"),
        *("e_results.json", "e_meta.json", "f_results.json", "f_meta.json", "g_results.jsonl", "g_meta.json"),
    }
