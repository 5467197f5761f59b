"""The figures of ``--evaluate`` as lines for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from stemo.modes.scored import Scored
from stemo.training.report.findings import Findings
from stemo.training.report.measured import COLUMNS, Compared


def told(scored: Scored, metrics: Mapping[str, Any], findings: Findings | None) -> Iterator[str]:
    """The figures in words, line by line; ``metrics`` as ``metrics.json`` holds them."""
    found = np.isfinite(scored.landmarks).all(1).mean()
    yield f"data:          {scored.data}{scored.part}"
    yield f"rule:          {metrics['rule']}"
    yield f"n:             {metrics['n'] or len(scored.stills)} faces, landmarks found on {found:.1%}"
    if findings:
        yield from _categories(metrics, findings)
        yield from _end_to_end(metrics, findings)
    for name, figures in metrics.get("affect", {}).items():
        shown = [f"{key} {value:.3f}" for key, value in figures.items() if key != "n" and value is not None]
        yield f"{name + ':':<15}{', '.join(shown) or 'cannot be said'} on {figures['n']} rated faces"
    if scored.note:
        yield f"note:          {scored.note}"
    if motion := metrics.get("motion"):
        shown = [f"{name.replace('_', ' ')} {value:.1%}" for name, value in motion.items() if name != "n"]
        yield f"motion:        {', '.join(shown)} of {motion['n']} sequences"


def _categories(metrics: Mapping[str, Any], findings: Findings) -> Iterator[str]:
    yield f"accuracy:      {metrics['accuracy']:.2%}"
    yield f"macro recall:  {metrics['macro_recall']:.2%}"
    yield f"calibration:   expected error {metrics['calibration_error']:.3f}"
    for figures in findings.classes:
        recall = float("nan") if figures.recall is None else figures.recall
        yield f"  {figures.label:<12} recall {recall:7.2%}  n {figures.support}"
    for column, groups in findings.groups.items():
        for group in groups:
            low, high = group.accuracy_interval or (0.0, 1.0)
            yield f"  {column}={group.name}: accuracy {group.accuracy:.2%} ({low:.1%} to {high:.1%}), n {group.n}"


def _end_to_end(metrics: Mapping[str, Any], findings: Findings) -> Iterator[str]:
    if not findings.compared:
        return
    read = metrics["end_to_end"]
    yield (
        f"end to end:    {read['detector']} found the face of {read['found']} of {read['n']} pictures "
        f"({read['found'] / read['n']:.1%}); the others count as wrong, except in the last two columns"
    )
    yield f"  {'':<14}{COLUMNS[0]:>6}{COLUMNS[1]:>7}" + "".join(f"{name:>19}" for name in COLUMNS[2:])
    yield from (_row(row) for row in findings.compared)


def _row(row: Compared) -> str:
    shares = "".join(f"{'-' if share is None else f'{share:.2%}':>19}" for share, _ in row.shares)
    return f"  {row.name:<14}{row.n:>6}{row.found:>7}{shares}"
