"""No mode: print what the network weighs, part by part, and write its weights where asked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from safetensors import SafetensorError

from stemo.errors import OutputError
from stemo.network.checkpoint import SHIPPED, WeightFacts, load_weights, save_weights
from stemo.network.cost import part_costs
from stemo.network.model import Network


def run_summary(weights: str | None, overwrite: bool, say: Callable[[str], None]) -> int:
    """Print the table; with ``weights``, write the shipped weights there (fresh ones where none are shipped)."""
    network, facts = load_weights(SHIPPED) if SHIPPED.exists() else (Network(), WeightFacts())
    costs = part_costs(network)
    total = sum(cost.parameters for cost in costs)
    macs = sum(cost.macs for cost in costs)
    say(f"{'part':<40}{'parameters':>14}{'MMAC per frame':>18}")
    for cost in costs:
        say(f"{cost.name:<40}{cost.parameters:>14,}{cost.macs / 1e6:>18.2f}")
    say(f"{'whole':<40}{total:>14,}{macs / 1e6:>18.2f}")
    say(f"size: {total * 4 / 1e6:.1f} MB in FP32, {total * 2 / 1e6:.1f} MB in FP16; {macs / 1e9:.2f} GMAC a new frame")
    say(f"weights: {facts.name}, {'trained on ' + facts.training_data if facts.trained else 'not trained'}")
    if weights:
        path = Path(weights)
        if path.exists() and not overwrite:
            raise OutputError(
                f"weights {str(path)!r} exist: expected a new name, got an existing file. Add --overwrite."
            )
        try:
            save_weights(path, network, facts)
        except (OSError, SafetensorError) as error:
            raise OutputError(
                f"weights {str(path)!r} cannot be written: expected a writable place, got {error}. Choose another."
            ) from error
        say(f"wrote {path} and {path.with_suffix('.json').name}")
    return 0
