"""One training run: spatial stream, then clips, then a short joint fine-tuning, calibration and the final weights.

Each stage keeps a checkpoint in the run's folder and continues from it; a finished stage is skipped. Where the stage
before it has found other weights since, it begins anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from stemo.config import TrainingSettings
from stemo.network.architectures import build, describe
from stemo.network.frame_network import FrameNetwork
from stemo.network.model import LANDMARK_FEATURES, FaceNetwork, Network
from stemo.network.preprocessing import Preprocessing
from stemo.training.augment import Strength
from stemo.training.boards import TensorBoard
from stemo.training.category_loss import prior_shift
from stemo.training.class_set import class_set
from stemo.training.clip_stage import ClipSettings, train_clips
from stemo.training.clips import join, plan_sequences, plan_stills
from stemo.training.collection import collect
from stemo.training.datasets import Still
from stemo.training.distillation import mixed, soften
from stemo.training.distributed import World, joined, own_device
from stemo.training.evaluation import Pictures, category_readings, labels_of, predict_stills, still_bank
from stemo.training.feature_bank import build_bank
from stemo.training.joint_stage import JointSettings, train_joint
from stemo.training.keeping import make_place
from stemo.training.landmark_cache import landmark_cache
from stemo.training.layouts.sequences import sequence_stills
from stemo.training.metrics import CategoryReadings
from stemo.training.origin import Origin, check_origin, of_stills, origin_of, resting_on, rests_on_another
from stemo.training.result import Result, finish
from stemo.training.run_state import Run, Say
from stemo.training.spatial_stage import SpatialSettings, train_spatial
from stemo.training.starting import start
from stemo.training.state import epochs_done, load_state

SMALL_MOTION = Strength(rotation=4, scale=0.05, shift=0.03, aspect=0.02, flip=0.0, degrade=0.15, light=0.12, erase=0.05)
SEQUENCE_VERSIONS = 8
CACHE = "cache"  # beside the runs: readings of pictures that any of them may use
STAGES = SPATIAL, CLIPS, JOINT = "spatial.safetensors", "clips.safetensors", "joint.safetensors"  # their checkpoints


def train(settings: TrainingSettings, runs: Path, device: torch.device, say: Say) -> Result | None:
    """Run all stages below ``runs / settings.name``; returns the path of the weights and their figures on valid.

    Of several processes started by torchrun, only the first returns a result. Raises :class:`ConfigError` where the
    folder holds another training, and :class:`OutputError` where it cannot be written to, both before the first stage.
    """
    with joined(device) as world:
        return _train(settings, runs, own_device(device), world, say if world.first else _silent)


def _silent(_: str) -> None:
    """What the other processes say."""


def _train(settings: TrainingSettings, runs: Path, device: torch.device, world: World, say: Say) -> Result | None:
    folder = runs / settings.name
    labels = class_set(settings.classes).labels
    collection = collect([Path(path) for path in settings.data], settings.held_back, labels)
    origin = origin_of(settings, collection)
    for stage in STAGES:
        check_origin(folder / stage, origin)
    make_place(folder)
    if settings.landmarks or settings.teachers:
        make_place(runs / CACHE)
    with TensorBoard(folder if world.first else folder / f"process_{world.rank}", say) as board:
        run = Run(settings, folder, device, world, collection, board, say, list(collection.names), origin)
        say(
            f"data: {', '.join(collection.names)}; {len(collection.train)} stills and {len(collection.sequences)} "
            f"sequences to train on, {len(collection.valid)} stills to choose by: {collection.rule}"
        )
        if collection.left_out:
            say(f"left out: {', '.join(f'{n} {what}' for what, n in collection.left_out.most_common())}")
        if collection.untried:
            say(f"no stills to choose by: {', '.join(collection.untried)}; how well these are read will not be known")
        return _stages(run)


def _stages(run: Run) -> Result | None:
    torch.manual_seed(run.settings.seed)
    collection = run.collection
    sequences = [sequence for sequence in collection.sequences if sequence.label is not None]
    pictures = [*collection.train, *sequence_stills(sequences, collection.labels)]
    valid = [still for still in collection.valid if still.label is not None]
    run.world.check_batch(min(run.settings.batch, len(pictures)))
    network = build(run.settings.architecture, run.settings.size, len(collection.labels))
    network.to(run.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    if source := run.settings.start_from:
        run.begun = start(network, source, collection.labels, pictures, run.settings.seed, run.say)
        run.names += run.begun.names
    run.adjustment = prior_shift(pictures, run.settings.logit_adjustment)
    if run.settings.teachers:
        pictures = _taught(run, pictures)
    run.shift = prior_shift(pictures, run.settings.prior_strength)
    run.board.samples(Pictures(pictures[:256]))

    # stage 1: what one frame shows
    still = _spatial(run, network, pictures, valid)
    run.world.leave()
    if not run.world.first:
        return None
    if not isinstance(network, Network):
        return finish(run, network, valid, np.full((len(valid), LANDMARK_FEATURES), np.nan, np.float32))

    # landmarks, once, with the run-time code
    cache = run.folder.parent / CACHE
    landmarks = _landmarks(run, pictures, cache, "train")
    valid_landmarks = _landmarks(run, valid, cache, "valid")

    # stage 2: everything after it, on clips of cached features
    _clips(run, network, still.head, sequences, pictures, landmarks, valid, valid_landmarks)

    # stage 3: all of it together
    def read(candidate: Network) -> CategoryReadings:
        prediction = predict_stills(candidate, valid, valid_landmarks, Preprocessing(), run.device)
        return category_readings(candidate.probabilities(prediction), valid, collection.labels)

    joint = JointSettings(
        run.settings.joint_epochs,
        run.settings.batch,
        run.settings.lr / 10,
        run.settings.weight_decay,
        run.settings.optimiser,
        run.settings.schedule,
        patience=run.settings.patience,
        size=run.settings.full_size,
        weights=run.loss_weights,
        shift=run.shift,
        seed=run.settings.seed,
    )
    network.spatial.freeze(run.settings.frozen)
    origin = _origin_after(run, network, JOINT)
    train_joint(network, pictures, landmarks, read, joint, run.folder / JOINT, run.board, run.device, origin)
    return finish(run, network, valid, valid_landmarks)


def _taught(run: Run, pictures: Sequence[Still]) -> list[Still]:
    settings, cache = run.settings, run.folder.parent / CACHE
    run.say(f"teachers: {', '.join(settings.teachers)}, {settings.teacher_share:.0%} of the votes")
    teachers = [Path(path) for path in settings.teachers]
    return soften(pictures, teachers, settings.teacher_share, run.collection.labels, cache, run.device)


def _spatial(run: Run, network: FaceNetwork, pictures: Sequence[Still], valid: Sequence[Still]) -> FrameNetwork:
    """Train ``network``, or its spatial stream under a head of its own; returns what was trained."""
    given, most = run.settings, describe(run.settings.architecture, run.settings.size).input_size
    settings = SpatialSettings(
        epochs=given.epochs,
        batch=given.batch,
        lr=given.lr,
        schedule=given.schedule,
        optimiser=given.optimiser,
        weight_decay=given.weight_decay,
        mixup=given.mixup,
        sizes=((given.small_share, min(given.small_size, most)), (1.0, min(given.full_size, most))),
        weights=run.loss_weights,
        patience=given.patience,
        labels=run.collection.labels,
        shift=run.shift,
        seed=given.seed,
    )
    if isinstance(network, Network):
        network.spatial.freeze(given.frozen)
        network = FrameNetwork(network.spatial, network.spatial.channels, network.classes)
    assert isinstance(network, FrameNetwork)
    checkpoint = run.folder / SPATIAL
    train_spatial(
        network, pictures, valid, settings, checkpoint, run.board, run.device, run.world, of_stills(run.origin)
    )
    return network


def _landmarks(run: Run, stills: Sequence[Still], cache: Path, name: str) -> np.ndarray:
    if not run.settings.landmarks:
        return np.full((len(stills), LANDMARK_FEATURES), np.nan, np.float32)
    return landmark_cache(Pictures(stills), cache, name)


def _clips(
    run: Run,
    network: Network,
    head: nn.Module,
    sequences: Sequence[Any],
    pictures: Sequence[Still],
    landmarks: np.ndarray,
    valid: Sequence[Still],
    valid_landmarks: np.ndarray,
) -> None:
    if not run.settings.clip_epochs:
        return
    checkpoint = run.folder / CLIPS
    origin = _origin_after(run, network.spatial, CLIPS)
    if epochs_done(checkpoint) >= run.settings.clip_epochs and not rests_on_another(checkpoint, origin):
        load_state(checkpoint, {"best": network}, None)
        return
    settings = ClipSettings(
        epochs=run.settings.clip_epochs,
        optimiser=run.settings.optimiser,
        schedule=run.settings.schedule,
        patience=run.settings.patience,
        mixup=run.settings.mixup,
        weights=run.loss_weights,
        shift=run.shift,
        labels=run.collection.labels,
        seed=run.settings.seed,
    )
    bank = build_bank(
        network,
        Pictures(pictures),
        landmarks,
        run.settings.views,
        run.settings.full_size,
        SMALL_MOTION,
        run.device,
        head=head,
    )
    assert bank.readings is not None
    # what the stream has seen it knows too well: votes alone would teach heads on its features to trust them blindly
    pictures = mixed(pictures, bank.readings.numpy(), run.settings.clip_teacher_share)
    rng = np.random.default_rng(run.settings.seed)
    plans = [plan_stills(pictures, network.length)]
    if sequences:
        first = len(pictures) - sum(len(sequence.images) for sequence in sequences)
        plans.append(plan_sequences(sequences, first, network.length, SEQUENCE_VERSIONS, rng, run.collection.labels))
    known = still_bank(network, valid, valid_landmarks, Preprocessing(), run.device)
    labels = labels_of(valid)
    plan = join(plans)
    run.board.clips(Pictures(pictures), plan.pictures, SMALL_MOTION)
    train_clips(network, bank, plan, known, labels, settings, checkpoint, run.board, run.device, origin)


def _origin_after(run: Run, network: nn.Module, stage: str) -> Origin:
    """The origin of ``stage``, which begins with ``network``; says where its checkpoint began with another."""
    origin = resting_on(run.origin, network)
    if rests_on_another(run.folder / stage, origin):
        run.say(f"{Path(stage).stem}: begins anew, as the stage before it has changed")
    return origin
