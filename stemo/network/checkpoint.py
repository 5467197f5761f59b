"""Weights that describe themselves: safetensors beside a JSON. No pickle is ever loaded."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save_file
from torch import nn

from stemo.errors import ConfigError, WeightsError
from stemo.network.architectures import build
from stemo.network.model import CLIP_LENGTH, FaceNetwork
from stemo.network.preprocessing import INPUT_SIZE, Preprocessing
from stemo.records import EMOTIONS

FORMAT = 1
MEANING = ("architecture", "size", "labels", "clip_length", "fps", "input_size", "mean", "std", "gray")
SHIPPED = Path(__file__).parents[1] / "weights" / "stemo_base.safetensors"


def given_or_shipped(weights: Path | str | None) -> Path:
    """The path of ``weights`` as a user gives them; of the shipped ones where none are given."""
    return Path(weights) if weights else SHIPPED


@dataclass(frozen=True, slots=True)
class WeightFacts:
    """What the JSON beside the weights says of them.

    ``sha256`` is that of the weights, ``meaning`` that of the facts that say what goes in and what comes out.
    """

    name: str = "stemo_base"
    architecture: str = "stemo"
    size: str = "base"
    format: int = FORMAT
    labels: tuple[str, ...] = EMOTIONS
    clip_length: int = CLIP_LENGTH
    fps: float = 25.0
    input_size: int = INPUT_SIZE
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    std: tuple[float, float, float] = (0.25, 0.25, 0.25)
    gray: bool = True
    trained: bool = False
    training_data: str = "none: fresh weights"
    metrics: dict[str, Any] = field(default_factory=dict)
    licence: str = "MIT for the weights; the training data are for research only"
    sha256: str = ""
    meaning: str = ""

    @property
    def preprocessing(self) -> Preprocessing:
        """The input these weights expect."""
        return Preprocessing(self.input_size, self.mean, self.std, self.gray)


def save_weights(path: Path, network: FaceNetwork, facts: WeightFacts) -> WeightFacts:
    """Write fp16 weights to ``path`` and their JSON beside it; returns the facts with the file's sha256.

    Raises :class:`WeightsError` for weights that fp16 cannot hold, which a training that diverged leaves.
    """
    tensors = {key: _half(value) for key, value in network.state_dict().items()}
    if lost := [key for key, value in tensors.items() if value.is_floating_point() and not value.isfinite().all()]:
        raise WeightsError(
            f"weights {str(path)!r} cannot be kept: expected finite numbers below 65504, got others in {lost[0]}. "
            "Train with a lower lr."
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    save_file(tensors, part)
    facts = replace(facts, sha256=hashlib.sha256(part.read_bytes()).hexdigest(), meaning=meaning_of(facts))
    os.replace(part, path)
    write_description(path.with_suffix(".json"), asdict(facts))
    return facts


def write_description(path: Path, facts: Mapping[str, Any]) -> None:
    """Write the JSON beside weights, whole or not at all; ``facts`` as in :class:`WeightFacts`.

    Its hashes are those of the weights and of their meaning, so other facts may change. Raises OSError where it cannot
    be written.
    """
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    os.replace(part, path)


def meaning_of(facts: WeightFacts) -> str:
    """The sha256 of what ``facts`` say of input and output: with other ones the same weights read something else."""
    said = {key: getattr(facts, key) for key in MEANING}
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()


def load_weights(path: Path) -> tuple[FaceNetwork, WeightFacts]:
    """Read weights and their JSON, verified.

    Raises :class:`WeightsError` when either is missing, of a newer format, of another kind, a pickle, or changed.
    """
    if path.suffix.lower() == ".onnx":
        raise WeightsError(
            f"weights {str(path)!r} can be run but not changed or looked into: expected a .safetensors file here, got "
            "an ONNX file. Give the weights that it was exported from."
        )
    data = read_weights(path)
    facts = _facts(path)
    found = hashlib.sha256(data).hexdigest()
    if found != facts.sha256:
        raise WeightsError(
            f"weights {str(path)!r} were changed: expected sha256 {facts.sha256[:12]}, got {found[:12]}. "
            "Restore the file (git checkout, or reinstall stemo)."
        )
    # those of before 0.3.0 say nothing of it
    if facts.meaning and facts.meaning != meaning_of(facts):
        raise WeightsError(
            f"weights {str(path)!r} were described otherwise: expected {', '.join(MEANING)} as they were saved, got "
            f"others in {path.with_suffix('.json').name}. Restore the file (git checkout, or reinstall stemo)."
        )
    try:
        network = build(facts.architecture, facts.size, len(facts.labels), facts.clip_length)
        network.load_state_dict({key: value.to(torch.float32) for key, value in load(data).items()})
    except (SafetensorError, RuntimeError, ConfigError) as error:
        reason = str(error).splitlines()[0]
        raise WeightsError(
            f"weights {str(path)!r} do not fit: expected those of {facts.architecture} {facts.size}, got {reason}"
        ) from error
    return network.eval(), facts


@dataclass(frozen=True, slots=True)
class Adopted:
    """What a network got of weights, which say ``facts`` of themselves.

    ``fresh`` tensors stay as they were, and so do the rows of the ``new`` categories, which the weights do not know.
    """

    facts: WeightFacts
    fresh: tuple[str, ...]
    new: tuple[str, ...]


def adopt(network: FaceNetwork, path: Path, labels: Sequence[str]) -> Adopted:
    """Copy into ``network`` whatever the weights at ``path`` have of the same name and shape.

    ``labels`` are the categories of ``network``; the rows of its last layer are copied by their names. Raises
    :class:`WeightsError` when the weights cannot be read or most of the network would stay fresh.
    """
    source, facts = load_weights(path)
    given = source.state_dict()
    own = network.state_dict()
    fitting = {name: value for name, value in given.items() if name in own and own[name].shape == value.shape}
    if sum(value.numel() for value in fitting.values()) < sum(value.numel() for value in own.values()) / 2:
        raise WeightsError(
            f"weights {str(path)!r} do not fit the network to train: expected the same architecture and size, got "
            f"{len(fitting)} of {len(own)} tensors in common. Choose others, or the --architecture and --size of these."
        )
    known = [label for label in labels if label in facts.labels]
    last = category_layer(network)
    for name in (f"{last}.weight", f"{last}.bias"):
        fitting.pop(name, None)
        if known:
            fitting[name] = own[name].clone()
            fitting[name][[labels.index(label) for label in known]] = given[name][
                [facts.labels.index(label) for label in known]
            ].to(own[name].device)
    network.load_state_dict(fitting, strict=False)
    fresh = tuple(name for name in own if name not in fitting)
    return Adopted(facts, fresh, tuple(label for label in labels if label not in known))


def category_layer(network: FaceNetwork) -> str:
    """The name of the linear layer that says the categories' logits, with a row for each: the last on their way."""
    layers = [name for name, part in network.named_modules() if isinstance(part, nn.Linear)]
    return [name for name in layers if "category" in name.split(".")][-1]


def _half(value: torch.Tensor) -> torch.Tensor:
    return (value.half() if value.dtype == torch.float32 else value).contiguous().clone()


def read_weights(path: Path) -> bytes:
    """The bytes of a file of weights. Raises :class:`WeightsError` where it cannot be read, or is a pickle."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise WeightsError(
            f"weights {str(path)!r} cannot be read: {error.strerror}. Give another file with --weights FILE."
        ) from error
    if _is_pickle(data):
        raise WeightsError(
            f"weights {str(path)!r} are a pickle: expected a .safetensors file, got one that could run code when "
            "opened. Convert it with safetensors.torch.save_file where you trust it."
        )
    return data


def _is_pickle(data: bytes) -> bool:
    """Whether ``data`` begins as a pickle or a zip of some does, and not as safetensors: a length, then a header."""
    length = int.from_bytes(data[:8], "little")
    if data[8:9] == b"{" and length <= len(data) - 8:
        return False
    return data[:2] == b"PK" or (data[:1] == b"\x80" and data[1:2] in (b"\2", b"\3", b"\4", b"\5"))


def _facts(path: Path) -> WeightFacts:
    beside = path.with_suffix(".json")
    try:
        raw = json.loads(beside.read_text(encoding="utf-8"))
        if not isinstance(raw, dict):
            raise ValueError(f"no facts but {type(raw).__name__}")
    except (OSError, ValueError) as error:
        raise WeightsError(
            f"weights {str(path)!r} lack their description: expected a readable {beside.name} beside them, got {error}."
        ) from error
    if type(raw.get("format")) is int and raw["format"] > FORMAT:
        raise WeightsError(
            f"weights {str(path)!r} have format {raw['format']}: expected at most {FORMAT}. Update stemo."
        )
    return check_facts(path, raw, beside.name)


def check_facts(path: Path, raw: Mapping[str, Any], place: str) -> WeightFacts:
    """What the description ``raw`` of the weights at ``path`` says; ``place`` is where it stands, for the error.

    Raises :class:`WeightsError` for values that cannot be.
    """
    try:
        lists: dict[str, Any] = {key: tuple(raw[key]) for key in ("labels", "mean", "std") if key in raw}
    except TypeError as error:
        raise WeightsError(
            f"weights {str(path)!r} lack their description: expected readable facts in {place}, got {error}."
        ) from error
    known = {key: value for key, value in {**raw, **lists}.items() if key in WeightFacts.__dataclass_fields__}
    if wrong := [key for key, value in known.items() if not _fits(key, value)]:
        raise WeightsError(
            f"weights {str(path)!r} have a wrong description: expected usable values in {place}, "
            f"got {wrong[0]} {known[wrong[0]]!r}. Restore the file."
        )
    return WeightFacts(**known)


LIMITS = {"format": (0, FORMAT), "clip_length": (1, 1024), "input_size": (16, 1024), "fps": (0.1, 1000.0)}


def _fits(key: str, value: Any) -> bool:
    """Whether ``value`` can be the fact ``key``: its type, and where it counts its range."""
    if key == "labels":
        return (
            len(value) > 1 and all(isinstance(label, str) and label for label in value) and len({*value}) == len(value)
        )
    if key in ("mean", "std"):
        plain = len(value) == 3 and all(type(part) in (int, float) and math.isfinite(part) for part in value)
        return plain and (key == "mean" or all(value))
    kind = type(getattr(WeightFacts(), key))
    if type(value) is not kind and not (kind is float and type(value) is int):
        return False
    return key not in LIMITS or LIMITS[key][0] <= value <= LIMITS[key][1]
