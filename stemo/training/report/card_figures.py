"""The measured part of the model card: figures with their intervals, or the words "not measured"."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from stemo.training.report.statistics import ClassFigures, Interval, class_figures, mean_interval, wilson

NOT_MEASURED = "Not measured."
# what the lines above the class table say; the rest of the known keys are tables or go elsewhere
SHARES = ("accuracy", "macro_recall", "n", "rule")
ELSEWHERE = {*SHARES, "per_class_recall", "support", "confusion", "calibration_error", "log_loss"}


def measured_lines(measured: Mapping[str, Any] | None) -> Iterator[str]:
    """Rule, n, accuracy and macro recall, and every other plain figure that is there."""
    if not measured:
        yield NOT_MEASURED
        return
    n = measured.get("n")
    yield f"- rule: {measured.get('rule', 'not given')}"
    yield f"- n: {n if n is not None else 'not given'}"
    if "accuracy" in measured:
        interval = wilson(round(measured["accuracy"] * n), n) if n else None
        yield f"- accuracy: {with_interval(measured['accuracy'], interval)}"
    if "macro_recall" in measured:
        known = [(recall, ends) for _, recall, _, ends in recalls(measured) if recall is not None and ends]
        interval = mean_interval(known)
        yield f"- macro recall: {with_interval(measured['macro_recall'], interval)}"
    others = {key: value for key, value in measured.items() if key not in ELSEWHERE}
    yield from (f"- {name}: {value}" for name, value in flat(others))


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


def recalls(measured: Mapping[str, Any]) -> list[tuple[str, float | None, int | None, Interval | None]]:
    """Each class with its recall in [0, 1], its number of faces and the recall's interval, as far as known."""
    rows = []
    for label, recall in measured.get("per_class_recall", {}).items():
        support = measured.get("support", {}).get(label)
        known = recall is not None and support
        rows.append((label, recall, support, wilson(round(recall * support), support) if known else None))
    return rows


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


def _number(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.3f}"


def _value(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(_value(item) for item in value)
    return str(value)
