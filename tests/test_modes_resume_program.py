"""The program itself with its models, killed again and again with SIGKILL on a real clip."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from contextlib import AbstractContextManager
from pathlib import Path

import av
import pytest
from conftest import ROOT, running

pytestmark = pytest.mark.slow
EVERY = 64
# the program, with more checkpoints than a short clip would have
PROGRAM = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
import stemo.pipeline
stemo.pipeline.CHECKPOINT = {EVERY}
from stemo.cli import main
raise SystemExit(main(sys.argv[1:]))
"""


def program(folder: Path, clip: Path, weights: Path, *flags: str) -> AbstractContextManager[subprocess.Popen[str]]:
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-c", PROGRAM, "--video", str(clip), "--output", "out.mp4", "--weights", str(weights)]
    command += ["--device", "cpu", "--format", "json,jsonl,csv,parquet", *flags]
    return running(command, folder)


def finish(folder: Path, clip: Path, weights: Path, *flags: str) -> str:
    with program(folder, clip, weights, *flags) as process:
        said, error = process.communicate(timeout=120)
    assert process.returncode == 0, error
    return said


def data(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".mp4"}


def times(path: Path) -> list[float]:
    with av.open(str(path)) as file:
        return [frame.time for frame in file.decode(video=0) if frame.time is not None]


def sound(path: Path) -> list[bytes]:
    with av.open(str(path)) as file:
        return [bytes(packet) for packet in file.demux(audio=0) if packet.size] if file.streams.audio else []


@pytest.mark.parametrize("name", ["several_faces.mp4", "face_noface.mov"])
def test_killed_again_and_again_all_is_as_if_it_had_not_been(
    shared: Path, tmp_path: Path, fresh_weights: Path, name: str
) -> None:
    clip = shared / "videos" / name
    whole = finish(tmp_path / "whole", clip, fresh_weights)
    seconds = float(whole.split(" faces in ")[1].split(" s ")[0])
    chance = random.Random(name)
    for _ in range(3):
        with program(tmp_path / "out", clip, fresh_weights, "--resume") as process:
            journal = tmp_path / "out" / ".out.mp4.resume" / "rows.jsonl"
            before = journal.stat().st_mtime_ns if journal.exists() else 0
            while process.poll() is None and not (journal.exists() and journal.stat().st_mtime_ns > before):
                time.sleep(0.01)
            time.sleep(chance.uniform(0.2, 0.5) * seconds)
            process.send_signal(signal.SIGKILL)
            process.communicate()
    finish(tmp_path / "out", clip, fresh_weights, "--resume")
    assert data(tmp_path / "out") == data(tmp_path / "whole")
    assert times(tmp_path / "out" / "out.mp4") == times(tmp_path / "whole" / "out.mp4")
    assert times(tmp_path / "out" / "out.mp4") == pytest.approx(times(clip), abs=1e-3)
    assert sound(tmp_path / "out" / "out.mp4") == sound(clip)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(
        path.name for path in (tmp_path / "whole").iterdir()
    )
    assert "is finished" in finish(tmp_path / "out", clip, fresh_weights, "--resume")
