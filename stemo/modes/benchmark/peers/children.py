"""Starts a tool in its own Python, isolated from this one, and takes its answers."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

CHILD = Path(__file__).with_name("child.py")
LONGEST = 1800.0  # seconds for one job


@dataclass(frozen=True, slots=True)
class ClipRun:
    """What a tool did with a clip: ``faces`` of its ``rows`` have a face, ``seconds`` are those of reading."""

    frames: int
    rows: int
    faces: int
    seconds: float


@dataclass(slots=True)
class Answer:
    """What a child said; ``problem`` is one line, empty where all went well. Memory is in MB."""

    problem: str = ""
    python: str = ""
    versions: Mapping[str, str | None] = field(default_factory=dict)
    clips: dict[str, ClipRun] = field(default_factory=dict)
    guesses: list[str] = field(default_factory=list)
    peak_memory_mb: float | None = None

    def take(self, line: str) -> None:
        """Note one line of JSON."""
        said = json.loads(line)
        if "clip" in said:
            clip = said.pop("clip")
            self.clips[clip] = ClipRun(**said)
            return
        for name in ("problem", "python", "versions", "guesses", "peak_memory_mb"):
            if name in said:
                setattr(self, name, said[name])


def ask(python: Path, job: Mapping[str, Any]) -> Answer:
    """Run ``job`` (see ``child.py``) with ``python``; what goes wrong is the answer's ``problem``."""
    answer = Answer()
    with TemporaryDirectory(prefix="stemo_peer_") as folder:
        path = Path(folder) / "job.json"
        path.write_text(json.dumps(job), encoding="utf-8")
        # -I: neither this folder nor PYTHONPATH, which is meant for this Python
        command = [str(python), "-I", str(CHILD), str(path)]
        try:
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=LONGEST, check=False)
        except subprocess.TimeoutExpired:
            return Answer(problem=f"no end after {LONGEST:.0f} s")
        except OSError as error:
            return Answer(problem=error.strerror or str(error))
    for line in done.stdout.splitlines():
        answer.take(line)
    if done.returncode and not answer.problem:
        answer.problem = _last_line(done.stderr) or f"exit code {done.returncode}"
    answer.problem = " ".join(answer.problem.split())
    return answer


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""
