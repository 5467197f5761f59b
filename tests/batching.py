"""What the tests of batches share: a folder of videos that are read without models."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from fakes import FixedRecognizer, make_video

from stemo.config import RecognitionSettings
from stemo.modes.batch import tasks
from stemo.modes.batch.engines import Engine, in_this_process
from stemo.modes.batch.inputs import find_batch
from stemo.modes.batch.run import run_batch
from stemo.network.checkpoint import load_weights
from stemo.records import Frame


@dataclass
class Room:
    """A folder ``in`` of videos that are read into ``out``, without models; remembers what was read."""

    folder: Path
    settings: RecognitionSettings
    said: list[str] = field(default_factory=list)
    meanwhile: Callable[[Frame], object] = lambda _frame: None
    read: list[str] = field(default_factory=list)
    engine: Engine | None = None

    def run(self, *, overwrite: bool = False, no_video: bool = True, resume: bool = False, **given: object) -> int:
        """One run over the folder; returns its exit code."""
        self.said.clear()
        self.read.clear()
        batch = find_batch(str(self.folder / "in"), self.folder / "out")
        assert batch is not None
        settings = replace(self.settings, **given)  # type: ignore[arg-type]
        engine = self.engine or Engine(lambda listed: in_this_process(listed, self._remember))
        flags = {"no_video": no_video, "overwrite": overwrite, "resume": resume}
        return run_batch(batch, settings, engine, self.said.append, **flags)

    def _remember(self, task: tasks.Task) -> tasks.Outcome:
        self.read.append(task.video.name)
        return tasks.read_task(task)

    @property
    def summary(self) -> dict[str, dict[str, str]]:
        with (self.folder / "out" / "summary.csv").open(newline="", encoding="utf-8") as file:
            return {row["video"]: row for row in csv.DictReader(file)}

    @property
    def outcomes(self) -> dict[str, str]:
        return {name: row["outcome"] for name, row in self.summary.items()}

    @property
    def files(self) -> set[str]:
        return {path.name for path in (self.folder / "out").iterdir()} - {"summary.csv"}

    def rows(self, name: str) -> list[dict[str, object]]:
        return json.loads((self.folder / "out" / f"{name}_results.json").read_text(encoding="utf-8"))


def make_room(folder: Path, weights: Path, monkeypatch: pytest.MonkeyPatch) -> Room:
    """A room with two videos in it, of 5 and 3 frames."""
    made = Room(folder, RecognitionSettings(weights=str(weights), device="cpu"))
    facts = load_weights(weights)[1]

    def make_recognizer(_settings: RecognitionSettings) -> FixedRecognizer:
        recognizer = FixedRecognizer(2, meanwhile=lambda frame: made.meanwhile(frame))
        recognizer.facts = facts
        return recognizer

    monkeypatch.setattr(tasks, "make_recognizer", make_recognizer)
    tasks._recognizer.cache_clear()
    (folder / "in").mkdir()
    make_video(folder / "in" / "a b.mp4", frames=5)
    make_video(folder / "in" / "z Ölçü.mkv", frames=3, fps=10)
    return made
