"""What became of every video of a batch: a table for people, and the same as ``summary.csv``."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from stemo.errors import OutputError
from stemo.modes.standing import Facts
from stemo.output.pending import Pending, failed

READ, SKIPPED, FAILED, LEFT = "read", "skipped", "failed", "not read"


@dataclass(frozen=True, slots=True)
class Row:
    """One video: its figures where it has results (see :class:`Facts`), and how fast it was read in this run.

    ``outcome`` is read, skipped (finished before), failed (``problem`` says why) or, after an interruption, not read.
    """

    video: str
    outcome: str
    frames: int | None = None
    faces: int | None = None
    fps: float | None = None
    seconds: float | None = None
    frames_per_second: float | None = None
    results: str = ""
    problem: str = ""


def make_row(
    video: str, outcome: str, facts: Facts | None, *, took: float | None = None, results: str = "", problem: str = ""
) -> Row:
    """The row of a video that was read in ``took`` seconds, where it was."""
    if facts is None:
        return Row(video, outcome, problem=problem)
    speed = round(facts.frames / took, 1) if took else None
    fps, seconds = round(facts.fps, 3), round(facts.seconds, 2)
    return Row(video, outcome, facts.frames, facts.faces, fps, seconds, speed, results, problem)


COLUMNS = {
    "video": lambda row: row.video,
    "frames": lambda row: _number(row.frames, "d"),
    "faces": lambda row: _number(row.faces, "d"),
    "fps": lambda row: _number(row.fps, ".2f"),
    "seconds": lambda row: _number(row.seconds, ".1f"),
    "read at": lambda row: _number(row.frames_per_second, ".1f"),
    "outcome": lambda row: row.outcome,
}


def table(rows: Sequence[Row]) -> list[str]:
    """The lines of the table, and under it why videos failed; ``read at`` is in frames per second."""
    cells = [list(COLUMNS), *([column(row) for column in COLUMNS.values()] for row in rows)]
    widths = [max(len(line[place]) for line in cells) for place in range(len(COLUMNS))]
    lines = [_line(line, widths) for line in cells]
    problems = [f"  {row.video}: {row.problem}" for row in rows if row.outcome == FAILED]
    return [*lines, f"{len(problems)} of {len(rows)} failed:", *problems] if problems else lines


def throughput(rows: Iterable[Row], seconds: float) -> str:
    """How much was read in ``seconds`` of this run, all workers together."""
    read = [row for row in rows if row.outcome == READ]
    frames = sum(row.frames or 0 for row in read)
    seconds = max(seconds, 1e-9)
    return (
        f"{len(read)} videos read in {seconds:.1f} s: {len(read) / seconds * 60:.1f} videos/min, "
        f"{frames / seconds:.1f} frames/s in all"
    )


def write_summary(path: Path, rows: Iterable[Row], *, overwrite: bool = False) -> Path:
    """Write the rows as CSV, replacing those of an earlier run; with ``overwrite``, whatever is there.

    Raises :class:`~stemo.errors.OutputError` where it cannot be written, or is somebody else's file.
    """
    names = [field.name for field in fields(Row)]
    if path.is_file() and not overwrite and _header(path) != names:
        raise OutputError(
            f"summary {str(path)!r} is not one of this program: expected the columns {', '.join(names[:2])} and so on, "
            "got others. It is left as it is: rename it, or add --overwrite."
        )
    pending = Pending(path, overwrite=True)
    try:
        with open(pending.part, "w", encoding="utf-8", errors="backslashreplace", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(names)
            writer.writerows([getattr(row, name) for name in names] for row in rows)
    except OSError as error:
        pending.discard()
        raise failed(path, error) from error
    return pending.commit()


def _header(path: Path) -> list[str]:
    try:
        with open(path, encoding="utf-8", errors="replace", newline="") as file:
            return next(csv.reader(file), [])
    except (OSError, csv.Error):
        return []


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    """Words to the left, the numbers between them to the right."""
    first, *numbers, last = zip(cells, widths, strict=True)
    middle = [cell.rjust(width) for cell, width in numbers]
    return "  ".join([first[0].ljust(first[1]), *middle, last[0]])
