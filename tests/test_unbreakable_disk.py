"""A real disk that is full, and has room again."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

pytestmark = pytest.mark.slow
MOUNT = ("mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", "disk")


def apart(folder: Path) -> list[str]:
    """What runs a command where it may mount what nobody else sees; skips where the system does not let us."""
    if shutil.which("unshare") is None:
        pytest.skip("needs unshare (util-linux), to mount a small disk")
    for way in (["unshare", "-m"], ["unshare", "-rm"]):
        tried = subprocess.run([*way, *MOUNT], cwd=folder, capture_output=True, text=True, check=False)
        if tried.returncode == 0:
            return way
    pytest.skip(f"needs the right to mount a small disk: {tried.stderr.strip()}")


def test_full_amid_a_run_and_roomy_again_the_results_are_those_of_any_other(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    script = f'{" ".join(MOUNT)} && exec "$0" "$1"'
    command = [*apart(tmp_path), "sh", "-c", script, sys.executable, str(ROOT / "tests" / "filling.py")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    run = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert run.returncode == 0, run.stderr
    assert run.stderr.count("\n") == 1
    assert "cannot be written: No space left on device" in run.stderr
    assert "going on at frame" in run.stdout
