"""One training run: spatial stream, then clips, then a short joint fine-tuning, calibration and the final weights.

Each stage keeps a checkpoint in the run's folder and continues from it; a finished stage is skipped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.tensorboard.writer import SummaryWriter

from stemo.config import TrainingSettings
from stemo.network.checkpoint import WeightFacts, save_weights
from stemo.network.model import Network
from stemo.network.preprocessing import Preprocessing
from stemo.network.spatial import SpatialEncoder
from stemo.records import EMOTIONS
from stemo.training.augment import Strength
from stemo.training.boards import log_clips, log_confusion, log_samples
from stemo.training.clip_stage import ClipSettings, fit_temperature, train_clips
from stemo.training.clips import join, plan_sequences, plan_stills
from stemo.training.collection import Collection, collect
from stemo.training.datasets import Still, sequence_stills
from stemo.training.evaluation import labels_of, predict_stills, report, score_prediction, still_bank
from stemo.training.feature_bank import build_bank
from stemo.training.joint_stage import JointSettings, train_joint
from stemo.training.labels import MAJORITY_RULE
from stemo.training.landmark_cache import landmark_cache
from stemo.training.metrics import CategoryScore
from stemo.training.spatial_stage import SpatialSettings, StillNetwork, train_spatial

Say = Callable[[str], None]
SMALL_MOTION = Strength(rotation=4, scale=0.05, shift=0.03, aspect=0.02, flip=0.0, degrade=0.15, light=0.12, erase=0.05)
SEQUENCE_VERSIONS = 8


@dataclass(slots=True)
class Run:
    """What all stages share."""

    settings: TrainingSettings
    folder: Path
    device: torch.device
    collection: Collection
    board: SummaryWriter
    say: Say

    def log(self, name: str, value: float, step: int) -> None:
        """One figure, to TensorBoard and, for the figures one waits for, to the terminal."""
        self.board.add_scalar(name, value, step)
        self.board.flush()
        if name.endswith(("loss", "accuracy")):
            self.say(f"epoch {step}  {name} {value:.4f}")

    @property
    def loss_weights(self) -> tuple[float, float, float]:
        """Weights of the category, valence and arousal losses."""
        return self.settings.category_weight, self.settings.valence_weight, self.settings.arousal_weight


def train(settings: TrainingSettings, runs: Path, device: torch.device, say: Say) -> tuple[Path, dict[str, Any]]:
    """Run all stages below ``runs / settings.name``; returns the path of the weights and their figures on valid."""
    folder = runs / settings.name
    folder.mkdir(parents=True, exist_ok=True)
    collection = collect([Path(path) for path in settings.data], settings.held_back)
    board = SummaryWriter(str(folder))
    try:
        run = Run(settings, folder, device, collection, board, say)
        say(
            f"data: {', '.join(collection.names)}; {len(collection.train)} stills and {len(collection.sequences)} "
            f"sequences to train on, {len(collection.valid)} stills to choose by"
        )
        return _stages(run)
    finally:
        board.close()


def _stages(run: Run) -> tuple[Path, dict[str, Any]]:
    torch.manual_seed(run.settings.seed)
    collection = run.collection
    sequences = [sequence for sequence in collection.sequences if sequence.label is not None]
    pictures = [*collection.train, *sequence_stills(sequences)]
    valid = [still for still in collection.valid if still.label is not None]
    network = Network(len(EMOTIONS))
    log_samples(run.board, [still.image for still in pictures[:256]])

    # stage 1: the spatial stream
    _spatial(run, network, pictures, valid)

    # landmarks, once, with the run-time code
    cache = run.folder.parent / "cache"
    landmarks = _landmarks(run, pictures, cache, "train")
    valid_landmarks = _landmarks(run, valid, cache, "valid")

    # stage 2: everything after it, on clips of cached features
    _clips(run, network, sequences, pictures, landmarks, valid, valid_landmarks)

    # stage 3: all of it together
    def evaluate(candidate: Network) -> CategoryScore:
        return score_prediction(predict_stills(candidate, valid, valid_landmarks, Preprocessing(), run.device), valid)

    joint = JointSettings(
        run.settings.joint_epochs,
        run.settings.batch,
        run.settings.lr / 10,
        run.settings.weight_decay,
        size=run.settings.full_size,
        weights=run.loss_weights,
        seed=run.settings.seed,
    )
    train_joint(network, pictures, landmarks, evaluate, joint, run.folder / "joint.safetensors", run.log, run.device)
    return _finish(run, network, valid, valid_landmarks)


def _spatial(run: Run, network: Network, pictures: Sequence[Still], valid: Sequence[Still]) -> None:
    given = run.settings
    settings = SpatialSettings(
        epochs=given.epochs,
        batch=given.batch,
        lr=given.lr,
        schedule=given.schedule,
        weight_decay=given.weight_decay,
        mixup=given.mixup,
        sizes=((given.small_share, given.small_size), (1.0, given.full_size)),
        category_weight=given.category_weight,
        valence_weight=given.valence_weight,
        arousal_weight=given.arousal_weight,
        patience=given.patience,
        seed=given.seed,
    )
    still = StillNetwork(SpatialEncoder(), len(EMOTIONS))
    train_spatial(still, pictures, valid, settings, run.folder / "spatial.safetensors", run.log, run.device)
    network.spatial.load_state_dict(still.encoder.state_dict())


def _landmarks(run: Run, stills: Sequence[Still], cache: Path, name: str) -> np.ndarray:
    if not run.settings.landmarks:
        return np.full((len(stills), 205), np.nan, np.float32)
    return landmark_cache([still.image for still in stills], cache, name)


def _clips(
    run: Run,
    network: Network,
    sequences: Sequence[Any],
    pictures: Sequence[Still],
    landmarks: np.ndarray,
    valid: Sequence[Still],
    valid_landmarks: np.ndarray,
) -> None:
    rng = np.random.default_rng(run.settings.seed)
    plans = [plan_stills(pictures, network.length)]
    if sequences:
        first = len(pictures) - sum(len(sequence.images) for sequence in sequences)
        plans.append(plan_sequences(sequences, first, network.length, SEQUENCE_VERSIONS, rng))
    settings = ClipSettings(
        epochs=run.settings.clip_epochs,
        patience=run.settings.patience,
        mixup=run.settings.mixup,
        weights=run.loss_weights,
        seed=run.settings.seed,
    )
    bank = build_bank(
        network,
        [still.image for still in pictures],
        landmarks,
        run.settings.views,
        run.settings.full_size,
        SMALL_MOTION,
        run.device,
    )
    known = still_bank(network, valid, valid_landmarks, Preprocessing(), run.device)
    labels = labels_of(valid)
    plan = join(plans)
    log_clips(run.board, [still.image for still in pictures], plan.pictures, SMALL_MOTION)
    checkpoint = run.folder / "clips.safetensors"
    train_clips(network, bank, plan, known, labels, settings, checkpoint, run.log, run.device)


def _finish(run: Run, network: Network, valid: Sequence[Still], landmarks: np.ndarray) -> tuple[Path, dict[str, Any]]:
    labels = torch.tensor(labels_of(valid))
    prediction = predict_stills(network, valid, landmarks, Preprocessing(), run.device)
    network.temperature.fill_(fit_temperature(prediction.logits.cpu(), labels))
    probabilities = network.probabilities(prediction)
    result = score_prediction(prediction, valid)
    log_confusion(run.board, result)
    metrics = report(result, MAJORITY_RULE, probabilities, valid)
    path = run.folder / "stemo_base.safetensors"
    facts = WeightFacts(trained=True, training_data=", ".join(run.collection.names), metrics={"valid": metrics})
    facts = replace(facts, metrics={**facts.metrics, "settings": asdict(run.settings)})
    save_weights(path, network, facts)
    return path, metrics
