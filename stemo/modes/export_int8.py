"""``--export int8``: the 8-bit twin of weights, made on labelled faces, scored on others, kept beside the weights."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from stemo.config import RecognitionSettings
from stemo.errors import ConfigError, DataError, OutputError
from stemo.modes.export_packages import check_packages
from stemo.modes.scored import share_held_back
from stemo.network.checkpoint import WeightFacts, given_or_shipped, load_weights, write_description
from stemo.network.clips import NetworkClips
from stemo.network.engine import OnnxEngine
from stemo.network.int8 import FACTS, PARTS, Twin, twin_path
from stemo.network.model import Network
from stemo.network.preprocessing import PICTURE_SIZE
from stemo.network.quantising import quantise
from stemo.output.pending import Pending, check_place, failed
from stemo.training.collection import collect
from stemo.training.datasets import Still
from stemo.training.evaluation import Pictures, category_readings, read_stills
from stemo.training.landmark_cache import landmark_cache
from stemo.training.metrics import CategoryReadings
from stemo.training.pictures import fit
from stemo.training.report.card import read_facts

Say = Callable[[str], None]
FACES = 384  # to find the ranges of activations on
MOST = 0.005  # of the accuracy that the twin may lose
CPU = torch.device("cpu")


def run_int8(settings: RecognitionSettings, data: Sequence[str], cache: Path, say: Say) -> int:
    """Make, score and keep the twin of the weights in ``settings``; returns 0.

    Ranges are found on training faces of ``data``, the loss on its validation faces, or where its splits have no names
    on the people whom the training kept apart; ``cache`` keeps their landmarks.
    Raises :class:`ConfigError` for other architectures, a missing package or no data, :class:`DataError` where the
    data have no such faces, and :class:`OutputError` where the twin has no place, which is looked at first, or loses
    more than half a point, which keeps nothing.
    """
    weights = given_or_shipped(settings.weights)
    network, facts = load_weights(weights)
    _check(network, data)
    _check_place(weights)
    collection = collect([Path(path) for path in data], share_held_back(facts), facts.labels)
    train, valid = (
        [still for still in part if still.label is not None] for part in (collection.train, collection.valid)
    )
    if len(train) < FACES or not valid:
        raise DataError(
            f"data {', '.join(data)} are too few: expected {FACES} training faces and some for validation, got "
            f"{len(train)} and {len(valid)}. Give more --data, for example ferplus.zip."
        )
    chosen = [train[place] for place in np.random.default_rng(0).permutation(len(train))[:FACES]]
    assert isinstance(network, Network)
    twin = Twin(*quantise(network, _frames(chosen, facts), _landmarks(chosen, cache, "int8")))
    known = _landmarks(valid, cache, "valid")
    exact, small = (_readings(network, facts, valid, known, part) for part in (None, twin))
    figures = _compared(exact, small, collection.rule)
    for line in _told(figures):
        say(line)
    if figures["accuracy_lost"] > MOST:
        raise OutputError(
            f"8-bit twin of {str(weights)!r} loses too much: expected at most {MOST:.1%}, got "
            f"{figures['accuracy_lost']:.2%}. Nothing was kept."
        )
    for path in _keep(weights, twin, figures):
        say(f"wrote {path} ({path.stat().st_size / 1e6:.1f} MB)")
    return 0


def _check(network: object, data: Sequence[str]) -> None:
    if not isinstance(network, Network):
        raise ConfigError(
            "export 'int8' is for the architecture stemo: expected such weights, got another. Use --export onnx."
        )
    if not data:
        raise ConfigError("export 'int8' needs faces: expected --data, got none. Pass --data ferplus.zip.")
    check_packages("int8")


def _check_place(weights: Path) -> None:
    try:
        for path in (*(twin_path(weights, part) for part in PARTS), weights.with_suffix(".json")):
            check_place(path, overwrite=True)
    except OutputError as error:
        reason, _, _ = str(error).partition(": expected ")
        raise OutputError(
            f"8-bit twin of {str(weights)!r} cannot be kept: expected a place for files beside the weights, got: "
            f"{reason}. Copy the weights and their JSON to a folder of your own, and give them with --weights."
        ) from error


def _frames(stills: Sequence[Still], facts: WeightFacts) -> torch.Tensor:
    pictures = np.stack([fit(still.image, PICTURE_SIZE) for still in stills])
    return facts.preprocessing.fitted(torch.from_numpy(pictures))


def _landmarks(stills: Sequence[Still], cache: Path, name: str) -> torch.Tensor:
    return torch.from_numpy(np.array(landmark_cache(Pictures(stills), cache, name)))


def _readings(
    network: Network, facts: WeightFacts, stills: Sequence[Still], landmarks: torch.Tensor, twin: Twin | None
) -> CategoryReadings:
    engine = OnnxEngine(network, twin=twin)
    reader = NetworkClips(network, facts.preprocessing, CPU, engine)
    probabilities = reader.probabilities(read_stills(reader, stills, landmarks.numpy()))
    return category_readings(probabilities, stills, facts.labels)


def _compared(exact: CategoryReadings, small: CategoryReadings, rule: str) -> dict[str, Any]:
    scores = exact.score, small.score
    return {
        "rule": rule,
        "n": scores[0].n,
        "accuracy": scores[1].accuracy,
        "macro_recall": scores[1].macro_recall,
        "accuracy_lost": scores[0].accuracy - scores[1].accuracy,
        "macro_recall_lost": scores[0].macro_recall - scores[1].macro_recall,
        "agreement": float((exact.probabilities.argmax(1) == small.probabilities.argmax(1)).mean()),
        "mean_difference": float(np.abs(exact.probabilities - small.probabilities).mean()),
    }


def _told(figures: dict[str, Any]) -> list[str]:
    return [
        f"rule:      {figures['rule']}",
        f"n:         {figures['n']} faces",
        f"accuracy:  {figures['accuracy']:.2%} in 8 bits, {figures['accuracy_lost']:+.2%} lost",
        f"recall:    {figures['macro_recall']:.2%} in 8 bits (macro), {figures['macro_recall_lost']:+.2%} lost",
        f"agreement: {figures['agreement']:.2%} of the faces, probabilities differ by {figures['mean_difference']:.4f}",
    ]


def _keep(weights: Path, twin: Twin, figures: dict[str, Any]) -> list[Path]:
    """Write both files and their hashes, the description last: without it they are not looked at.

    Where an earlier twin is replaced, it is taken out of the description first: a run that is killed between two files
    leaves weights without a twin, not weights with a wrong one, which nobody could read.
    """
    description = weights.with_suffix(".json")
    facts = read_facts(description)
    hashes = {part: hashlib.sha256(getattr(twin, part)).hexdigest() for part in PARTS}
    others = {name: value for name, value in (facts.get("metrics") or {}).items() if name != FACTS}
    files = {part: Pending(twin_path(weights, part), overwrite=True) for part in PARTS}
    try:
        for part, file in files.items():
            file.part.write_bytes(getattr(twin, part))
        write_description(description, {**facts, "metrics": others})
        paths = [file.commit() for file in files.values()]
        write_description(description, {**facts, "metrics": {**others, FACTS: {**figures, "sha256": hashes}}})
    except OSError as error:
        raise failed(weights, error) from error
    finally:
        for file in files.values():
            file.discard()
    return [*paths, description]
