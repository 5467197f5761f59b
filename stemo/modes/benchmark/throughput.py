"""``--benchmark --workers N``: videos a minute, one at a time and ``N`` at a time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from stemo.config import RecognitionSettings
from stemo.errors import InputError
from stemo.modes.batch.engines import Engine, choose_engine
from stemo.modes.batch.tasks import Task
from stemo.modes.benchmark.clips import chosen_clips
from stemo.modes.benchmark.output import Output, Say
from stemo.modes.benchmark.run import describe_machine

VIDEOS = 8  # to read each time at least, the clips taken in turn


def run_throughput(
    clips: Sequence[str], workers: int, output: Output | None, settings: RecognitionSettings, say: Say
) -> int:
    """Read videos (the ``clips`` in turn, or made ones) by one worker and by ``workers``; returns 0.

    There are :data:`VIDEOS`, or as many as ``workers`` where these are more, so that all of them have one to read.
    As ``--video FOLDER --workers N`` does, into annotated video and JSON; starting the workers and loading count.
    Raises :class:`ConfigError` for ``workers`` below 1 and :class:`InputError` for a clip that cannot be read.
    """
    engines = {count: choose_engine("local", count) for count in sorted({1, workers})}
    number = max(VIDEOS, workers)
    facts: dict[str, Any] = {"machine": describe_machine(settings, say), "videos": number}
    with TemporaryDirectory(prefix="stemo_benchmark_") as name:
        folder = Path(name)
        paths = [path.resolve() for path in chosen_clips(clips, folder)]
        for count, engine in engines.items():
            videos = [(paths[place % len(paths)], folder / f"{count}_{place}.mp4") for place in range(number)]
            rate = _rate(engine, [Task(*video, settings, processors=engine.processors) for video in videos])
            facts[f"videos_per_minute_{count}"] = rate
            say(f"{count} at a time: {rate:.1f} videos a minute ({number}: {', '.join(path.name for path in paths)})")
    if output:
        output.write_facts(facts, say)
    return 0


def _rate(engine: Engine, tasks: Sequence[Task]) -> float:
    """Videos a minute."""
    started = time.perf_counter()
    with closing(engine.run(tasks)) as outcomes:
        for _, outcome in outcomes:
            if outcome.problem:
                raise InputError(outcome.problem)
    return 60 * len(tasks) / (time.perf_counter() - started)
