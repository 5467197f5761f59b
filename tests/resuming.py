"""What the tests of ``--resume`` share: a clip that is read without models, and what kills leave of such a run."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import pytest
from fakes import make_video
from remembering import RememberingRecognizer

from stemo.cli import main
from stemo.output.sinks import RowSink
from stemo.records import Frame

FRAMES, EVERY = 29, 8
TIMES = [index / 25 + (index % 3) * 0.011 for index in range(FRAMES)]  # a variable rate
DATA = ("out_meta.json", "out_results.csv", "out_results.json", "out_results.jsonl", "out_results.parquet")
ALL_FORMATS = ("--format", "json,jsonl,csv,parquet")
WORK = ".out.mp4.resume"


def prepare(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make ``folder`` the current one, with a clip ``in.mp4``, and let there be a checkpoint every eighth frame."""
    make_video(folder / "in.mp4", vfr_times=TIMES, audio=True)
    monkeypatch.chdir(folder)
    monkeypatch.setattr("stemo.pipeline.CHECKPOINT", EVERY)
    read_with(monkeypatch)


def read_with(monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[Frame], object] = lambda _frame: None) -> None:
    """Let every run from now on have a new recogniser that calls ``meanwhile`` with each frame."""
    made = lambda _settings: RememberingRecognizer(meanwhile=meanwhile)  # noqa: E731
    monkeypatch.setattr("stemo.modes.video.make_recognizer", made)


def interrupt_at(index: int) -> Callable[[Frame], None]:
    """Ctrl-C at that frame."""

    def interrupt(frame: Frame) -> None:
        if frame.index == index:
            raise KeyboardInterrupt

    return interrupt


def read(out: str, *flags: str) -> int:
    """One run over the clip into the folder ``out``; returns its exit code."""
    Path(out).mkdir(exist_ok=True)
    return main(["--video", "in.mp4", "--output", f"{out}/out.mp4", *ALL_FORMATS, *flags])


def files(out: Path | str) -> dict[str, bytes]:
    """All data in a folder."""
    return {path.name: path.read_bytes() for path in sorted(Path(out).iterdir()) if path.suffix != ".mp4"}


def pictures(path: Path) -> list[int]:
    """The ticks of all pictures, in the order in which they are shown; each must decode."""
    with av.open(str(path)) as file:
        frames = list(file.decode(video=0))
    assert {frame.time_base for frame in frames} == {frames[0].time_base}
    return [frame.pts for frame in frames if frame.pts is not None]


def sound(path: Path) -> list[tuple[Any, bytes]]:
    """Every packet with its time."""
    with av.open(str(path)) as file:
        packets = [packet for stream in file.streams.audio for packet in file.demux(stream)]
        return [(packet.pts, bytes(packet)) for packet in packets if packet.size]


def assert_same(out: Path, whole: Path) -> None:
    """The same data in every byte, the same video times and sound, and nothing else beside them."""
    assert files(out) == files(whole)
    if (whole / "out.mp4").exists():
        assert pictures(out / "out.mp4") == pictures(whole / "out.mp4")
        assert sound(out / "out.mp4") == sound(whole / "out.mp4")
    assert sorted(path.name for path in out.iterdir()) == sorted(path.name for path in whole.iterdir())


def take_moments(*flags: str, out: str = "out") -> list[Path]:
    """Run with ``--resume``, and copy the folder ``out`` as a kill would leave it: at every frame, and around all that
    is renamed, brought to the disk or removed. Only the main thread writes, and it waits for the copy.
    """
    taken: dict[tuple[Any, ...], Path] = {}
    main_thread = threading.current_thread()

    def look() -> None:
        if threading.current_thread() is not main_thread:
            return
        what = tuple((str(path), path.stat().st_size) for path in sorted(Path(out).rglob("*")))
        if what not in taken:
            taken[what] = Path.cwd() / f"{out}-{len(taken):03d}"
            shutil.copytree(out, taken[what])

    with pytest.MonkeyPatch.context() as patch:
        for owner, name in ((os, "replace"), (os, "fsync"), (os, "unlink"), (RowSink, "write")):
            patch.setattr(owner, name, _watched(getattr(owner, name), look))
        assert read(out, "--resume", *flags) == 0
    look()
    return list(taken.values())


def _watched(done: Callable[..., Any], look: Callable[[], None]) -> Callable[..., Any]:
    def watched(*given: Any, **named: Any) -> Any:
        look()
        result = done(*given, **named)
        look()
        return result

    return watched


def leave_interrupted() -> Path:
    """``out`` as a kill left it when three checkpoints had been written, two of which are kept."""
    left = [path for path in take_moments() if any(path.glob(f"{WORK}/checkpoint-00000024"))]
    shutil.rmtree("out")
    left[0].rename("out")
    return Path.cwd() / "out"
