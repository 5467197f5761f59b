"""The report on disk: one page, its pictures by themselves, and ``metrics.json``."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stemo.errors import OutputError
from stemo.training.report import figures
from stemo.training.report.findings import Findings
from stemo.training.report.page import page
from stemo.training.report.plots import draw_run
from stemo.training.report.sheets import draw_sheet, png
from stemo.training.report.themes import DARK, LIGHT, Drawing, render

PAGE, METRICS = "report.html", "metrics.json"
SOMETIMES = ("groups.png", "run.png")  # pictures that not every report has
PICTURES = (
    *("classes.png", "confusion.png", "roc.png", "precision_recall.png", "reliability.png", "mistakes.png"),
    *("sample.png", *SOMETIMES),
)


def write_report(folder: Path, findings: Findings, metrics: Mapping[str, Any]) -> Path:
    """Write ``report.html``, a PNG for each of its pictures and ``metrics.json``; returns the path of the page.

    ``folder`` is made where it is missing; what has the same names there is replaced: see :func:`check_folder`.
    Raises :class:`OutputError` where it cannot be written.
    """
    make_folder(folder)
    pictures = {name: (render(draw, LIGHT), render(draw, DARK)) for name, draw in drawings(findings).items()}
    # the page first: a report whose writing is cut short is known for one by it
    files = {PAGE: page(findings, pictures).encode()}
    files |= {f"{name}.png": light for name, (light, _) in pictures.items()}
    files["mistakes.png"] = png(draw_sheet(findings.mistakes, "No face was read wrong."))
    files["sample.png"] = png(draw_sheet(findings.sample, "No face."))
    try:
        _write_metrics(folder, metrics)
        for name, data in files.items():
            _write(folder / name, data)
        # an earlier report's pictures would pass for this one's
        for name in SOMETIMES:
            if name not in files:
                (folder / name).unlink(missing_ok=True)
    except OSError as error:
        raise _refused(folder, error) from error
    return folder / PAGE


def write_metrics(folder: Path, metrics: Mapping[str, Any]) -> Path:
    """Write ``metrics.json`` alone; returns its path. Raises :class:`OutputError` where it cannot be written."""
    make_folder(folder)
    try:
        if (folder / PAGE).exists():  # an earlier report would pass for this evaluation's
            for name in (*PICTURES, PAGE):
                (folder / name).unlink(missing_ok=True)
        return _write_metrics(folder, metrics)
    except OSError as error:
        raise _refused(folder, error) from error


def check_folder(folder: Path, overwrite: bool) -> None:
    """Raise :class:`OutputError` where a report in ``folder`` would replace or remove files that are of no report.

    Only an earlier report makes way, as do all files of its names with ``overwrite``.
    """
    taken = [name for name in (METRICS, PAGE, *PICTURES) if (folder / name).exists()]
    if not taken or overwrite or (_is_ours(folder / METRICS) and (PAGE in taken or taken == [METRICS])):
        return
    raise OutputError(
        f"output {str(folder / taken[0])!r} exists: expected a folder of its own for the report, got a file that is "
        "of no report. Choose another --output or add --overwrite."
    )


def _is_ours(metrics: Path) -> bool:
    """Whether ``metrics`` holds the figures of an evaluation."""
    try:
        found = json.loads(metrics.read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(found, dict) and {"rule", "n"} <= found.keys()


def make_folder(folder: Path) -> None:
    """Make ``folder`` where it is missing. Raises :class:`OutputError` where it cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _refused(folder, error) from error


def _refused(folder: Path, error: OSError) -> OutputError:
    return OutputError(
        f"output {str(folder)!r} cannot be written: expected a folder, got {error.strerror}. Give another --output."
    )


def drawings(findings: Findings) -> dict[str, Drawing]:
    """Every figure of the report by its name, not drawn yet."""
    given = findings.evaluation
    drawn: dict[str, Drawing] = {
        "classes": lambda theme: figures.draw_classes(findings.classes, theme),
        "confusion": lambda theme: figures.draw_confusion(given.confusion, given.labels, theme),
        "roc": lambda theme: figures.draw_roc(findings.rankings, theme),
        "precision_recall": lambda theme: figures.draw_precision_recall(findings.rankings, theme),
        "reliability": lambda theme: figures.draw_reliability(findings.reliability, theme),
    }
    if findings.groups:
        drawn["groups"] = lambda theme: figures.draw_groups(findings.groups, theme)
    if findings.run:
        drawn["run"] = lambda theme: draw_run(findings.run, given.labels, theme)
    return drawn


def _write_metrics(folder: Path, metrics: Mapping[str, Any]) -> Path:
    path = folder / METRICS
    _write(path, (json.dumps(metrics, indent=2, allow_nan=False) + "\n").encode())
    return path


def _write(path: Path, data: bytes) -> None:
    part = path.with_name(path.name + ".part")
    part.write_bytes(data)
    os.replace(part, path)
