"""The end of a training: the network adjusted, calibrated and scored, and its weights written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from stemo.config import TrainingSettings
from stemo.network.architectures import describe, name_of
from stemo.network.checkpoint import WeightFacts, save_weights
from stemo.network.model import FaceNetwork, Network
from stemo.network.preprocessing import Preprocessing
from stemo.training.category_loss import adjust
from stemo.training.clip_stage import fit_temperature
from stemo.training.datasets import Still
from stemo.training.divergence import check_result
from stemo.training.evaluation import category_readings, labels_of, predict_stills, report
from stemo.training.keeping import writing
from stemo.training.run_state import Run

Result = tuple[Path, dict[str, Any]]  # the weights, and their figures on valid


def finish(run: Run, network: FaceNetwork, valid: Sequence[Still], landmarks: np.ndarray) -> Result:
    """Adjust and calibrate the trained ``network``, score it on ``valid`` (landmarks n 205), and keep it.

    Raises :class:`ConfigError` where it reads no numbers, and :class:`OutputError` where it cannot be kept.
    """
    labels = torch.tensor(labels_of(valid))
    architecture, size = run.settings.architecture, run.settings.size
    preprocessing = Preprocessing(describe(architecture, size).input_size)
    adjust(network, run.adjustment)
    prediction = predict_stills(network, valid, landmarks, preprocessing, run.device)
    network.temperature.fill_(fit_temperature(prediction.logits.cpu(), labels))
    probabilities = network.probabilities(prediction)
    readings = category_readings(probabilities, valid, run.collection.labels)
    check_result(network, readings)
    metrics = report(readings.score, run.collection.rule, probabilities, valid)
    run.board.end(asdict(run.settings), readings, metrics["calibration_error"])
    path = result_path(run.settings, run.folder.parent)
    facts = WeightFacts(
        name=path.stem,
        architecture=architecture,
        size=size,
        labels=run.collection.labels,
        clip_length=network.length,
        input_size=preprocessing.input_size,
        trained=_is_trained(run, network),
        training_data=", ".join(dict.fromkeys(run.names)),
        metrics={"valid": metrics, "settings": asdict(run.settings)},
    )
    if not facts.trained:
        run.say("not trained: what reads the categories has had no epoch (see epochs, clip_epochs and joint_epochs)")
    with writing(path):
        save_weights(path, network, facts)
    return path, metrics


def _is_trained(run: Run, network: FaceNetwork) -> bool:
    """Whether the heads that read ``network`` have learnt their categories, here or before."""
    given = run.settings
    epochs = given.clip_epochs + given.joint_epochs if isinstance(network, Network) else given.epochs
    return epochs > 0 or run.begun.whole


def result_path(settings: TrainingSettings, runs: Path) -> Path:
    """Where a training writes its weights, their JSON beside them. Raises :class:`ConfigError` as ``describe`` does."""
    return runs / settings.name / f"{name_of(settings.architecture, settings.size)}.safetensors"
