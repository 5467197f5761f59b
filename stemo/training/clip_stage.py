"""Stage 2: temporal, landmark, fusion and head parts on clips of cached per-frame features."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from torch import Tensor

from stemo.network.clip_buffer import turns
from stemo.network.model import FrameFeatures, Network, Prediction
from stemo.records import EMOTIONS
from stemo.training.boards import Board, show_epoch
from stemo.training.clips import ClipPlan, draw_clips
from stemo.training.divergence import check_epoch
from stemo.training.feature_bank import FeatureBank
from stemo.training.metrics import CategoryReadings
from stemo.training.optim import WeightAverage, descend, make_optimiser, set_rate
from stemo.training.origin import Origin
from stemo.training.progress import Progress
from stemo.training.reading_loss import reading_loss
from stemo.training.schedules import Schedule, make_schedule
from stemo.training.tally import Tally

FROZEN = ("spatial", "place")


@dataclass(frozen=True, slots=True)
class ClipSettings:
    """Settings of the stage; ``weights`` are those of the category, valence and arousal losses."""

    epochs: int = 3
    batch: int = 256
    lr: float = 1e-3
    weight_decay: float = 1e-2
    optimiser: str = "adamw"
    schedule: str = "cosine"
    warmup: float = 0.1
    average: float = 0.99
    clip: float = 5.0
    mixup: float = 0.2
    weights: tuple[float, float, float] = (0.5, 1.0, 1.0)
    patience: int = 10
    labels: tuple[str, ...] = EMOTIONS
    shift: tuple[float, ...] = ()
    seed: int = 0


def train_clips(
    network: Network,
    bank: FeatureBank,
    plan: ClipPlan,
    valid: FeatureBank,
    valid_labels: Sequence[int],
    settings: ClipSettings,
    checkpoint: Path,
    board: Board,
    device: torch.device,
    origin: Origin | None = None,
) -> float:
    """Train all but the spatial stream in place, to the averaged weights that are best on ``valid`` (one view each).

    Returns the valid accuracy in [0, 1]. Continues from ``checkpoint`` where it exists and rests on the same spatial
    stream as ``origin``, which it says. Raises :class:`ConfigError` where the training diverges.
    """
    network.to(device)
    for name in FROZEN:
        getattr(network, name).requires_grad_(False)
    optimiser = make_optimiser([network], settings.lr, settings.weight_decay, settings.optimiser)
    progress = Progress(network, optimiser, settings.average, checkpoint, origin)
    average = progress.average
    schedule = make_schedule(settings.schedule, settings.warmup, progress.facts.get("schedule"))
    while progress.goes_on(settings.epochs, settings.patience):
        started = time.monotonic()
        tally = _epoch(network, average, optimiser, schedule, bank, plan, settings, progress.epoch, device)
        readings = read_bank(average.module, valid, valid_labels, device, settings.labels)
        check_epoch("clip", progress.epoch + 1, tally.loss, average.module, readings)
        progress.judge(readings.score.accuracy)
        schedule.observe(readings.score.accuracy)
        speed = len(plan.pictures) / (time.monotonic() - started)
        progress.save({"schedule": schedule.state()})  # before the curves, which a full disk may refuse
        done = tally.epoch(optimiser.param_groups[0]["lr"], speed)
        show_epoch(board, "clip", done, average.module, progress.epoch)
        board.readings("clip", readings, progress.epoch)
    network.requires_grad_(True)
    return progress.finish()


def _epoch(
    network: Network,
    average: WeightAverage,
    optimiser: torch.optim.Optimizer,
    schedule: Schedule,
    bank: FeatureBank,
    plan: ClipPlan,
    settings: ClipSettings,
    epoch: int,
    device: torch.device,
) -> Tally:
    rng = np.random.default_rng((settings.seed, epoch))
    torch.manual_seed(settings.seed * 1000 + epoch)
    order = rng.permutation(len(plan.pictures))
    steps = max(1, len(order) // settings.batch)
    network.train()
    tally = Tally(device)
    for step in range(steps):
        set_rate(optimiser, settings.lr * schedule.factor((epoch + step / steps) / settings.epochs))
        chosen = order[step * settings.batch : (step + 1) * settings.batch]
        clip = draw_clips(bank, plan.pictures[chosen], rng)
        features = encode_landmarks(network, FrameFeatures(*(part.to(device) for part in clip)))
        share = float(rng.beta(settings.mixup, settings.mixup)) if settings.mixup else 1.0
        other = torch.from_numpy(rng.permutation(len(chosen)))
        mixed = FrameFeatures(*(torch.lerp(part[other], part, share) for part in features))
        targets = [part[chosen].to(device) for part in (plan.category, plan.valence, plan.arousal)]
        targets = [torch.lerp(part[other], part, share) for part in targets]
        predicted = network.read_clip(mixed)
        loss = reading_loss(predicted, targets, settings.weights, settings.shift)
        norm = descend(loss, network, optimiser, average, settings.clip)
        tally.add(loss, predicted.logits, targets[0], norm)
    return tally


def encode_landmarks(network: Network, clip: FrameFeatures) -> FrameFeatures:
    """Replace raw landmark features (b t 205) by their encoding (b t 128)."""
    batch = clip.landmark.shape[0]
    encoded = network.landmark(rearrange(clip.landmark, "b t f -> (b t) f"))
    return clip._replace(landmark=rearrange(encoded, "(b t) f -> b t f", b=batch))


@torch.inference_mode()
def predict_bank(network: Network, bank: FeatureBank, device: torch.device, batch: int = 512) -> Prediction:
    """Read each picture's views in turns as a clip of itself, which is what a run on one picture does."""
    network.eval()
    views = turns(network.length)
    found = []
    for start in range(0, len(bank.average), batch):
        part = slice(start, start + batch)
        average, maximum = (known[part][:, views].float().to(device) for known in (bank.average, bank.maximum))
        landmark = network.landmark(bank.landmarks[part].to(device))
        clip = FrameFeatures(average, maximum, repeat(landmark, "b c -> b t c", t=network.length))
        found.append(network.read_clip(clip))
    return Prediction(*(torch.cat(parts) for parts in zip(*found, strict=True)))


def read_bank(
    network: Network,
    bank: FeatureBank,
    truth: Sequence[int],
    device: torch.device,
    labels: tuple[str, ...] = EMOTIONS,
) -> CategoryReadings:
    """The readings of a bank's pictures, of class indices ``truth`` (n,)."""
    probabilities = network.probabilities(predict_bank(network, bank, device))
    return CategoryReadings(np.array(truth, np.int64), probabilities.cpu().numpy(), labels)


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """The temperature that minimises the negative log-likelihood (Guo et al., ICML 2017): logits (n k), labels (n,)."""
    candidates = torch.logspace(-0.7, 0.7, 281)
    losses = torch.stack([F.cross_entropy(logits / value, labels) for value in candidates])
    return float(candidates[losses.argmin()])
