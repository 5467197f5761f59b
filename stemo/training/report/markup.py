"""Pieces of HTML: everything that comes from outside is escaped, every picture is carried inside."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Sequence

from stemo.training.report.sheets import Cell, thumbnail
from stemo.training.report.statistics import Interval


def escape(text: object) -> str:
    """Text as it may stand between tags and in attributes."""
    return html.escape(str(text))


def percent(share: float | None, digits: int = 1) -> str:
    """A share in [0, 1] as a percentage; a dash where it is undefined."""
    return "&ndash;" if share is None else f"{share * 100:.{digits}f}&#8239;%"


def span(interval: Interval | None) -> str:
    """An interval in percent; empty where it is undefined."""
    return "" if interval is None else f"{interval[0] * 100:.1f}&ndash;{interval[1] * 100:.1f}"


def with_interval(share: float | None, interval: Interval | None) -> str:
    """A table cell's share with its interval below it."""
    return f"{percent(share)}<small>{span(interval)}</small>"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], kind: str = "figures") -> str:
    """A table that scrolls by itself where it is too wide; cells are HTML, a row's first one its heading."""
    top = "".join(f'<th scope="col">{cell}</th>' for cell in head)
    body = "\n".join(_row(row) for row in rows)
    rows_of_it = f"<thead><tr>{top}</tr></thead>\n<tbody>\n{body}\n</tbody>"
    return f'<div class="scroll"><table class="{kind}">{rows_of_it}</table></div>'


def _row(cells: Sequence[str]) -> str:
    first, *others = cells
    inner = "".join(cell if cell.startswith("<td") else f"<td>{cell}</td>" for cell in others)
    return f'<tr><th scope="row">{first}</th>{inner}</tr>'


def picture(light: bytes, dark: bytes, alt: str) -> str:
    """A figure whose PNG follows the reader's colour scheme."""
    return (
        f'<figure><picture><source media="(prefers-color-scheme: dark)" srcset="{embedded(dark, "png")}">'
        f'<img src="{embedded(light, "png")}" alt="{escape(alt)}"></picture></figure>'
    )


def faces(cells: Sequence[Cell]) -> str:
    """Faces with true and predicted class and confidence, as many a row as fit."""
    return f'<div class="faces">\n{chr(10).join(_face(cell) for cell in cells)}\n</div>'


def _face(cell: Cell) -> str:
    alt = f"{cell.name}: {cell.truth}, read as {cell.predicted}"
    return (
        f'<figure class="{"right" if cell.right else "wrong"}" title="{escape(cell.name)}">'
        f'<img src="{embedded(thumbnail(cell.image), "jpeg")}" alt="{escape(alt)}">'
        f"<figcaption>{escape(cell.truth)} &rarr; <b>{escape(cell.predicted)} {cell.confidence:.0%}</b></figcaption>"
        "</figure>"
    )


def embedded(data: bytes, kind: str) -> str:
    """A picture as an address that carries it."""
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"


def section(name: str, title: str, *parts: str) -> str:
    """A part of the page, reached by ``#name``."""
    return f'<section id="{escape(name)}"><h2>{escape(title)}</h2>\n{chr(10).join(parts)}\n</section>'
