"""No mode: print what the network weighs, part by part, and write its weights where asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from safetensors import SafetensorError

from stemo.errors import OutputError
from stemo.network.architectures import build, describe, name_of
from stemo.network.checkpoint import SHIPPED, WeightFacts, load_weights, save_weights
from stemo.network.cost import part_costs
from stemo.network.int8 import FACTS
from stemo.network.model import FaceNetwork


def run_summary(architecture: str, size: str, weights: str | None, overwrite: bool, say: Callable[[str], None]) -> int:
    """Print the table; with ``weights``, write the shipped weights there (fresh ones where none are shipped)."""
    network, facts = shipped_or_fresh(architecture, size)
    costs = part_costs(network, facts.input_size)
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
            save_weights(path, network, _without_twin(facts))
        except (OSError, SafetensorError) as error:
            raise OutputError(
                f"weights {str(path)!r} cannot be written: expected a writable place, got {error}. Choose another."
            ) from error
        say(f"wrote {path} and {path.with_suffix('.json').name}")
    return 0


def shipped_or_fresh(architecture: str, size: str) -> tuple[FaceNetwork, WeightFacts]:
    """The shipped network of that kind, or a fresh one."""
    described, name = describe(architecture, size), name_of(architecture, size)
    shipped = SHIPPED.with_name(f"{name}.safetensors")
    if shipped.exists():
        return load_weights(shipped)
    network = build(architecture, size)
    return network, WeightFacts(
        name=name,
        architecture=architecture,
        size=size,
        input_size=described.input_size,
        clip_length=network.length,
    )


def _without_twin(facts: WeightFacts) -> WeightFacts:
    """The facts for a copy of the weights: their 8-bit twin stays where it is."""
    return replace(facts, metrics={name: value for name, value in facts.metrics.items() if name != FACTS})
