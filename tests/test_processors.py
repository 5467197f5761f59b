"""How many processors a process counts on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from stemo import processors
from stemo.modes.doctor_machine import device
from stemo.network.engine import network_threads


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


@pytest.mark.parametrize(("there", "threads"), [(1, 1), (2, 1), (3, 0), (64, 0)])
def test_codecs_choose_where_there_are_processors_left(
    monkeypatch: pytest.MonkeyPatch, there: int, threads: int
) -> None:
    monkeypatch.setattr(processors, "available_processors", lambda: there)
    assert processors.codec_threads() == threads


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


def test_the_doctor_tells_of_it(groups: Path) -> None:
    assert device().startswith("64 of 64 processors, ")
    processors.container_processors.cache_clear()
    write(groups / "cpu.max", "200000 100000")
    assert device().startswith("2 of 64 processors (the container's limit), ")
