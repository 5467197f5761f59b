"""The comparison as a table: for the terminal, and for Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Facts = Mapping[str, Any]
UNKNOWN = "-"


def terminal(facts: Facts) -> Iterator[str]:
    """The table in columns, then what could not be run."""
    table = [_head(facts), *_rows(facts)]
    widths = [max(len(row[place]) for row in table) for place in range(len(table[0]))]
    for row in table:
        cells = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        yield "  ".join([row[0].ljust(widths[0]), *cells])
    yield from (f"{name}: {reason}" for name, reason in _not_run(facts))
    yield from _beside(facts)
    yield legend(facts)


def markdown(facts: Facts) -> str:
    """The same as Markdown, with what it was measured on."""
    head, rows = _head(facts), _rows(facts)
    lines = [_line(head), _line(["---"] * len(head)), *map(_line, rows)]
    lines += [_line([name, reason, *[""] * (len(head) - 2)]) for name, reason in _not_run(facts)]
    measured_on = [*facts["machine"].values(), *_beside(facts)]
    return "\n".join([*lines, "", f"{legend(facts)} {'; '.join(measured_on)}."]) + "\n"


def legend(facts: Facts) -> str:
    """What the columns mean."""
    scored = f" Accuracy by the rule: {facts['rule']}." if "rule" in facts else ""
    return (
        "frames/s: from video file to file of rows, no annotated video, models loaded, median of "
        f"{facts['rounds']} rounds in alternating order, each tool alone in a process of its own; in brackets rows, of "
        f"them with a face. Memory is the peak of all rounds.{scored}"
    )


def _head(facts: Facts) -> list[str]:
    clips = [f"frames/s, {name} ({size})" for name, size in facts["clips"].items()]
    return ["tool", *clips, "peak memory", *_accuracy_head(facts)]


def _accuracy_head(facts: Facts) -> list[str]:
    counts = {tool["n"] for tool in facts["tools"].values() if tool["n"]}
    return [f"accuracy, n {max(counts)}", "macro recall"] if counts else []


def _rows(facts: Facts) -> list[list[str]]:
    return [_row(facts, name, tool) for name, tool in facts["tools"].items()]


def _row(facts: Facts, name: str, tool: Facts) -> list[str]:
    clips = [_clip(tool["clips"].get(clip)) for clip in facts["clips"]]
    scores = [_percent(tool["accuracy"]), _percent(tool["macro_recall"])] if _accuracy_head(facts) else []
    memory = _number(tool["peak_memory_mb"], "{:.0f} MB")
    return [f"{name} {tool['version']}", *clips, memory, *scores]


def _not_run(facts: Facts) -> Sequence[tuple[str, str]]:
    failed = [(name, f"could not run: {tool['problem']}") for name, tool in facts["tools"].items() if tool["problem"]]
    return [*failed, *facts["not_run"].items()]


def _beside(facts: Facts) -> list[str]:
    return [f"{name} with {tool['beside']}" for name, tool in facts["tools"].items() if tool["beside"]]


def _clip(clip: Facts | None) -> str:
    if clip is None or clip["frames_per_second"] is None:
        return UNKNOWN
    return f"{clip['frames_per_second']:.1f} ({clip['rows']}, {clip['rows_with_a_face']})"


def _percent(share: float | None) -> str:
    return _number(share, "{:.1%}")


def _number(value: float | None, pattern: str) -> str:
    return UNKNOWN if value is None else pattern.format(value)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
