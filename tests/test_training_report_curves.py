"""Curves of a run: read back as they were logged, continued runs joined, stages one after another."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from torch.utils.tensorboard.writer import SummaryWriter

from stemo.errors import DataError
from stemo.records import EMOTIONS
from stemo.training.report.curves import RunCurve, read_run
from stemo.training.report.plots import draw_run, panels_of, stage_starts
from stemo.training.report.themes import LIGHT, render


def log(folder: Path, tag: str, values: dict[int, float], first: float = 1000.0) -> None:
    board = SummaryWriter(str(folder))
    for step, value in values.items():
        board.add_scalar(tag, value, step, walltime=first + step)
    board.close()


def test_a_continued_run_is_one_curve(tmp_path: Path) -> None:
    log(tmp_path, "spatial/loss", {1: 1.0, 2: 0.75, 3: 0.5})
    log(tmp_path, "spatial/loss", {3: 0.25, 4: 0.125}, first=2000.0)
    log(tmp_path, "clip/loss", {1: 0.5}, first=3000.0)
    log(tmp_path, "final/valid_accuracy", {0: 0.5}, first=4000.0)  # one value is no curve
    spatial, clip = read_run(tmp_path)
    assert (spatial.stage, spatial.quantity) == ("spatial", "loss")
    assert spatial.steps.tolist() == [1, 2, 3, 4]
    assert spatial.values.tolist() == [1.0, 0.75, 0.25, 0.125]
    assert (clip.stage, clip.steps.tolist()) == ("clip", [1])


def test_a_folder_without_curves_is_one_line(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(DataError, match="has no curve: expected a folder with TensorBoard files"):
            read_run(folder)


def curve(stage: str, quantity: str, steps: int) -> RunCurve:
    return RunCurve(stage, quantity, np.arange(1, steps + 1), np.linspace(1, 0, steps))


RUN = [
    curve("spatial", "loss", 3),
    curve("spatial", "recall/Happy", 3),
    curve("clip", "loss", 2),
    curve("clip", "valid_loss", 2),
    curve("clip", "train_accuracy", 2),
    curve("clip", "valid_accuracy", 2),
    curve("", "temperature", 1),
]


def test_stages_begin_where_the_one_before_ended() -> None:
    assert stage_starts(RUN) == {"spatial": 0, "clip": 3, "": 5}


def test_quantities_share_panels() -> None:
    panels = {title: [f"{curve.stage}/{curve.quantity}" for curve in drawn] for title, drawn in panels_of(RUN).items()}
    assert panels == {
        "loss": ["spatial/loss", "clip/loss", "clip/valid_loss"],
        "accuracy": ["clip/train_accuracy", "clip/valid_accuracy"],
        "recall of each class": ["spatial/recall/Happy"],
        "temperature": ["/temperature"],
    }


@pytest.mark.parametrize("curves", [RUN, [curve("joint", "valid_accuracy", 1)]])
def test_runs_are_drawn(curves: list[RunCurve]) -> None:
    assert render(lambda theme: draw_run(curves, EMOTIONS, theme), LIGHT).startswith(b"\x89PNG")


def test_a_run_that_logged_only_its_beginning_is_drawn() -> None:
    start = RunCurve("joint", "valid_accuracy", np.array([0]), np.array([0.8]))
    assert render(lambda theme: draw_run([start], EMOTIONS, theme), LIGHT).startswith(b"\x89PNG")
