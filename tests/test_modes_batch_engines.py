"""Tasks in processes of their own: one that dies takes its own task with it at most, and the end is clean."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from conftest import wait_until
from dying import die_over_bad_ones, keep_when_asked, tries_of

from stemo.config import RecognitionSettings
from stemo.modes.batch.engines import in_processes
from stemo.modes.batch.tasks import Task

pytestmark = pytest.mark.slow


def tasks(folder: Path, *names: str) -> list[Task]:
    return [Task(Path(f"/in/{name}.mp4"), folder / f"{name}.mp4", RecognitionSettings()) for name in names]


def test_a_task_whose_process_dies_is_run_once_more_in_a_new_one(tmp_path: Path) -> None:
    listed = tasks(tmp_path, "a", "once", "always", "polite", "b", "c")
    outcomes = dict(in_processes(listed, 2, die_over_bad_ones))
    assert set(outcomes) == set(listed)
    problems = {task.output.stem: outcome.problem for task, outcome in outcomes.items()}
    assert {name for name, problem in problems.items() if problem} == {"always"}
    assert "died 2 times" in problems["always"]
    counts = {task.output.stem: len(tries_of(task.output)) for task in listed}
    assert counts == {"a": 1, "b": 1, "c": 1, "once": 2, "always": 2, "polite": 2}
    assert len(set(tries_of(tmp_path / "once.mp4"))) == 2


def test_leaving_early_lets_the_running_tasks_keep_what_they_have(tmp_path: Path) -> None:
    listed = tasks(tmp_path, "a", "b", "c", "d")
    with closing(in_processes(listed, 2, keep_when_asked)) as outcomes:
        first, _ = next(outcomes)
        assert first.output.stem == "a"
        for running in "bc":
            wait_until((tmp_path / f"{running}.begun").exists, f"task {running} begins")
    kept = {path.stem: path.read_text() for path in tmp_path.glob("*.kept")}
    assert kept == {"b": "asked", "c": "asked"}
