"""Figures of an evaluation or benchmark kept in the JSON beside weights, where the model card finds them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from stemo.config import did_you_mean
from stemo.errors import ConfigError, OutputError, WeightsError
from stemo.network.checkpoint import write_description
from stemo.training.report.card import read_facts
from stemo.training.report.card_words import MEASURED

KEPT = (  # what the card shows
    *("data", "note", "rule", "n", "accuracy", "macro_recall", "per_class_recall", "support", "confusion"),
    *("calibration_error", "log_loss", "motion", "end_to_end", "affect"),
)
SPEED = "speed"  # the section that a benchmark measures


def check_record(description: Path, name: str, known: Iterable[str] = MEASURED) -> None:
    """Raise, before the long part, what :func:`record` and :func:`record_speed` would.

    That is for a ``name`` that is not one of the ``known``, or a place that is not writable.
    """
    _check_name(name, known)
    read_facts(description)
    part = description.with_name(description.name + ".part")
    try:
        with description.open("ab"):  # changes nothing
            part.touch()
        part.unlink()
    except OSError as error:
        raise _refused(description, error) from error


def record(description: Path, sha256: str, name: str, metrics: Mapping[str, Any]) -> None:
    """Store what the card shows of ``metrics`` as the section ``name`` of the weights' JSON ``description``.

    ``sha256`` is that of the weights that were evaluated. Raises :class:`ConfigError` for a ``name`` that is no section
    of the card, :class:`WeightsError` when the JSON is missing or now describes other weights, :class:`OutputError`
    when it cannot be written. It is written whole or not at all.
    """
    _check_name(name, MEASURED)
    _keep(description, sha256, name, {key: metrics[key] for key in KEPT if key in metrics})


def record_speed(description: Path, sha256: str, figures: Mapping[str, Any]) -> None:
    """Store ``figures`` as the section :data:`SPEED`; the card shows all of them, in their order. As :func:`record`."""
    _keep(description, sha256, SPEED, figures)


def _keep(description: Path, sha256: str, name: str, section: Mapping[str, Any]) -> None:
    facts = read_facts(description)
    if facts.get("sha256") != sha256:
        raise WeightsError(
            f"description {str(description)!r} is of other weights now: expected sha256 {sha256[:12]}, got "
            f"{str(facts.get('sha256'))[:12]}. Measure again."
        )
    try:
        write_description(description, {**facts, "metrics": {**(facts.get("metrics") or {}), name: section}})
    except OSError as error:
        raise _refused(description, error) from error


def _check_name(name: str, names: Iterable[str]) -> None:
    known = list(names)
    if name not in known:
        raise ConfigError(
            f"record {name!r} is no section of the model card: expected one of {', '.join(known)}, got {name!r}."
            f"{did_you_mean(name, known)}"
        )


def _refused(description: Path, error: OSError) -> OutputError:
    return OutputError(
        f"description {str(description)!r} cannot be written: expected a writable file in a writable folder, got "
        f"{error.strerror}. Copy the weights and their JSON to one and give them with --weights."
    )
