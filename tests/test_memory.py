"""Memory over a long stream stays what it is at its beginning, from the decoder to every file written.

Whether the pace stays too, no test asks, for other work on the machine would decide: ``--benchmark --frames`` tells.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT

PROGRAM = ROOT / "tests" / "long_stream.py"
LINUX = pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="the system does not tell the peak so far")


def read_long_stream(folder: Path, frames: int, *more: str) -> dict[str, Any]:
    code = f"import sys; sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / 'tests')!r}]; sys.argv = sys.argv[1:]; "
    code += "import runpy; runpy.run_path(sys.argv[0], run_name='__main__')"
    command = [sys.executable, "-c", code, str(PROGRAM), str(folder), str(frames), *more]
    run = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout.splitlines()[-1])


@LINUX
@pytest.mark.slow
def test_twenty_thousand_frames_take_no_more_memory_than_one_thousand(tmp_path: Path) -> None:
    told = read_long_stream(tmp_path, 20_000)
    frames, rows, people = map(int, re.findall(r"(\d+) (?:frames|rows|faces)", told["said"])[:3])
    assert frames == rows == 20_000
    assert people >= 160  # one every five seconds
    assert told["last_mb"] - told["early_mb"] < 50
    assert {path.name for path in tmp_path.glob("read*")} == {
        "read.mp4",
        "read_meta.json",
        *(f"read_results.{ending}" for ending in ("json", "jsonl", "csv", "parquet")),
    }


@LINUX
@pytest.mark.slow
def test_memory_that_grows_would_be_seen(tmp_path: Path) -> None:
    told = read_long_stream(tmp_path, 3_000, "hold")
    assert told["last_mb"] - told["early_mb"] > 50
