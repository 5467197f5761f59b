"""Read every video of a batch that is not finished, and say what became of each."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

from stemo.config import RecognitionSettings
from stemo.errors import ConfigError, OutputError
from stemo.modes.batch.engines import Engine
from stemo.modes.batch.inputs import VIDEOS, Batch, Video
from stemo.modes.batch.summary import FAILED, LEFT, READ, SKIPPED, Row, make_row, table, throughput, write_summary
from stemo.modes.batch.tasks import Outcome, Task
from stemo.modes.live import interrupting
from stemo.modes.resume import remove_work
from stemo.modes.standing import judge, read_facts
from stemo.network.checkpoint import given_or_shipped
from stemo.network.exported import open_weights
from stemo.output.pending import Pending, make_folder

Say = Callable[[str], None]
FILES = ("weights", "landmarker", "face_weights", "object_weights")


def run_batch(
    batch: Batch,
    settings: RecognitionSettings,
    engine: Engine,
    say: Say,
    *,
    no_video: bool,
    overwrite: bool,
    resume: bool = False,
) -> int:
    """Read the videos of ``batch`` on ``engine``; returns 0, or 1 where some failed. ``resume`` is for each of them.

    Raises :class:`~stemo.errors.StemoError` for what no video could be read with (settings, weights, the folder), and
    :class:`KeyboardInterrupt` after the summary of what was done until then.
    """
    weights = open_weights(given_or_shipped(settings.weights))[1].sha256
    settings = _from_anywhere(settings)
    _make_folders(batch)
    report = Report(batch, say, overwrite)
    for video in batch.videos:
        output = Path(os.path.abspath(batch.output / video.place))
        alone = engine.processors is None  # two bars on one terminal would overwrite each other
        task = Task(video.path, output, settings, no_video, resume, engine.processors, alone)
        report.judge(video, task, weights)
    return report.run(engine)


class Report:
    """The videos of a batch, their tasks, and a row for each as soon as its outcome is known."""

    def __init__(self, batch: Batch, say: Say, overwrite: bool) -> None:
        self._batch, self._say, self._overwrite = batch, say, overwrite
        self._rows: dict[Video, Row] = {}
        self._tasks: dict[Task, Video] = {}
        self._warned: set[str] = set()
        for note in batch.notes:
            say(note)

    def judge(self, video: Video, task: Task, weights: str) -> None:
        """Put the video among those to read, or note why it is not; see :func:`~stemo.modes.standing.judge`."""
        standing = judge(task, weights, self._overwrite)
        if standing.finished:
            remove_work(task)
            self._rows[video] = make_row(video.name, SKIPPED, read_facts(task.meta), results=str(task.output))
        elif standing.refusal:
            self._add(video, Row(video.name, FAILED, problem=standing.refusal))
        else:
            self._tasks[task] = video

    def run(self, engine: Engine) -> int:
        """Read what is to be read; the summary comes also where that is interrupted, or fails with something read."""
        skipped = sum(row.outcome == SKIPPED for row in self._rows.values())
        if skipped:
            self._say(f"{skipped} of {len(self._batch.videos)} videos are finished: they are not read again.")
        started = time.monotonic()
        with interrupting():
            try:
                with closing(engine.run(list(self._tasks))) as outcomes:
                    for task, outcome in outcomes:
                        self._note(task, outcome, engine.alike)
            except (KeyboardInterrupt, SystemExit) as error:  # Ray makes the latter of a polite kill
                self._finish(time.monotonic() - started)
                raise KeyboardInterrupt from error
            except Exception:
                if self._has_read:
                    self._finish(time.monotonic() - started)
                raise
            return self._finish(time.monotonic() - started)

    @property
    def _has_read(self) -> bool:
        return any(row.outcome == READ for row in self._rows.values())

    def _note(self, task: Task, outcome: Outcome, alike: bool) -> None:
        # where a video has been read, settings and weights are in order: something has happened to this one
        if outcome.everyones and alike and not self._has_read:
            raise ConfigError(outcome.problem)
        for warning in outcome.warnings:
            if warning not in self._warned:
                self._warned.add(warning)
                self._say(warning)
        video, facts = self._tasks[task], read_facts(task.meta)
        problem = outcome.problem or ("" if facts else _unseen(task))
        if outcome.died:
            _sweep(task)
        if problem:
            kept = facts if outcome.kept else None
            row = make_row(video.name, FAILED, kept, results=str(task.output), problem=problem)
        else:
            row = make_row(video.name, READ, facts, took=outcome.seconds, results=str(task.output))
        self._add(video, row)

    def _add(self, video: Video, row: Row) -> None:
        self._rows[video] = row
        figures = f"{row.frames} frames, {row.faces} faces, {row.frames_per_second} frames/s"
        what = f"failed: {row.problem}" if row.problem else figures
        self._say(f"[{len(self._rows)}/{len(self._batch.videos)}] {row.video}: {what}")

    def _finish(self, seconds: float) -> int:
        rows = [self._rows.get(video, Row(video.name, LEFT)) for video in self._batch.videos]
        for line in [*table(rows), throughput(rows, seconds)]:
            self._say(line)
        try:
            self._say(f"wrote {write_summary(self._batch.output / 'summary.csv', rows, overwrite=self._overwrite)}")
        except OutputError as error:
            self._say(f"warning: {error}")
        return int(any(row.outcome == FAILED for row in rows))


def _from_anywhere(settings: RecognitionSettings) -> RecognitionSettings:
    """The settings with paths that hold in every working folder; a name that is no file here stays a name."""
    given = {name: getattr(settings, name) for name in FILES}
    return replace(settings, **{name: os.path.abspath(file) for name, file in given.items() if _is_path(file)})


def _is_path(name: str | None) -> bool:
    return name is not None and os.path.exists(name)


def _make_folders(batch: Batch) -> None:
    """Raise :class:`OutputError` where the output is no folder and cannot become one."""
    if batch.output.suffix.lower() in VIDEOS and not batch.output.exists():
        raise OutputError(
            f"output {str(batch.output)!r} is the name of a video: expected a folder for {len(batch.videos)} results, "
            f"got {batch.output.suffix!r}. Name a folder with --output."
        )
    make_folder(batch.output)  # first, so that it is what an error names
    for folder in {(batch.output / video.place).parent for video in batch.videos}:
        make_folder(folder)


def _unseen(task: Task) -> str:
    return (
        f"output {str(task.meta)!r} is not to be seen here: expected the results of a video that was read, got none. "
        "Choose an --output that all machines of the cluster share."
    )


def _sweep(task: Task) -> None:
    """Remove what a process that died has left half-written, where no other run is writing there by now."""
    for path in (*task.files, task.meta):
        with suppress(OutputError):
            Pending(path, overwrite=True).discard()
