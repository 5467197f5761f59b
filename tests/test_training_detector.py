"""What a detector's training does when the disk refuses its curves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from stemo.errors import OutputError
from stemo.training import detector
from stemo.training.detector import DetectorSettings, train_detector
from stemo.training.face_boxes import FaceBoxes


class FullDisk:
    """A trainer of ultralytics whose curves nobody can write from the first epoch on."""

    epoch, fitness, best_fitness, best, tloss = 0, 0.0, 0.0, "best.pt", 0.5
    metrics: Mapping[str, float] = {"metrics/mAP50(B)": 0.5}
    optimizer = SimpleNamespace(param_groups=[{"lr": 0.1}])

    def __init__(self, folder: Path, watch: Callable[[Any], None]) -> None:
        self._folder, self._watch = folder, watch

    def label_loss_items(self, loss: float, prefix: str) -> dict[str, float]:
        return {f"{prefix}/box_loss": loss}

    def train(self) -> None:
        for path in self._folder.glob("events*"):
            path.unlink()
            path.mkdir()
        for _ in range(9):
            self._watch(self)


def test_curves_that_a_disk_refuses_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detector, "_trainer", lambda _data, _settings, folder, watch: FullDisk(folder, watch))
    with pytest.raises(OutputError, match=r"^file '[^\n]*' cannot be written: .* got Is a directory\. Check the disk"):
        train_detector(FaceBoxes(("face",), (), ()), DetectorSettings(1, "cpu"), tmp_path, lambda _: None)
