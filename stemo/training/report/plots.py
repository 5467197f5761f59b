"""The training run as one picture: a panel per quantity, the stages one after another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from stemo.training.report.curves import RunCurve
from stemo.training.report.themes import STROKES, Theme, canvas

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANEL = 2.1  # inches
MOST_OTHERS = 6  # panels of quantities that are none of stemo's own
# the panels that stemo's own runs fill, and what belongs into each
PANELS = {
    "loss": ("loss", "valid_loss"),
    "accuracy": ("train_accuracy", "valid_accuracy", "valid_macro_recall"),
    "recall of each class": ("recall/",),
    "precision of each class": ("precision/",),
    "F1 of each class": ("f1/",),
    "learning rate": ("lr",),
    "gradient norm": ("gradient_norm",),
    "faces per second": ("faces_per_second",),
}
TRAINING = ("loss", "train_accuracy")
NAMES = {
    "loss": "training, all outputs weighted",
    "valid_loss": "validation, cross-entropy of the categories",
    "train_accuracy": "training",
    "valid_accuracy": "validation",
    "valid_macro_recall": "validation, macro recall",
}


def draw_run(curves: Sequence[RunCurve], labels: Sequence[str], theme: Theme) -> Figure:
    """Every quantity over the steps of the whole run; each stage begins where the one before it ended."""
    from matplotlib.ticker import MaxNLocator

    starts = stage_starts(curves)
    panels = panels_of(curves)
    figure, axes = canvas(PANEL * len(panels), len(panels))
    end = max(starts[curve.stage] + int(curve.steps[-1]) for curve in curves)
    for place, (title, drawn) in enumerate(panels.items()):
        for curve in drawn:
            _curve(axes[place], curve, starts[curve.stage], labels, theme)
        axes[place].set(title=title, xlim=(-0.02 * end, 1.02 * max(end, 1)))
        axes[place].xaxis.set_major_locator(MaxNLocator(integer=True))
        _stages(axes[place], starts, theme, named=place == 0)
        _legend(axes[place])
    axes[-1].set_xlabel("epoch")
    return figure


def panels_of(curves: Sequence[RunCurve]) -> dict[str, list[RunCurve]]:
    """Which curves share a panel: those of :data:`PANELS` first, then a panel for each other quantity."""
    panels: dict[str, list[RunCurve]] = {title: [] for title in PANELS}
    others: dict[str, list[RunCurve]] = {}
    for curve in curves:
        title = next((title for title, names in PANELS.items() if _belongs(curve.quantity, names)), None)
        (panels[title] if title else others.setdefault(curve.quantity, [])).append(curve)
    few = dict(list(others.items())[:MOST_OTHERS])
    return {title: drawn for title, drawn in {**panels, **few}.items() if drawn}


def stage_starts(curves: Sequence[RunCurve]) -> dict[str, int]:
    """The step at which each stage begins when they are laid one after another, in the order given."""
    starts: dict[str, int] = {}
    reached = 0
    for stage in dict.fromkeys(curve.stage for curve in curves):
        starts[stage] = reached
        reached += max(int(curve.steps[-1]) for curve in curves if curve.stage == stage)
    return starts


def _belongs(quantity: str, names: Sequence[str]) -> bool:
    return any(quantity == name or (name.endswith("/") and quantity.startswith(name)) for name in names)


def _curve(axes: Axes, curve: RunCurve, start: int, labels: Sequence[str], theme: Theme) -> None:
    name = curve.quantity.rpartition("/")[2]
    place = labels.index(name) if name in labels else 0
    second = name == "valid_macro_recall"
    plain = theme.second if second else theme.muted if name in TRAINING else theme.accent
    axes.plot(
        curve.steps + start,
        curve.values,
        color=theme.colour(name, place) if name in labels else plain,
        linestyle=STROKES[place % len(STROKES)],
        linewidth=1.6,
        marker=("D" if second else "o") if len(curve.steps) < 60 else "",
        markersize=2.8,
        label=NAMES.get(name, name.replace("_", " ")),
    )


def _stages(axes: Axes, starts: dict[str, int], theme: Theme, *, named: bool) -> None:
    for stage, start in starts.items():
        if start:
            axes.axvline(start, color=theme.muted, linewidth=0.8, linestyle=":")
        if named and stage:
            place = axes.get_xaxis_transform()
            axes.annotate(
                stage,
                (start, 0),
                (3, 4),
                xycoords=place,
                textcoords="offset points",
                color=theme.muted,
                rotation=90,
                va="bottom",
                fontsize=9,
            )


def _legend(axes: Axes) -> None:
    handles, names = axes.get_legend_handles_labels()
    once = dict(zip(names, handles, strict=True))
    if len(once) > 3:
        below = (0.5, -0.16)
        axes.legend(once.values(), once.keys(), loc="upper center", bbox_to_anchor=below, ncols=4, columnspacing=1)
    elif len(once) > 1:
        axes.legend(once.values(), once.keys(), loc="best")
