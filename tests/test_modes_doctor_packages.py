"""``--doctor`` on packages: those that nobody misses, and commands that work where they are typed."""

from __future__ import annotations

import importlib.metadata
import json
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from conftest import ROOT
from test_modes_doctor import diagnose, hide

from stemo.modes import doctor_packages

FLAGS = tuple(doctor_packages.OPTIONAL)


def test_requirements_are_those_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = {**doctor_packages.LOADED, **doctor_packages.SMALL, **doctor_packages.TRAINING}
    named |= doctor_packages.ULTRALYTICS | doctor_packages.PARQUET
    assert set(named.values()) <= set(project["dependencies"])
    extras = {tuple(each) for name, each in project["optional-dependencies"].items() if name != "dev"}
    assert {tuple(packages.values()) for packages in doctor_packages.OPTIONAL.values()} == extras


def test_what_only_a_flag_needs_is_not_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    hide(monkeypatch, "ray", "onnx", "executorch")
    code, lines = diagnose(*(f"for {flag}" for flag in FLAGS))
    assert code == 0
    for line, flag, packages in zip(lines, FLAGS, doctor_packages.OPTIONAL.values(), strict=True):
        needed = " ".join(f"'{each}'" for each in packages.values())
        assert line == f"ok    {f'for {flag}':<22} not installed (only for {flag}): pip install {needed}"


def test_what_a_flag_needs_is_told_where_it_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_packages, "_is_there", lambda _name: True)
    monkeypatch.setattr(importlib.metadata, "version", lambda _name: "2.50.1")
    assert diagnose("for --engine ray") == (0, [f"ok    {'for --engine ray':<22} ray 2.50.1"])
    monkeypatch.setattr(importlib.metadata, "version", lambda _name: "2.9")
    code, (line,) = diagnose("for --engine ray")
    assert code == 0
    assert line.startswith("warn  for --engine ray")
    assert line.endswith("2.9 of ray is too old: expected 2.40  mend: pip install 'ray>=2.40'")


def test_the_doctor_comes_where_numpy_is_missing() -> None:
    code = "import sys; sys.modules['numpy'] = None\nfrom stemo.modes.doctor import checks; print(len(checks()) > 20)"
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert run.stdout == "True\n", run.stderr


@pytest.mark.parametrize(
    ("facts", "source"),
    [
        (None, "stemo"),  # from an index
        ({"url": "file:///home/me/my%20stemo", "dir_info": {}}, "'/home/me/my stemo'"),
        ({"url": "https://host/stemo.whl", "archive_info": {}}, "https://host/stemo.whl"),
        ({"url": "https://host/stemo", "vcs_info": {"vcs": "git", "commit_id": "abc"}}, "git+https://host/stemo@abc"),
    ],
)
def test_stemo_is_installed_again_from_where_it_came(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, facts: object, source: str
) -> None:
    folder = tmp_path / "stemo-1.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Name: stemo\n")
    if facts:
        (folder / "direct_url.json").write_text(json.dumps(facts))
    made = importlib.metadata.Distribution.at(folder)
    monkeypatch.setattr(importlib.metadata, "distribution", lambda _name: made)
    assert doctor_packages.reinstall() == f"pip install --force-reinstall --no-deps {source}"
    monkeypatch.setattr(doctor_packages, "ROOT", tmp_path)
    assert doctor_packages._place() == source
    (tmp_path / "pyproject.toml").touch()
    assert doctor_packages._place() == f"-e {tmp_path}"


def test_windows_wants_other_quotes_and_its_own_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    words = "DLL load failed while importing onnxruntime_pybind11_state"
    assert doctor_packages._system_package(words) is None
    monkeypatch.setattr(sys, "platform", "win32")
    assert doctor_packages.again(["av>=17"]) == 'pip install --force-reinstall "av>=17"'
    assert doctor_packages._system_package(words) == "winget install Microsoft.VCRedist.2015+.x64"


@pytest.mark.parametrize(
    ("there", "mend"),
    [
        ({"apt-get", "dnf"}, "sudo apt-get install -y libgl1"),
        ({"dnf"}, "sudo dnf install -y mesa-libGL"),
        (set(), "sudo apt-get install -y libgl1"),
    ],
)
def test_a_system_library_is_asked_of_its_own_distribution(
    monkeypatch: pytest.MonkeyPatch, there: set[str], mend: str
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: name if name in there else None)
    assert doctor_packages._system_package("libGL.so.1: cannot open shared object file") == mend
