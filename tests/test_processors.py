"""How many processors a process counts on."""

from __future__ import annotations

import pytest

from stemo import processors
from stemo.network.engine import network_threads


@pytest.fixture(autouse=True)
def _unlimited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processors, "_limit", None)


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
