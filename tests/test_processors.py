"""How many processors a process counts on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from stemo import processors
from stemo.config import RecognitionSettings
from stemo.errors import ConfigError
from stemo.modes.batch import tasks
from stemo.modes.doctor_device import device
from stemo.network.engine import network_threads
from stemo.recognizer import Recognizer


@pytest.fixture(autouse=True)
def _unlimited(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(processors, "_limit", None)
    processors.container_processors.cache_clear()
    yield
    processors.container_processors.cache_clear()


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty tree of control groups on a machine of 64 processors; this process is in ``/pod/own`` of each kind."""
    (tmp_path / "own").write_text("4:memory:/elsewhere\n3:cpu,cpuacct:/pod/own\n0::/pod/own\n")
    monkeypatch.setattr(processors, "OWN_GROUPS", tmp_path / "own")
    monkeypatch.setattr(processors, "GROUPS", tmp_path / "groups")
    monkeypatch.setattr("os.sched_getaffinity", lambda _process: range(64), raising=False)
    monkeypatch.setattr("os.cpu_count", lambda: 64)
    return tmp_path / "groups"


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n")


def test_there_is_one_at_least() -> None:
    assert processors.available_processors() >= 1


def allow(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """A machine of ``count`` processors."""
    monkeypatch.setattr("os.sched_getaffinity", lambda _process: range(count), raising=False)
    monkeypatch.setattr("os.cpu_count", lambda: count)
    monkeypatch.setattr(processors, "OWN_GROUPS", Path("nowhere"))


@pytest.mark.parametrize(
    ("there", "codec", "network"), [(1, 1, 1), (2, 1, 1), (3, 1, 1), (4, 1, 2), (8, 2, 4), (16, 4, 8), (64, 16, 32)]
)
def test_decoder_encoder_and_network_share_the_processors(
    monkeypatch: pytest.MonkeyPatch, there: int, codec: int, network: int
) -> None:
    allow(monkeypatch, there)
    assert (processors.codec_threads(), network_threads()) == (codec, network)
    assert 2 * codec + network <= max(there, 3)  # each has one at least


@pytest.mark.parametrize(("workers", "codec"), [(1, 4), (2, 2), (4, 1), (16, 1)])
def test_workers_share_them_again(monkeypatch: pytest.MonkeyPatch, workers: int, codec: int) -> None:
    allow(monkeypatch, 16)
    processors.limit_processors(16 // workers)
    assert processors.codec_threads() == codec


def test_a_worker_opens_the_weights_with_its_own_share(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    counted: list[int] = []

    def make_recognizer(_settings: RecognitionSettings) -> Recognizer:
        counted.append(network_threads())  # an exported file opens its session here
        raise ConfigError("no weights")

    allow(monkeypatch, 16)
    monkeypatch.setattr(tasks, "make_recognizer", make_recognizer)
    tasks._recognizer.cache_clear()
    task = tasks.Task(tmp_path / "a.mp4", tmp_path / "b.mp4", RecognitionSettings(), processors=4)
    assert tasks.read_task(task).problem == "no weights"
    assert counted == [2]


def test_a_share_limits_every_stage_and_adds_none() -> None:
    there = processors.available_processors()
    processors.limit_processors(1)
    assert (processors.available_processors(), processors.codec_threads(), network_threads()) == (1, 1, 1)
    processors.limit_processors(there + 5)
    assert processors.available_processors() == there
    processors.limit_processors(0)
    assert processors.available_processors() == 1


# --- what a container allows ---


@pytest.mark.parametrize(
    ("files", "count"),
    [
        ({}, 64),
        ({"cpu.max": "200000 100000"}, 2),  # docker run --cpus=2
        ({"pod/own/cpu.max": "150000 100000"}, 2),
        ({"pod/own/cpu.max": "1000 100000"}, 1),
        ({"pod/own/cpu.max": "max 100000", "pod/cpu.max": "300000 100000"}, 3),
        ({"pod/own/cpu.max": "400000 100000", "pod/cpu.max": "300000 100000"}, 3),
        ({"cpu.max": "max 100000"}, 64),
        ({"cpu.max": "9900000 100000"}, 64),  # more than there are
        ({"cpu.max": "200000"}, 2),  # the period may be left out
        ({"cpu.max": "something else"}, 64),
        ({"cpu.max": ""}, 64),
        ({"unified/pod/own/cpu.max": "200000 100000"}, 2),
        ({"elsewhere/cpu.max": "200000 100000"}, 64),
        ({"cpu,cpuacct/cpu.cfs_quota_us": "200000", "cpu,cpuacct/cpu.cfs_period_us": "100000"}, 2),
        ({"cpu/pod/cpu.cfs_quota_us": "50000", "cpu/pod/cpu.cfs_period_us": "20000"}, 3),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 64),
        ({"cpu/cpu.cfs_quota_us": "200000", "cpu/cpu.cfs_period_us": "0"}, 64),
        ({"cpu/cpu.cfs_quota_us": "200000"}, 64),
    ],
    ids=str,
)
def test_a_container_may_give_less_time_than_processors(groups: Path, files: dict[str, str], count: int) -> None:
    for name, text in files.items():
        write(groups / name, text)
    assert processors.available_processors() == count
    assert (processors.container_processors() or 64) >= count


def test_a_system_without_control_groups_has_all(groups: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(groups / "cpu.max", "200000 100000")
    monkeypatch.setattr(processors, "OWN_GROUPS", groups / "nothing")
    assert processors.available_processors() == 64


def test_a_group_above_the_namespace_is_not_looked_for_outside(groups: Path, tmp_path: Path) -> None:
    write(groups / "cpu.max", "200000 100000")
    write(tmp_path / "cpu.max", "100000 100000")
    write(tmp_path / "own", "0::/../../other")
    assert processors.available_processors() == 2


def test_a_limit_is_read_once(groups: Path) -> None:
    write(groups / "cpu.max", "200000 100000")
    assert processors.available_processors() == 2
    write(groups / "cpu.max", "400000 100000")
    assert processors.available_processors() == 2


def test_shares_and_containers_limit_each_other(groups: Path) -> None:
    write(groups / "cpu.max", "800000 100000")
    assert (processors.available_processors(), network_threads()) == (8, 4)
    processors.limit_processors(3)
    assert processors.available_processors() == 3


def test_the_doctor_tells_of_it(groups: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stemo.modes.doctor_device.nvidia_card", lambda: None)
    assert device().startswith("64 of 64 processors, ")
    processors.container_processors.cache_clear()
    write(groups / "cpu.max", "200000 100000")
    assert device().startswith("2 of 64 processors (the container's limit), ")


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs Linux, which can be told processors")
def test_a_thread_stays_where_it_is_told_and_nowhere_that_is_not_its_own() -> None:
    there = os.sched_getaffinity(0)
    with processors.staying_on([max(there)]):
        assert os.sched_getaffinity(0) == {max(there)}
    with processors.staying_on([1000]):
        assert os.sched_getaffinity(0) == there
    with pytest.raises(KeyError), processors.staying_on([max(there)]):
        raise KeyError
    assert os.sched_getaffinity(0) == there


@pytest.mark.parametrize(
    ("count", "dealt"), [(1, []), (2, [[1, 2], [4, 7]]), (3, [[1], [2], [4]]), (4, [[1], [2], [4], [7]]), (6, [])]
)
def test_processors_are_dealt_out_evenly(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, count: int, dealt: list[list[int]]
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {7, 1, 9, 4, 2}, raising=False)
    monkeypatch.setattr(processors, "OWN_GROUPS", tmp_path / "none")
    assert processors.processor_groups(count) == dealt


def test_no_more_are_dealt_out_than_a_container_has_time_for(groups: Path) -> None:
    write(groups / "cpu.max", "300000 100000")
    assert processors.processor_groups(3) == [[0], [1], [2]]
    assert processors.processor_groups(4) == []
