"""Training state on disk: safetensors, so that a resume neither loads a pickle nor loses a bit."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from stemo.errors import WeightsError
from stemo.training.keeping import writing


def save_state(path: Path, modules: Mapping[str, nn.Module], optimiser: torch.optim.Optimizer, facts: Any) -> None:
    """Write modules, optimiser moments and ``facts`` (anything JSON can hold) to ``path``, atomically.

    Raises :class:`OutputError` where it cannot be written.
    """
    tensors = {
        f"module/{name}/{key}": value for name, module in modules.items() for key, value in module.state_dict().items()
    }
    for place, state in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser/{place}/{key}": torch.as_tensor(value) for key, value in state.items()}
    tensors = {key: value.contiguous().clone() for key, value in tensors.items()}
    part = path.with_name(path.name + ".part")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(tensors, part, {"facts": json.dumps(facts)})
        os.replace(part, path)


def load_state(path: Path, modules: Mapping[str, nn.Module], optimiser: torch.optim.Optimizer | None) -> Any:
    """Put back what :func:`save_state` wrote and return its facts. Raises :class:`WeightsError` when unreadable."""
    try:
        with safe_open(path, "pt") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            facts = json.loads(file.metadata()["facts"])
    except (SafetensorError, OSError, KeyError) as error:
        raise WeightsError(f"checkpoint {str(path)!r} cannot be read: {error}. Delete it to start over.") from error
    for name, module in modules.items():
        prefix = f"module/{name}/"
        try:
            module.load_state_dict({k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)})
        except RuntimeError as error:
            raise WeightsError(
                f"checkpoint {str(path)!r} is of another network: expected the same architecture and classes. "
                "Choose another --name, or delete it to start over."
            ) from error
    if optimiser is not None:
        _load_optimiser(optimiser, tensors)
    return facts


def epochs_done(path: Path) -> int:
    """How many epochs the stage that saved ``path`` has behind it; 0 where there is no such file."""
    return int(read_facts(path)["epoch"]) if path.exists() else 0


def read_facts(path: Path) -> dict[str, Any]:
    """The facts that :func:`save_state` wrote, ``epoch`` among them. Raises :class:`WeightsError` when unreadable."""
    try:
        with safe_open(path, "pt") as file:
            facts = json.loads(file.metadata()["facts"])
        return {**facts, "epoch": int(facts["epoch"])}
    except (SafetensorError, OSError, KeyError, ValueError, TypeError) as error:
        raise WeightsError(f"checkpoint {str(path)!r} cannot be read: {error}. Delete it to start over.") from error


def _load_optimiser(optimiser: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    whole = optimiser.state_dict()
    whole["state"] = {}
    for key, value in tensors.items():
        if key.startswith("optimiser/"):
            _, place, entry = key.split("/")
            whole["state"].setdefault(int(place), {})[entry] = value
    optimiser.load_state_dict(whole)
