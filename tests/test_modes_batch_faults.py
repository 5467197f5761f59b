"""What goes wrong beside the videos of a batch: the machine's end, one machine of many, the place of the summary."""

from __future__ import annotations

import errno
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest
from batching import Room, make_room

from stemo.errors import ConfigError
from stemo.modes.batch import summary
from stemo.modes.batch.engines import Engine, Outcomes
from stemo.modes.batch.tasks import Outcome, Task, read_task

BROKEN = Outcome(problem="device 'cuda' is not on this machine: expected a GPU, got none.", everyones=True)


@pytest.fixture
def room(tmp_path: Path, fresh_weights: Path, monkeypatch: pytest.MonkeyPatch) -> Room:
    return make_room(tmp_path, fresh_weights, monkeypatch)


def reads_first(tasks: Sequence[Task]) -> Outcomes:
    """The first video is read, the second meets a machine that cannot read any."""
    yield tasks[0], read_task(tasks[0])
    yield tasks[1], BROKEN


def reads_second(tasks: Sequence[Task]) -> Outcomes:
    """The same in the other order."""
    yield tasks[0], BROKEN
    yield tasks[1], read_task(tasks[1])


def reads_none(tasks: Sequence[Task]) -> Outcomes:
    """No machine can read any."""
    yield from ((task, BROKEN) for task in tasks)


def test_one_machine_that_cannot_read_is_the_fault_of_its_video_where_others_can(room: Room) -> None:
    room.engine = Engine(reads_first)
    assert room.run() == 1
    assert room.outcomes == {"a b.mp4": "read", "z Ölçü.mkv": "failed"}
    assert "expected a GPU" in room.summary["z Ölçü.mkv"]["problem"]


def test_in_a_cluster_it_is_so_from_the_beginning(room: Room) -> None:
    room.engine = Engine(reads_second, alike=False)
    assert room.run() == 1
    assert room.outcomes == {"a b.mp4": "failed", "z Ölçü.mkv": "read"}


@pytest.mark.parametrize("engine", [Engine(reads_none), Engine(reads_second)])
def test_what_no_machine_can_read_is_one_fault_of_all(room: Room, engine: Engine) -> None:
    room.engine = engine
    with pytest.raises(ConfigError, match="expected a GPU"):
        room.run()


def test_an_engine_that_breaks_loses_no_row(room: Room) -> None:
    def breaks(tasks: Sequence[Task]) -> Outcomes:
        yield tasks[0], read_task(tasks[0])
        raise ConnectionError("the cluster is gone")

    room.engine = Engine(breaks)
    with pytest.raises(ConnectionError):
        room.run()
    assert room.outcomes == {"a b.mp4": "read", "z Ölçü.mkv": "not read"}


@pytest.mark.usefixtures("_usual_ctrl_c")
def test_a_polite_kill_between_two_videos_is_an_interruption(room: Room) -> None:
    def asked(tasks: Sequence[Task]) -> Outcomes:
        yield tasks[0], read_task(tasks[0])
        signal.raise_signal(signal.SIGTERM)
        yield tasks[1], read_task(tasks[1])

    room.engine = Engine(asked)
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt):
        room.run()
    assert signal.getsignal(signal.SIGTERM) is before
    assert room.outcomes == {"a b.mp4": "read", "z Ölçü.mkv": "not read"}


def test_a_full_disk_costs_the_file_but_not_the_table(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_file: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(summary.csv, "writer", full)
    assert room.run() == 0
    assert [line.split()[-1] for line in room.said[3:5]] == ["read", "read"]
    assert room.said[-2].startswith("2 videos read in ")
    assert room.said[-1].startswith("warning: ")
    assert "No space left on device" in room.said[-1]
    assert "summary.csv" not in {path.name for path in (room.folder / "out").iterdir()}


@pytest.mark.slow
def test_a_summary_of_somebody_else_is_replaced_only_when_asked(room: Room) -> None:
    mine = room.folder / "out" / "summary.csv"
    mine.parent.mkdir()
    for text in ("month,costs\nMay,100\n", "caf\udce9"):
        mine.write_text(text, errors="surrogateescape")
        assert room.run() == 0
        assert mine.read_text(errors="surrogateescape") == text
        assert "is not one of this program" in room.said[-1]
    assert room.run(overwrite=True) == 0
    assert room.outcomes == {"a b.mp4": "read", "z Ölçü.mkv": "read"}
    assert room.run() == 0
    assert room.outcomes == {"a b.mp4": "skipped", "z Ölçü.mkv": "skipped"}
