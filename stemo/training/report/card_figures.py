"""The measured part of the model card: figures with their intervals, or the words "not measured"."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from stemo.training.report.card_words import MOTION
from stemo.training.report.measured import COLUMNS, END_TO_END, accuracy, compared, macro_recall, recalls
from stemo.training.report.statistics import ClassFigures, Interval, class_figures, wilson

NOT_MEASURED = "Not measured."
# what the lines above the class table say; the rest of the known keys are tables or go elsewhere
SHARES = ("accuracy", "macro_recall", "n", "rule")
ELSEWHERE = {
    *(*SHARES, "per_class_recall", "support", "confusion", "calibration_error", "log_loss"),
    *("data", "note", "motion", "end_to_end", "affect"),
}


def measured_lines(measured: Mapping[str, Any] | None) -> Iterator[str]:
    """Data, rule, n, accuracy and macro recall, and every other plain figure that is there."""
    if not measured:
        yield NOT_MEASURED
        return
    n = measured.get("n")
    if "data" in measured:
        yield f"- data: {measured['data']}"
    yield f"- rule: {measured.get('rule', 'not given')}"
    yield f"- n: {n if n is not None else 'not given'}"
    if "accuracy" in measured:
        yield f"- accuracy: {with_interval(*accuracy(measured))}"
    if "macro_recall" in measured:
        yield f"- macro recall: {with_interval(*macro_recall(measured))}"
    others = {key: value for key, value in measured.items() if key not in ELSEWHERE}
    yield from (f"- {name}: {value}" for name, value in flat(others))
    if "note" in measured:
        yield f"- note: {measured['note']}"


def recall_lines(measured: Mapping[str, Any] | None) -> Iterator[str]:
    """A table of each class's recall with Wilson's interval; precision too where the confusion matrix is there."""
    if not measured or not recalls(measured):
        return
    precisions = _precisions(measured)
    yield ""
    yield f"| class | n | recall (95 % interval) |{' precision (95 % interval) |' if precisions else ''}"
    yield f"|---|---:|---|{'---|' if precisions else ''}"
    for label, recall, support, interval in recalls(measured):
        more = f" {precisions[label]} |" if precisions else ""
        yield f"| {label} | {'' if support is None else support} | {with_interval(recall, interval)} |{more}"
    yield ""
    yield "Intervals are Wilson's (1927); that of the macro recall is built from them (Zou & Donner 2008)."


def end_to_end_lines(measured: Mapping[str, Any] | None) -> Iterator[str]:
    """A table of crops beside whole pictures, where both were read."""
    rows = compared(measured or {})
    if not measured or not rows:
        return
    read = measured["end_to_end"]
    share = with_interval(*accuracy({"accuracy": read["found"] / read["n"], "n": read["n"]}))
    yield ""
    yield f"{END_TO_END} Face found: {share} of {read['n']}, by the detector {read['detector']}."
    yield ""
    yield f"| | {' | '.join(COLUMNS)} |"
    yield f"|---|---:|---:|{'---|' * (len(COLUMNS) - 2)}"
    for row in rows:
        shares = " | ".join(with_interval(*share) for share in row.shares)
        yield f"| {row.name} | {row.n} | {row.found} | {shares} |"


def motion_lines(measured: Mapping[str, Any] | None) -> Iterator[str]:
    """In how many sequences the reading moves as the face does, in words."""
    motion = (measured or {}).get("motion")
    if not motion:
        return
    n = motion["n"]
    yield ""
    yield f"Read as a stream, from the onset to the apex of {n} sequences:"
    yield ""
    for key, share in motion.items():
        if key != "n":
            hits = round(share * n)
            words = MOTION.get(key, key.replace("_", " "))
            yield f"- {words}: {hits} of {n}, {with_interval(share, wilson(hits, n))}"


def affect_lines(measured: Mapping[str, Any] | None) -> Iterator[str]:
    """Valence and arousal against real ratings, where there were some."""
    rows = ((measured or {}).get("affect") or {}).items()
    if rows:
        yield ""
        yield "| against real ratings | n | CCC | RMSE | Pearson | same sign |"
        yield "|---|---:|---|---|---|---|"
    for name, figures in rows:
        cells = " | ".join(_number(figures[key]) for key in ("ccc", "rmse", "pearson", "sign_agreement"))
        yield f"| {name} | {figures['n']} | {cells} |"


def calibration_lines(metrics: Mapping[str, Any]) -> Iterator[str]:
    """Calibration error and log loss of every set of faces that was measured."""
    yield (
        "A confidence is meant as a probability: one temperature was fitted on the validation faces (Guo et al., ICML "
        "2017). The expected calibration error is the mean gap between confidence and the share predicted right."
    )
    yield ""
    found = [
        f"- {name}: expected calibration error {_number(measured.get('calibration_error'))}, "
        f"log loss {_number(measured.get('log_loss'))}"
        for name, measured in metrics.items()
        if isinstance(measured, Mapping) and "calibration_error" in measured
    ]
    yield from found or [NOT_MEASURED]


def speed_lines(speed: object) -> Iterator[str]:
    """Whatever was measured of speed, one line a figure."""
    if isinstance(speed, Mapping) and speed:
        yield from (f"- {name}: {value}" for name, value in flat(speed))
    elif speed:
        yield f"- {_value(speed)}"
    else:
        yield NOT_MEASURED


def twin_lines(twin: Mapping[str, Any]) -> Iterator[str]:
    """What the 8-bit twin reads right, what it loses against the exact weights, and how often both agree."""
    yield f"- rule: {twin.get('rule', 'not given')}"
    yield f"- n: {twin['n']}"
    yield f"- accuracy: {with_interval(*accuracy(twin))}, {_lost(twin['accuracy_lost'])}"
    yield f"- macro recall: {with_interval(twin['macro_recall'], None)}, {_lost(twin['macro_recall_lost'])}"
    yield f"- both read the same class of {twin['agreement'] * 100:.1f} % of the faces"


def flat(figures: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """Names and values of nested figures, in words."""
    for key, value in figures.items():
        name = f"{above}{str(key).replace('_', ' ')}"
        if isinstance(value, Mapping):
            yield from flat(value, f"{name}, ")
        else:
            yield name, _value(value)


def with_interval(share: float | None, interval: Interval | None) -> str:
    """A share in percent with its interval."""
    if share is None:
        return "no face"
    ends = f" ({interval[0] * 100:.1f} to {interval[1] * 100:.1f})" if interval else ""
    return f"{share * 100:.1f} %{ends}"


def _precisions(measured: Mapping[str, Any]) -> dict[str, str]:
    confusion, labels = measured.get("confusion"), list(measured.get("per_class_recall", {}))
    if not confusion or len(confusion) != len(labels):
        return {}
    return {figures.label: _precision(figures) for figures in class_figures(confusion, labels)}


def _precision(figures: ClassFigures) -> str:
    known = figures.precision is not None
    return with_interval(figures.precision, figures.precision_interval) if known else "never read"


def _lost(share: float) -> str:
    points = round(share * 100, 2)
    return f"{abs(points):.2f} points {'gained' if points < 0 else 'lost'} against the exact weights"


def _number(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.3f}"


def _value(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1000 else f"{value:.1f}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(_value(item) for item in value)
    return str(value)
