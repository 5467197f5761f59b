"""The program reading live, as a user starts it, and what it must leave behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import av
import pytest
from conftest import ROOT, running, wait_until

BARE = {key: value for key, value in os.environ.items() if key not in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")}
LONG = 2000  # frames, 80 s: longer than any of these tests


def live(*flags: object, **environment: str) -> AbstractContextManager[subprocess.Popen[str]]:
    return running([sys.executable, "main.py", "--realtime", *map(str, flags)], ROOT, **(environment or BARE))


def wait_for(path: Path, lines: int, process: subprocess.Popen[str]) -> None:
    def written() -> bool:
        if process.poll() is not None:
            pytest.fail(f"ended too early: {process.communicate()}")
        return path.exists() and path.read_text().count("\n") >= lines

    wait_until(written, f"{lines} lines of {path}")


def read_rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def video_times(path: Path) -> list[float]:
    with av.open(str(path)) as container:
        return [float(frame.time or 0.0) for frame in container.decode(video=0)]


def assert_whole(base: Path, record: Path) -> list[dict[str, Any]]:
    """Rows, facts and recording are there, finished, and tell of the same frames at the same times."""
    rows = read_rows(base.with_name(f"{base.name}_results.jsonl"))
    facts = json.loads(base.with_name(f"{base.name}_meta.json").read_text())
    assert facts["counts"]["frames"] == len(rows)
    assert video_times(record) == pytest.approx([row["time_s"] for row in rows], abs=1e-3)
    assert not list(base.parent.glob("*.part"))
    return rows
