"""What a checkpoint was trained on and how, so that only the same training goes on from it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import nn

from stemo.config import TrainingSettings
from stemo.errors import ConfigError
from stemo.network.checkpoint import read_weights
from stemo.training.augment import DEFAULT_STRENGTH
from stemo.training.collection import Collection
from stemo.training.datasets import Still
from stemo.training.starting import FACE_IDENTITY
from stemo.training.state import read_facts

Origin: TypeAlias = Mapping[str, Any]  # by the name of a setting, or of what else changes the result
ORIGIN = "origin"  # its name among the facts of a checkpoint
RESTS_ON = "rests_on"  # in the origin of a later stage: the weights that the stage before it found
# more or fewer epochs over the same state are the same training, and what is done to its weights in the end is no part
# of it; data and classes are described by what was found
LEFT_OUT = frozenset(
    {"name", "epochs", "clip_epochs", "joint_epochs", "patience", "data", "classes", "logit_adjustment"}
)
AFTER_STILLS = frozenset({"clip_teacher_share", "views", "landmarks"})  # settings that the first stage never sees


def origin_of(settings: TrainingSettings, collection: Collection) -> Origin:
    """Everything that changes what comes of a training, as JSON holds it; weights are known by their content.

    Raises :class:`WeightsError` where weights to start or to learn from cannot be read.
    """
    chosen = {name: value for name, value in asdict(settings).items() if name not in LEFT_OUT}
    found = {
        "data": ", ".join(collection.names),
        "faces": _faces(collection),
        "labels": collection.labels,
        "augmentation": asdict(DEFAULT_STRENGTH),
        "start_from": settings.start_from and _content(settings.start_from),
        "teachers": [_content(path) for path in settings.teachers],
    }
    return json.loads(json.dumps({**found, **{name: value for name, value in chosen.items() if name not in found}}))


def of_stills(origin: Origin) -> Origin:
    """The part of ``origin`` that the stage on stills depends on."""
    return {name: value for name, value in origin.items() if name not in AFTER_STILLS}


def resting_on(origin: Origin, network: nn.Module) -> Origin:
    """``origin`` of a stage that begins with the weights of ``network``, known by a digest of their bits."""
    digest = hashlib.sha256()
    for name, value in network.state_dict().items():
        digest.update(repr((name, value.dtype, tuple(value.shape))).encode())
        digest.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())
    return {**origin, RESTS_ON: f"sha256 {digest.hexdigest()[:12]}"}


def rests_on_another(checkpoint: Path, origin: Origin) -> bool:
    """Whether ``checkpoint`` exists and says that its stage began with other weights than ``origin`` does.

    What it does not say, as in :func:`check_origin`, cannot differ. Raises :class:`WeightsError` where it cannot be
    read.
    """
    if RESTS_ON not in origin or not checkpoint.exists():
        return False
    return read_facts(checkpoint).get(ORIGIN, {}).get(RESTS_ON, origin[RESTS_ON]) != origin[RESTS_ON]


def check_origin(checkpoint: Path, origin: Origin) -> None:
    """Raise :class:`ConfigError` where ``checkpoint`` exists and says that it comes of another training.

    What it does not say, as those of before origins were kept, cannot differ. Raises :class:`WeightsError` where it
    cannot be read.
    """
    kept = read_facts(checkpoint).get(ORIGIN, {}) if checkpoint.exists() else {}
    other = [name for name, value in kept.items() if name in origin and origin[name] != value]
    if other:
        was, now = (", ".join(f"{name} {known[name]!r}" for name in other) for known in (kept, origin))
        raise ConfigError(
            f"checkpoint {str(checkpoint)!r} is of another training: expected {was}, got {now}. "
            f"Choose another --name, or remove the folder {str(checkpoint.parent)!r} to start over."
        )


def _content(weights: str) -> str:
    if weights == FACE_IDENTITY:
        return weights
    return f"sha256 {hashlib.sha256(read_weights(Path(weights))).hexdigest()[:12]}"


def _faces(collection: Collection) -> str:
    digest = hashlib.sha256()
    for still in (*collection.train, *collection.valid):
        digest.update(_described(still).encode())
    for sequence in collection.sequences:
        digest.update(repr((sequence.name, sequence.label, len(sequence.images))).encode())
    return (
        f"{len(collection.train)} stills, {len(collection.sequences)} sequences, {len(collection.valid)} to choose by, "
        f"sha256 {digest.hexdigest()[:12]}"
    )


def _described(still: Still) -> str:
    # rounded, because another machine may add up votes to another last digit
    targets = [round(float(value), 3) for value in (*still.distribution, still.valence, still.arousal)]
    return repr((still.name, still.label, targets))
