"""The two looks of the report's pictures, light and dark, and how a drawing becomes a PNG."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from stemo.output.palette import EMOTION_COLOURS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 5.2  # inches: words stay legible when a phone shows a picture at 360 points
DOTS = 180  # per inch


@dataclass(frozen=True, slots=True)
class Theme:
    """Colours as ``#rrggbb``: ``ink`` for what is read, ``muted`` for what is always there, ``line`` for rules."""

    name: str
    paper: str
    ink: str
    muted: str
    line: str
    accent: str
    second: str
    emotions: dict[str, str]
    spare: tuple[str, ...] = field(default=())  # for labels that are none of stemo's own

    def colour(self, label: str, place: int) -> str:
        """The colour of a class: its own, or the next spare one for somebody else's label."""
        return self.emotions.get(label) or self.spare[place % len(self.spare)]


LIGHT = Theme(
    "light",
    paper="#ffffff",
    ink="#1b1f27",
    muted="#5d6675",
    line="#d5dae2",
    accent="#0b6e8a",
    second="#b4560a",
    emotions={
        "Angry": "#c9431b",
        "Disgust": "#0c8058",
        "Fear": "#6a4bd4",
        "Happy": "#a87b00",
        "Neutral": "#667083",
        "Sad": "#1a6cc2",
        "Surprise": "#b83d86",
    },
    spare=("#0b6e8a", "#b4560a", "#6a4bd4", "#0c8058", "#b83d86", "#a87b00", "#667083"),
)
DARK = Theme(
    "dark",
    paper="#161a22",
    ink="#eef1f6",
    muted="#a3acba",
    line="#3a4150",
    accent="#78d6e8",
    second="#f6aa5c",
    emotions={label: "#{:02x}{:02x}{:02x}".format(*colour) for label, colour in EMOTION_COLOURS.items()},
    spare=("#78d6e8", "#f6aa5c", "#a68af0", "#2ebe8c", "#ec8ac4", "#f7cd4d", "#bac3d0"),
)
THEMES = (LIGHT, DARK)

# a colour never speaks alone: every class also has a stroke of its own
STROKES = ("-", (0, (5, 1.5)), (0, (1, 1)), "-.", (0, (8, 2, 1, 2, 1, 2)), (0, (3, 1)), (0, (1, 2.5)))

Drawing: TypeAlias = "Callable[[Theme], Figure]"


def render(drawing: Drawing, theme: Theme) -> bytes:
    """The PNG of a drawing in one theme."""
    import matplotlib

    settings: dict[Any, Any] = {
        "font.size": 10.5,
        "text.color": theme.ink,
        "axes.labelcolor": theme.muted,
        "axes.edgecolor": theme.line,
        "axes.facecolor": theme.paper,
        "axes.titlesize": 11,
        "axes.titlecolor": theme.ink,
        "axes.titlelocation": "left",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": theme.line,
        "grid.linewidth": 0.6,
        "xtick.color": theme.line,
        "ytick.color": theme.line,
        "xtick.labelcolor": theme.muted,
        "ytick.labelcolor": theme.muted,
        "legend.frameon": True,
        "legend.facecolor": theme.paper,
        "legend.edgecolor": theme.paper,
        "legend.framealpha": 0.9,
        "legend.fontsize": 9.5,
        "figure.facecolor": theme.paper,
    }
    file = io.BytesIO()
    with matplotlib.rc_context(settings):
        drawing(theme).savefig(file, format="png", dpi=DOTS)
    return file.getvalue()


def canvas(height: float, rows: int = 1, ratios: Sequence[float] | None = None) -> tuple[Figure, list[Axes]]:
    """A figure ``height`` inches tall with ``rows`` axes below each other."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    axes = figure.subplots(rows, 1, squeeze=False, height_ratios=ratios)
    return figure, list(axes[:, 0])


def note(axes: Axes, text: str, theme: Theme) -> None:
    """Say in the middle of empty axes why nothing is drawn."""
    axes.text(0.5, 0.5, text, ha="center", va="center", color=theme.muted, transform=axes.transAxes)
