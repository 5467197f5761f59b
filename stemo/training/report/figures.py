"""The report's figures of one evaluation: confusion, classes, ROC, precision-recall, reliability, groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from stemo.training.report.calibration import Reliability
from stemo.training.report.evaluation import Ints
from stemo.training.report.groups import GroupFigures
from stemo.training.report.ranking import ClassRanking, Curve
from stemo.training.report.statistics import ClassFigures, Interval, wilson
from stemo.training.report.themes import STROKES, Theme, canvas, note

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_GROUPS = 24  # of one column that a picture shows; the table has all
ROW = 0.29  # inches that one group takes


def draw_confusion(confusion: Ints, labels: Sequence[str], theme: Theme) -> Figure:
    """Counts (k k) as shares of each true class; a class without a face has an empty row."""
    from matplotlib.colors import LinearSegmentedColormap

    figure, (axes,) = canvas(4.9)
    support = confusion.sum(1, keepdims=True)
    share = np.where(support > 0, confusion / np.maximum(support, 1), np.nan)
    axes.imshow(share, cmap=LinearSegmentedColormap.from_list("share", [theme.paper, theme.accent]), vmin=0, vmax=1)
    places = range(len(labels))
    axes.set_xticks(places, labels, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(places, labels)
    axes.set(xlabel="read as", ylabel="true class", title="Confusion: shares of each true class")
    axes.grid(visible=False)
    axes.tick_params(length=0)
    for row, column in np.ndindex(*confusion.shape):
        if confusion[row, column]:
            colour = theme.paper if share[row, column] > 0.5 else theme.ink
            words = "<1%" if share[row, column] < 0.005 else f"{share[row, column]:.0%}"
            axes.text(column, row, words, ha="center", va="center", color=colour, fontsize=10)
    for row in np.flatnonzero(support[:, 0] == 0).tolist():
        axes.text(len(labels) / 2 - 0.5, row, "no face", ha="center", va="center", color=theme.muted, fontsize=9.5)
    return figure


def draw_classes(classes: Sequence[ClassFigures], theme: Theme) -> Figure:
    """Recall (dots) and precision (diamonds) of every class with their intervals."""
    figure, (axes,) = canvas(1.3 + 0.42 * len(classes))
    axes.set_title("Each class, with 95 % intervals (number of faces)")
    places = np.arange(len(classes))
    recalls = [(figures.recall, figures.recall_interval) for figures in classes]
    precisions = [(figures.precision, figures.precision_interval) for figures in classes]
    _whiskers(axes, places - 0.13, recalls, theme.accent, "o", "recall")
    _whiskers(axes, places + 0.13, precisions, theme.second, "D", "precision")
    axes.set_yticks(places, [f"{figures.label}  ({figures.support})" for figures in classes])
    _share_axis(axes, len(classes))
    _legend_above(figure)
    return figure


def draw_roc(rankings: Sequence[ClassRanking], theme: Theme) -> Figure:
    """Receiver operating characteristic of every class that has faces, and faces against it."""
    figure, (axes,) = canvas(5.4)
    curves = [(place, ranking.label, ranking.roc) for place, ranking in enumerate(rankings)]
    axes.plot([0, 1], [0, 1], color=theme.muted, linewidth=0.8, linestyle=":")
    _square(axes, "false positive rate", "true positive rate")
    axes.set_title("ROC of each class against the rest, with its AUC")
    _class_curves(axes, curves, "default", theme)
    return figure


def draw_precision_recall(rankings: Sequence[ClassRanking], theme: Theme) -> Figure:
    """Precision against recall of every class that has faces."""
    figure, (axes,) = canvas(5.4)
    curves = [(place, ranking.label, ranking.precision_recall) for place, ranking in enumerate(rankings)]
    _square(axes, "recall", "precision")
    axes.set_title("Precision and recall, with average precision")
    _class_curves(axes, curves, "steps-pre", theme)  # no points lie between
    return figure


def draw_reliability(reliability: Reliability, theme: Theme) -> Figure:
    """Share predicted right against mean confidence, bin by bin with Wilson intervals; below, faces per bin."""
    figure, (axes, below) = canvas(5.4, 2, (3.4, 1))
    axes.plot([0, 1], [0, 1], color=theme.muted, linewidth=0.8, linestyle=":")
    for _, faces, hits, confidence in reliability.filled:
        share, interval = hits / faces, wilson(hits, faces)
        assert interval is not None
        axes.plot([confidence, confidence], [confidence, share], color=theme.second, linewidth=5, alpha=0.35)
        axes.plot([confidence, confidence], interval, color=theme.accent, linewidth=1.2)
        axes.plot(confidence, share, "o", color=theme.accent, markersize=5)
    _square(axes, "", "share predicted right")
    axes.set_title(f"Calibration: expected error {reliability.error:.3f}")
    edges = np.arange(reliability.bins) / reliability.bins
    below.bar(edges, reliability.faces, width=0.9 / reliability.bins, align="edge", color=theme.accent)
    below.set(xlim=(-0.02, 1.02), xlabel="confidence", ylabel="faces")
    below.grid(visible=False, axis="x")
    return figure


def draw_groups(groups: Mapping[str, Sequence[GroupFigures]], theme: Theme) -> Figure:
    """Accuracy and macro recall of every group with their intervals, one panel per column that names groups."""
    shown = {column: _largest(figures) for column, figures in groups.items()}
    heights = [len(figures) * ROW + 0.75 for figures in shown.values()]
    figure, panels = canvas(sum(heights) + 0.5, len(shown), heights)
    for axes, (column, figures) in zip(panels, shown.items(), strict=True):
        places = np.arange(len(figures))
        accuracies = [(group.accuracy, group.accuracy_interval) for group in figures]
        recalls = [(group.macro_recall, group.macro_recall_interval) for group in figures]
        _whiskers(axes, places - 0.13, accuracies, theme.accent, "o", "accuracy")
        _whiskers(axes, places + 0.13, recalls, theme.second, "D", "macro recall")
        axes.set_yticks(places, [f"{_short(group.name)}  ({group.n})" for group in figures])
        axes.set_title(column if len(figures) == len(groups[column]) else f"{column}: the {MOST_GROUPS} largest")
        _share_axis(axes, len(figures))
    _legend_above(figure)
    return figure


def _largest(figures: Sequence[GroupFigures]) -> list[GroupFigures]:
    kept = sorted(figures, key=lambda group: -group.n)[:MOST_GROUPS]
    return [group for group in figures if group in kept]


def _short(name: str) -> str:
    return name if len(name) <= 18 else name[:17] + "…"


def _whiskers(
    axes: Axes,
    places: np.ndarray,
    figures: Sequence[tuple[float | None, Interval | None]],
    colour: str,
    marker: str,
    name: str,
) -> None:
    known = [
        (place, share, ends)
        for place, (share, ends) in zip(places.tolist(), figures, strict=True)
        if share is not None and ends is not None
    ]
    for place, _, ends in known:
        axes.plot(ends, [place, place], color=colour, linewidth=1.6, alpha=0.65, solid_capstyle="round")
    shares = [share for _, share, _ in known]
    axes.plot(shares, [place for place, *_ in known], marker, color=colour, markersize=5.5, label=name)


def _share_axis(axes: Axes, rows: int) -> None:
    from matplotlib.ticker import PercentFormatter

    axes.set(xlim=(-0.02, 1.02), ylim=(rows - 0.5, -0.5))
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)


def _legend_above(figure: Figure) -> None:
    handles, names = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper left", ncols=2, handletextpad=0.2)


def _square(axes: Axes, across: str, up: str) -> None:
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel=across, ylabel=up)


def _class_curves(axes: Axes, curves: Sequence[tuple[int, str, Curve | None]], steps: Any, theme: Theme) -> None:
    known = [(place, label, curve) for place, label, curve in curves if curve is not None]
    if not known:
        note(axes, "needs faces of a class and of others", theme)
        return
    for place, label, curve in known:
        name = f"{label} {curve.area:.3f}"
        colour, stroke = theme.colour(label, place), STROKES[place % len(STROKES)]
        axes.plot(curve.x, curve.y, color=colour, linewidth=1.7, linestyle=stroke, drawstyle=steps, label=name)
    axes.legend(loc="upper center", bbox_to_anchor=(0.46, -0.13), ncols=3, handlelength=2.6, columnspacing=1.2)
