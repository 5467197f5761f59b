"""A tool that takes part, and what it has shown so far."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stemo.modes.benchmark.peers.children import Answer, ClipRun, ask
from stemo.training.metrics import CategoryScore


@dataclass(slots=True)
class Tool:
    """A tool by ``name`` and ``version``; ``job`` is what its child needs besides clips and faces,
    ``beside`` says in words with which versions of other things it runs.

    ``problem`` says in one line why it could not be run, or did not go on.
    """

    name: str
    version: str
    python: Path
    job: Mapping[str, Any]
    beside: str = ""
    problem: str = ""
    runs: dict[str, list[ClipRun]] = field(default_factory=dict)
    peaks: list[float] = field(default_factory=list)
    score: CategoryScore | None = None

    def read(self, clips: Mapping[str, Path], rows: Path, warm_up: int) -> None:
        """Let it read ``clips`` by name once, in a new process."""
        paths = {str(path.resolve()): name for name, path in clips.items()}
        answer = self._ask({"clips": list(paths), "rows": str(rows), "warm_up": warm_up})
        for path, run in answer.clips.items():
            self.runs.setdefault(paths[path], []).append(run)
        if answer.peak_memory_mb is not None:
            self.peaks.append(answer.peak_memory_mb)

    def guess(self, faces: Path) -> list[str]:
        """What it reads in the faces of an npz file; empty where it does not get that far."""
        return self._ask({"faces": str(faces)}).guesses

    def rate(self, clip: str) -> float | None:
        """Median frames per second over the rounds; ``None`` where it read nothing."""
        rates = [run.frames / run.seconds for run in self.runs.get(clip, []) if run.frames]
        return statistics.median(rates) if rates else None

    def facts(self) -> dict[str, Any]:
        """All of it, as JSON holds it."""
        return {
            "version": self.version,
            "beside": self.beside,
            "problem": self.problem,
            "clips": {name: self._clip(name) for name in self.runs},
            "peak_memory_mb": max(self.peaks, default=None),
            "accuracy": self.score.accuracy if self.score else None,
            "macro_recall": self.score.macro_recall if self.score else None,
            "n": self.score.n if self.score else None,
            "per_class_recall": self.score.per_class_recall if self.score else None,
        }

    def _clip(self, name: str) -> dict[str, Any]:
        runs = self.runs[name]
        last = runs[-1]
        return {
            "frames_per_second": self.rate(name),
            "runs": [run.frames / run.seconds for run in runs],
            "frames": last.frames,
            "rows": last.rows,
            "rows_with_a_face": last.faces,
        }

    def _ask(self, work: Mapping[str, Any]) -> Answer:
        answer = ask(self.python, {**self.job, **work})
        self.problem = self.problem or answer.problem
        return answer
