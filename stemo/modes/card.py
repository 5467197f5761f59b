"""``--card WEIGHTS``: the model card, written beside the weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path


def run_card(weights: Path, say: Callable[[str], None]) -> int:
    """Write the card of ``weights`` (the file itself or its JSON) from its JSON; returns 0."""
    from stemo.training.report.card import write_card

    say(f"wrote {write_card(weights.with_suffix('.json'))}")
    return 0
