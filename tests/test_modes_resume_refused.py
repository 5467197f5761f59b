"""``--resume`` with other settings, another input or a damaged folder: one line, or the checkpoint before."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from fakes import make_video
from remembering import RememberingRecognizer
from resuming import WORK, assert_same, read

from stemo.cli import main
from stemo.records import Frame


@pytest.mark.slow
@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--smoothing", "9"), "smoothing 5, now 9"),
        (("--end", "1"), "end None, now 1.0"),
        (("--no-video",), "video True, now False"),
    ],
)
def test_other_settings_are_refused(
    interrupted: Path, capsys: pytest.CaptureFixture[str], flags: tuple[str, ...], words: str
) -> None:
    before = {path: path.read_bytes() for path in interrupted.rglob("*") if path.is_file()}
    capsys.readouterr()
    assert read("out", "--resume", *flags) == 2
    error = capsys.readouterr().err
    assert words in error
    assert "rm -r" in error
    assert error.count("\n") == 1
    assert {path: path.read_bytes() for path in interrupted.rglob("*") if path.is_file()} == before


@pytest.mark.usefixtures("interrupted")
def test_a_machine_that_reads_in_another_way_is_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RememberingRecognizer, "engine", "onnx")
    capsys.readouterr()
    assert read("out", "--resume") == 2
    assert "engine torch, now onnx" in capsys.readouterr().err


@pytest.mark.usefixtures("interrupted")
def test_another_input_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_video(folder / "in.mp4", frames=40)
    capsys.readouterr()
    assert read("out", "--resume") == 2
    assert "input bytes " in capsys.readouterr().err


def test_a_copy_of_the_input_is_the_same(whole: Path, interrupted: Path) -> None:
    shutil.copy("in.mp4", "copy.mp4")
    Path("copy.mp4").rename("in.mp4")
    assert read("out", "--resume") == 0
    assert_same(interrupted, whole)


@pytest.mark.usefixtures("folder")
def test_two_runs_do_not_share_a_folder(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    second: list[tuple[int, str]] = []

    def start_another(frame: Frame) -> None:
        if frame.index == 12 and not second:
            capsys.readouterr()
            second.append((0, ""))
            flags = ("--resume", "--no-video", "--format", "csv")
            second[0] = (main(["--video", "in.mp4", "--output", "out/out.mp4", *flags]), capsys.readouterr().err)

    recognizer = RememberingRecognizer(meanwhile=start_another)
    others = iter([recognizer, RememberingRecognizer()])
    monkeypatch.setattr("stemo.modes.video.make_recognizer", lambda _settings: next(others))
    assert read("out", "--resume", "--format", "json") == 0
    ((code, error),) = second
    assert (code, error.count("\n")) == (2, 1)
    assert "by another run" in error


@pytest.mark.parametrize(
    "command",
    [
        ("--video", "rtsp://user:secret@127.0.0.1:9/none", "--resume"),
        ("--realtime", "--resume"),
        ("--doctor", "--resume"),
    ],
)
def test_what_cannot_be_read_again_is_refused(command: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(list(command)) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: --resume ")
    assert "Leave --resume out" in error
    assert "secret" not in error
    assert error.count("\n") == 1


# --- damaged ---


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _change(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.fixture(params=[_cut, _change, _empty, Path.unlink])
def harm(request: pytest.FixtureRequest) -> Callable[[Path], None]:
    return request.param


@pytest.mark.slow
@pytest.mark.parametrize(
    ("names", "begins"),
    [
        (("checkpoint-00000024",), 16),
        (("checkpoint-00000024", "checkpoint-00000016"), 0),
        (("rows.jsonl",), 0),
        (("run",), 0),
    ],
)
def test_a_damaged_checkpoint_falls_back(
    whole: Path,
    interrupted: Path,
    capsys: pytest.CaptureFixture[str],
    harm: Callable[[Path], None],
    names: tuple[str, ...],
    begins: int,
) -> None:
    for name in names:
        harm(interrupted / WORK / name)
    capsys.readouterr()
    assert read("out", "--resume") == 0
    said = capsys.readouterr().out
    assert said.count("warning: ") >= (harm is not Path.unlink or names[0] in ("rows.jsonl", "run"))
    assert ("going on at frame 16" in said) == (begins == 16)
    assert "going on at frame 24" not in said
    assert_same(interrupted, whole)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "begins"), [("video-00000016.mp4", 16), ("video-00000008.mp4", 0)])
def test_a_missing_piece_of_the_video_falls_back(
    whole: Path, interrupted: Path, capsys: pytest.CaptureFixture[str], name: str, begins: int
) -> None:
    (interrupted / WORK / name).unlink()
    capsys.readouterr()
    assert read("out", "--resume") == 0
    assert ("going on at frame 16" in capsys.readouterr().out) == (begins == 16)
    assert_same(interrupted, whole)
