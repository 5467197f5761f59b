"""A run that is killed while it gives its files their names: the next one reads that video again by itself."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from batching import Room, make_room


@pytest.fixture
def room(tmp_path: Path, fresh_weights: Path, monkeypatch: pytest.MonkeyPatch) -> Room:
    return make_room(tmp_path, fresh_weights, monkeypatch)


def data(room: Room) -> dict[str, bytes]:
    """All results but the videos, whose bytes nobody promises."""
    return {name: (room.folder / "out" / name).read_bytes() for name in room.files if name.endswith(".json")}


def kills(room: Room, run: Callable[[], int]) -> list[Path]:
    """Copies of the output folder as kills would leave it, whenever a file is about to get its name."""
    left: list[Path] = []
    rename = os.replace

    def watched(source: Path, target: Path) -> None:
        left.append(shutil.copytree(room.folder / "out", room.folder / f"left-{len(left)}"))
        rename(source, target)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "replace", watched)
        assert run() == 0
    return left


def put_back(room: Room, left: Path) -> None:
    shutil.rmtree(room.folder / "out")
    left.rename(room.folder / "out")


@pytest.mark.slow
@pytest.mark.parametrize("resume", [False, True])
def test_killed_between_two_files_a_video_is_read_again(room: Room, resume: bool) -> None:
    left = kills(room, lambda: room.run(no_video=False, resume=resume))
    whole, names = data(room), room.files
    assert len(left) >= 2 * 3  # three files of two videos
    for folder in left:
        put_back(room, folder)
        assert room.run(no_video=False) == 0, room.summary
        assert set(room.outcomes.values()) <= {"read", "skipped"}
        assert (data(room), room.files) == (whole, names)


@pytest.mark.slow
def test_killed_between_two_files_that_replace_others_no_mixture_counts_as_finished(room: Room) -> None:
    assert room.run() == 0
    old = data(room)
    left = kills(room, lambda: room.run(end=0.1, overwrite=True))
    new = data(room)
    for folder in left:
        put_back(room, folder)
        first = {name: file for name, file in data(room).items() if name.startswith("a b")}
        room.run()  # with the old settings: only what is wholly of them is finished
        if room.outcomes["a b.mp4"] == "skipped":
            assert first.items() <= old.items()
        assert room.run(end=0.1, overwrite=True) == 0
        assert data(room) == new


def test_a_file_of_somebody_else_is_not_replaced_after_a_kill_either(room: Room) -> None:
    left = kills(room, lambda: room.run(no_video=False))
    put_back(room, left[0])
    mine = room.folder / "out" / "a b.mp4"
    mine.write_text("precious")
    assert room.run(no_video=False) == 1
    assert mine.read_text() == "precious"
    assert room.outcomes["a b.mp4"] == "failed"
