"""The curves of a training run, read from the TensorBoard files that it left."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stemo.errors import DataError
from stemo.training.report.evaluation import Floats, Ints

EVENTS = "events.out.tfevents.*"
FINAL = "final"  # the figures of the finished network: one value each, so no curves


@dataclass(frozen=True, slots=True, eq=False)
class RunCurve:
    """One quantity of one stage, as logged: ``spatial/valid_accuracy`` is ``valid_accuracy`` of ``spatial``."""

    stage: str
    quantity: str
    steps: Ints  # (m,) rising; epochs in stemo's own runs
    values: Floats  # (m,)


def read_run(folder: Path) -> list[RunCurve]:
    """The curves logged below ``folder``, oldest stage first.

    Where a run was continued and a step logged twice, the later value counts. Raises :class:`DataError` when there
    is no curve.
    """
    folders = sorted({path.parent for path in folder.rglob(EVENTS)}) if folder.is_dir() else []
    found = sorted((item for place in folders for item in _curves(place)), key=lambda item: item[0])
    if not found:
        raise DataError(
            f"run {str(folder)!r} has no curve: expected a folder with TensorBoard files ({EVENTS}), got none. "
            "Give the folder of a training, such as runs/emotion_recognition."
        )
    return [curve for _, curve in found]


def _curves(folder: Path) -> Iterator[tuple[float, RunCurve]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    events.Reload()
    for tag in events.Tags()["scalars"]:
        if tag.startswith(f"{FINAL}/"):
            continue
        logged = sorted(events.Scalars(tag), key=lambda event: event.wall_time)
        latest = {event.step: event.value for event in logged}
        steps = np.array(sorted(latest), np.int64)
        stage, _, quantity = tag.partition("/") if "/" in tag else ("", "", tag)
        yield logged[0].wall_time, RunCurve(stage, quantity, steps, np.array([latest[step] for step in steps.tolist()]))
