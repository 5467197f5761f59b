"""The program itself where little is as usual: no locale, no home, an install that nobody may write to, Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import av
import pytest
from conftest import ROOT, running, wait_until
from fakes import make_video

pytestmark = pytest.mark.slow

# every file that is opened for writing, made, renamed or removed below the install is reported
WATCHED = """
import sys
from pathlib import Path
homes = (str(ROOT), *(path for path in sys.path if "site-packages" in path))
writes = ("os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.truncate")

def watch(event, arguments):
    path = arguments[0] if arguments else ""
    changes = event in writes or (event == "open" and arguments[2] & 3)
    if changes and str(path).startswith(homes):
        print("WROTE", event, path, file=sys.stderr)

sys.addaudithook(watch)
sys.path.insert(0, str(ROOT))
from stemo.cli import main
raise SystemExit(main(sys.argv[1:]))
"""


def test_a_read_only_install_without_locale_and_home_reads_a_video(tmp_path: Path, fresh_weights: Path) -> None:
    folder = tmp_path / "ein Ordner - 映画"
    folder.mkdir()
    make_video(tmp_path / "in.mp4", frames=4, audio=True)
    (tmp_path / "in.mp4").rename(folder / "mein Film - 映画.mp4")
    bare = {
        "PATH": os.environ["PATH"],
        "LC_ALL": "C",
        "PYTHONUTF8": "0",
        "PYTHONCOERCECLOCALE": "0",
        "HOME": "/nonexistent",
    }
    code = f"from pathlib import Path; ROOT = Path({str(ROOT)!r})\n{WATCHED}"
    command = [sys.executable, "-B", "-c", code, "--video", "mein Film - 映画.mp4", "--weights", str(fresh_weights)]
    run = subprocess.run(command, cwd=folder, env=bare, capture_output=True, timeout=120, check=False)
    assert (run.returncode, run.stderr) == (0, b""), run.stderr.decode(errors="replace")
    names = sorted(path.name for path in folder.iterdir())
    stem = "mein Film - 映画"
    assert names == sorted(f"{stem}{end}" for end in (".mp4", "_stemo.mp4", "_stemo_meta.json", "_stemo_results.json"))
    assert len(json.loads((folder / f"{stem}_stemo_results.json").read_text())) == 4


@pytest.fixture(scope="module")
def long_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "long.mp4"
    make_video(path, frames=3000, audio=True)
    return path


@contextmanager
def program(folder: Path, clip: Path, weights: Path, *, rows: bool = True) -> Iterator[subprocess.Popen[str]]:
    """The program at work in ``folder``, once it has written ``rows``, or else opened the file for them."""
    command = [sys.executable, str(ROOT / "main.py"), "--video", str(clip)]
    command += ["--output", "out.mp4", "--format", "jsonl", "--weights", str(weights)]
    part = folder / "out_results.jsonl.part"
    with running(command, folder) as process:
        wait_until(lambda: process.poll() is not None or (part.exists() and part.stat().st_size >= rows), "its rows")
        yield process


@pytest.mark.usefixtures("_usual_ctrl_c")
def test_ctrl_c_before_the_first_row_leaves_nothing(tmp_path: Path, fresh_weights: Path, long_clip: Path) -> None:
    with program(tmp_path, long_clip, fresh_weights, rows=False) as process:  # its models are not loaded yet
        process.send_signal(signal.SIGINT)
        _, complained = process.communicate(timeout=60)
    assert process.returncode == 130, complained
    assert complained == "interrupted: what was computed has been kept.\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("_usual_ctrl_c")
@pytest.mark.parametrize("rows", [False, True])
def test_ctrl_c_again_and_again_leaves_whole_files_or_parts(
    tmp_path: Path, fresh_weights: Path, long_clip: Path, rows: bool
) -> None:
    with program(tmp_path, long_clip, fresh_weights, rows=rows) as process:
        while process.poll() is None:
            process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.05)
        _, complained = process.communicate(timeout=60)
    assert process.returncode in (130, -signal.SIGINT), complained
    results, meta, video = (tmp_path / f"out{end}" for end in ("_results.jsonl", "_meta.json", ".mp4"))
    if results.exists():
        assert all(json.loads(line) for line in results.read_text().splitlines())
    if video.exists():
        with av.open(str(video)) as file:
            assert sum(1 for _ in file.decode(video=0)) > 0
    if meta.exists():
        assert json.loads(meta.read_text())["complete"] is False
    assert {path for path in tmp_path.iterdir() if path.suffix != ".part"} <= {results, meta, video}


@pytest.mark.usefixtures("_usual_ctrl_c")
@pytest.mark.parametrize("delay", [0.0, 0.7])
def test_ctrl_c_at_any_moment_of_a_video_leaves_whole_files(
    tmp_path: Path, fresh_weights: Path, long_clip: Path, delay: float
) -> None:
    with program(tmp_path, long_clip, fresh_weights) as process:
        time.sleep(delay)
        process.send_signal(signal.SIGINT)
        _, complained = process.communicate(timeout=60)
    assert process.returncode == 130, complained
    assert complained == "interrupted: what was computed has been kept.\n"
    rows = [json.loads(line) for line in (tmp_path / "out_results.jsonl").read_text().splitlines()]
    with av.open(str(tmp_path / "out.mp4")) as video:
        assert sum(1 for _ in video.decode(video=0)) == len(rows) > 0
    meta = json.loads((tmp_path / "out_meta.json").read_text())
    assert (meta["complete"], meta["counts"]["frames"]) == (False, len(rows))
    assert not list(tmp_path.glob("*.part"))
