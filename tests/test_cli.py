"""The command line: each bad input is one line on stderr and a non-zero exit, and nothing half-made stays behind."""

from __future__ import annotations

import json
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import av
import pytest
from conftest import ROOT
from fakes import make_sound, make_video

from stemo.cli import main
from stemo.errors import StemoError


class Shell:
    """Runs ``main`` in a folder of its own, with fresh weights."""

    def __init__(self, folder: Path, weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.weights, self._capsys = folder, weights, capsys

    def read(self, video: Path | str, *flags: str | Path, output: Path | str = "out.mp4") -> tuple[int, str]:
        """``--video`` with fresh weights; returns the exit code and what was said on stderr."""
        self._capsys.readouterr()
        given = ["--video", video, "--output", output, "--weights", self.weights, *flags]
        code = main([str(flag) for flag in given])
        return code, self._capsys.readouterr().err

    def refuse(self, *flags: str | Path, code: int = 2) -> str:
        """Flags that must end in one line; returns it."""
        self._capsys.readouterr()
        assert main([str(flag) for flag in flags]) == code
        error = self._capsys.readouterr().err
        assert error.startswith("error: ")
        assert error.count("\n") == 1
        return error

    def refuse_video(self, video: Path | str, *flags: str | Path, output: Path | str = "out.mp4", code: int = 2) -> str:
        """The same for ``--video``, which must also leave nothing new behind."""
        before = sorted(self.folder.rglob("*"))
        text = self.refuse("--video", video, "--output", output, "--weights", self.weights, *flags, code=code)
        assert sorted(self.folder.rglob("*")) == before
        return text


@pytest.fixture
def shell(
    tmp_path: Path, fresh_weights: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Shell:
    monkeypatch.chdir(tmp_path)
    return Shell(tmp_path, fresh_weights, capsys)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    make_video(tmp_path / "in.mp4", frames=6, options={"movflags": "faststart"})
    return tmp_path / "in.mp4"


def test_missing_file(shell: Shell) -> None:
    assert "does not exist" in shell.refuse_video("nothing.mp4")


def test_empty_file(shell: Shell) -> None:
    Path("a.mp4").touch()
    assert "is empty" in shell.refuse_video("a.mp4")


def test_text_renamed(shell: Shell) -> None:
    Path("a.mp4").write_text("Dear diary, today I was renamed.\n" * 50)
    assert "a.mp4" in shell.refuse_video("a.mp4")


def test_audio_only(shell: Shell) -> None:
    make_sound(Path("a.mp4"))
    assert "has no pictures" in shell.refuse_video("a.mp4")


def test_nothing_in_the_range(shell: Shell, clip: Path) -> None:
    assert "is empty" in shell.refuse_video(clip, "--start", "60")
    assert "end 1.0 leaves nothing" in shell.refuse_video(clip, "--start", "2", "--end", "1")


@pytest.mark.parametrize("flag", ["--start", "--end"])
@pytest.mark.parametrize("value", ["inf", "nan", "-inf"])
def test_a_range_is_finite(shell: Shell, clip: Path, flag: str, value: str) -> None:
    assert "expected seconds" in shell.refuse_video(clip, f"{flag}={value}")
    assert "expected seconds" in shell.refuse_video(clip, "--start", "1e15")


def test_output_folder_missing(shell: Shell, clip: Path) -> None:
    assert "mkdir -p" in shell.refuse_video(clip, output="nowhere/out.mp4")


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder that not even root can write to")
def test_output_folder_unwritable(shell: Shell, clip: Path) -> None:
    text = shell.refuse_video(clip, output="/proc/out.mp4")
    assert "cannot be written" in text or "is not writable" in text


def test_output_is_no_video_name(shell: Shell, clip: Path) -> None:
    assert "Add .mp4" in shell.refuse_video(clip, output="out.txt")


@pytest.mark.parametrize("taken", ["out.mp4", "out_results.json"])
def test_output_exists(shell: Shell, clip: Path, taken: str) -> None:
    Path(taken).write_text("precious")
    assert "--overwrite" in shell.refuse_video(clip)
    assert Path(taken).read_text() == "precious"


def test_the_input_is_never_its_own_output(shell: Shell, clip: Path) -> None:
    before = clip.read_bytes()
    assert "is the input" in shell.refuse_video(clip, "--overwrite", output=clip)
    assert clip.read_bytes() == before


@pytest.fixture
def copied_weights(tmp_path: Path, fresh_weights: Path) -> Path:
    for ending in (".safetensors", ".json"):
        shutil.copy(fresh_weights.with_suffix(ending), tmp_path / f"w{ending}")
    return tmp_path / "w.safetensors"


def test_tampered_weights(shell: Shell, clip: Path, copied_weights: Path) -> None:
    data = bytearray(copied_weights.read_bytes())
    data[-1] ^= 1
    copied_weights.write_bytes(data)
    assert "were changed" in shell.refuse_video(clip, "--weights", copied_weights)


def test_a_pickle_is_not_weights(shell: Shell, clip: Path, copied_weights: Path) -> None:
    copied_weights.write_bytes(pickle.dumps({"weights": [1, 2, 3]}))
    assert "are a pickle" in shell.refuse_video(clip, "--weights", copied_weights)


def test_missing_weights(shell: Shell, clip: Path) -> None:
    assert "cannot be read" in shell.refuse_video(clip, "--weights", "none.safetensors")


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"labels": 7}', '{"clip_length": "long"}'])
def test_a_broken_description_of_weights(shell: Shell, clip: Path, copied_weights: Path, text: str) -> None:
    copied_weights.with_suffix(".json").write_text(text)
    assert "w.safetensors" in shell.refuse_video(clip, "--weights", copied_weights)


def test_an_unknown_flag_gets_a_did_you_mean(shell: Shell) -> None:
    text = shell.refuse("--vidio", "a.mp4")
    assert "'--vidio' is unknown" in text
    assert "Did you mean --video?" in text


def test_an_unknown_config_key_gets_a_did_you_mean(shell: Shell, clip: Path) -> None:
    config = clip.with_name("a.yaml")
    config.write_text("recognition: {face: 1}\n")
    assert "Did you mean faces?" in shell.refuse_video(clip, "--config", config)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("flags", "part"),
    [
        (("--faces", "many"), "--faces"),
        (("--faces", "0"), "faces 0"),
        (("--smoothing", "0"), "smoothing 0"),
        (("--ema", "1.5"), "ema 1.5"),
        (("--device", "cuda:99"), "'cuda:99'"),
        (("--device", "abacus"), "'abacus'"),
        (("--format", "xml"), "'xml'"),
        (("--landmarker", "none.task"), "none.task"),
        (("--detector", "yunet", "--face-weights", "none.onnx"), "none.onnx"),
        (("--detector", "yolo", "--face-weights", "none.pt"), "none.pt"),
        (("--detector", "yolo"), "--train-detector"),
        (("--detector", "yolov8"), "Did you mean yolo?"),
        (("--face-weights", "yunet.onnx"), "--detector yunet"),
        (("--config", "none.yaml"), "none.yaml"),
        (("--demo",), "not allowed with"),
    ],
)
def test_a_flag_out_of_range(shell: Shell, clip: Path, flags: tuple[str, ...], part: str) -> None:
    assert part in shell.refuse_video(clip, *flags)


def test_demo_says_where_it_cannot_write(shell: Shell) -> None:
    Path("taken").write_text("a file")
    assert "'taken'" in shell.refuse("--demo", "--output", "taken")


@pytest.mark.slow
def test_summary_prints_the_table_and_writes_weights_once(shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--weights", "new.safetensors"]) == 0
    text = capsys.readouterr().out
    assert "parameters" in text
    assert "whole" in text
    assert Path("new.safetensors").exists()
    assert Path("new.json").exists()
    assert "--overwrite" in shell.refuse("--weights", "new.safetensors")
    Path("taken").write_text("a file")
    assert "taken" in shell.refuse("--weights", "taken/new.safetensors")


def test_help_names_every_mode(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["--help"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    for flag in ("--video", "--realtime", "--demo", "--train", "--evaluate", "--output", "--overwrite", "--config"):
        assert flag in text


def test_interruption_says_that_results_are_kept(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("stemo.cli._mode", interrupted)
    assert main([]) == 130
    assert "has been kept" in capsys.readouterr().err


def test_every_error_says_its_exit_code(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def kinds(kind: type[StemoError]) -> list[type[StemoError]]:
        return [kind, *(child for direct in kind.__subclasses__() for child in kinds(direct))]

    for kind in kinds(StemoError):

        def failing(*_: object, kind: type[StemoError] = kind) -> int:
            raise kind("something is wrong")

        monkeypatch.setattr("stemo.cli._mode", failing)
        assert main([]) == kind.exit_code != 0
        assert capsys.readouterr().err == "error: something is wrong\n"


@pytest.mark.slow
def test_a_video_without_a_face_ends_well_with_null_rows(shell: Shell, clip: Path) -> None:
    code, error = shell.read(clip)
    assert (code, error) == (0, "")
    rows = json.loads(Path("out_results.json").read_text())
    assert [row["frame"] for row in rows] == list(range(6))
    assert all(row[key] is None for row in rows for key in ("face_id", "emotion", "valence", "probabilities", "box"))
    assert shell.read(clip, "--overwrite")[0] == 0


@pytest.mark.slow
@pytest.mark.parametrize("flags", [(), ("--no-video",)])
def test_a_truncated_video_keeps_what_was_decoded(shell: Shell, tmp_path: Path, flags: tuple[str, ...]) -> None:
    make_video(tmp_path / "whole.mp4", frames=60, audio=True, options={"movflags": "faststart"})
    data = (tmp_path / "whole.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(data[: len(data) * 2 // 3])
    code, error = shell.read("cut.mp4", *flags)
    assert code == 3
    assert "ends early" in error
    assert error.count("\n") == 1
    rows = json.loads(Path("out_results.json").read_text())
    assert 5 < len(rows) < 60
    assert [row["frame"] for row in rows] == list(range(len(rows)))
    meta = json.loads(Path("out_meta.json").read_text())
    assert meta["complete"] is False
    assert meta["counts"]["frames"] == len(rows)
    assert list(tmp_path.glob("*.part")) == []
    if not flags:
        with av.open("out.mp4") as video:
            assert sum(1 for _ in video.decode(video=0)) == len(rows)


@pytest.mark.slow
def test_the_program_itself_exits_non_zero_in_one_line(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "main.py"), "--video", "nothing.mp4"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr.startswith("error: input 'nothing.mp4' does not exist")
    assert run.stderr.count("\n") == 1
