"""Stage 1: the spatial stream on stills, with a light head. The longest stage, resumable after every epoch."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from stemo.network.frame_network import FrameNetwork
from stemo.network.preprocessing import Preprocessing
from stemo.records import EMOTIONS
from stemo.training.augment import DEFAULT_STRENGTH, Strength, erase, vary_light, warp_still
from stemo.training.boards import Board, show_epoch
from stemo.training.datasets import Still
from stemo.training.distributed import ALONE, World
from stemo.training.divergence import check_epoch
from stemo.training.metrics import CategoryReadings
from stemo.training.optim import WeightAverage, descend, make_optimiser, set_rate
from stemo.training.origin import Origin
from stemo.training.pictures import fit
from stemo.training.progress import Progress
from stemo.training.reading_loss import Weights, reading_loss
from stemo.training.schedules import Schedule, make_schedule
from stemo.training.tally import Tally

PREPROCESSING = Preprocessing()


@dataclass(frozen=True, slots=True)
class SpatialSettings:
    """``sizes`` gives the input size of each epoch's share: ((0.75, 80), (1.0, 112)) is 80 px until 75 %.

    ``weights`` and ``shift`` are those of :func:`reading_loss`.
    """

    epochs: int = 24
    batch: int = 128
    lr: float = 2e-3
    weight_decay: float = 1e-2
    optimiser: str = "adamw"
    schedule: str = "cosine"
    warmup: float = 0.08
    sizes: tuple[tuple[float, int], ...] = ((0.8, 80), (1.0, 112))
    mixup: float = 0.2
    average: float = 0.998
    clip: float = 5.0
    weights: Weights = (0.5, 1.0, 1.0)
    patience: int = 10
    labels: tuple[str, ...] = EMOTIONS
    shift: tuple[float, ...] = ()
    seed: int = 0
    strength: Strength = DEFAULT_STRENGTH


@dataclass(slots=True)
class Batch:
    """Pictures (n 3 h w) and their targets: distribution (n 7), valence (n), arousal (n)."""

    images: Tensor
    category: Tensor
    valence: Tensor
    arousal: Tensor


def train_spatial(
    network: FrameNetwork,
    train: Sequence[Still],
    valid: Sequence[Still],
    settings: SpatialSettings,
    checkpoint: Path,
    board: Board,
    device: torch.device,
    world: World = ALONE,
    origin: Origin | None = None,
) -> float:
    """Train ``network`` in place to its averaged, best-on-valid weights; returns the valid accuracy in [0, 1].

    With a ``world`` of several processes each takes its share of every batch; the first one judges, shows and saves.
    Continues from ``checkpoint`` where it exists: every epoch draws from its own seed, so the continuation is the same
    as an uninterrupted run. The checkpoint says its ``origin``. Raises :class:`ConfigError` where training diverges.
    """
    network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = make_optimiser([network], settings.lr, settings.weight_decay, settings.optimiser)
    progress = Progress(network, optimiser, settings.average, checkpoint, origin)
    average = progress.average
    schedule = make_schedule(settings.schedule, settings.warmup, progress.facts.get("schedule"))
    shared = world.share(network, device)
    while progress.goes_on(settings.epochs, settings.patience):
        started = time.monotonic()
        tally = _epoch(shared, network, average, optimiser, schedule, train, settings, progress.epoch, device, world)
        world.agree_on_buffers(average.module)
        readings = read_stills(average.module, valid, input_size(1.0, settings), device, settings.labels)
        check_epoch("spatial", progress.epoch + 1, tally.loss, average.module, readings, world, device)
        accuracy = world.agreed(readings.score.accuracy, device)
        progress.judge(accuracy)
        schedule.observe(accuracy)
        if world.first:
            speed = len(train) / (time.monotonic() - started)
            progress.save({"schedule": schedule.state()})  # before the curves, which a full disk may refuse
            done = tally.epoch(optimiser.param_groups[0]["lr"], speed)
            show_epoch(board, "spatial", done, average.module, progress.epoch)
            board.readings("spatial", readings, progress.epoch)
    return progress.finish()


def input_size(progress: float, settings: SpatialSettings) -> int:
    """Pixels at ``progress`` in [0, 1] of the training."""
    return next(size for until, size in settings.sizes if progress <= until)


def _epoch(
    shared: nn.Module,
    network: FrameNetwork,
    average: WeightAverage,
    optimiser: torch.optim.Optimizer,
    schedule: Schedule,
    train: Sequence[Still],
    settings: SpatialSettings,
    epoch: int,
    device: torch.device,
    world: World,
) -> Tally:
    steps = max(1, len(train) // settings.batch)
    tally = Tally(device)
    torch.manual_seed(settings.seed * 1000 + epoch)
    network.train()
    size = input_size((epoch + 1) / settings.epochs, settings)
    for step, batch in enumerate(_batches(train, settings, epoch, size, device, world)):
        set_rate(optimiser, settings.lr * schedule.factor((epoch + step / steps) / settings.epochs))
        with torch.autocast(device.type, torch.bfloat16):
            logits, valence, arousal = shared(batch.images)
        predicted = logits.float(), valence.float(), arousal.float()
        targets = batch.category, batch.valence, batch.arousal
        loss = reading_loss(predicted, targets, settings.weights, settings.shift)
        norm = descend(loss, network, optimiser, average, settings.clip)
        tally.add(loss, logits, batch.category, norm)
    return tally


def _batches(
    train: Sequence[Still], settings: SpatialSettings, epoch: int, size: int, device: torch.device, world: World
) -> Iterator[Batch]:
    order = np.random.default_rng((settings.seed, epoch)).permutation(len(train))  # the same in every process
    rng = np.random.default_rng((settings.seed, epoch, world.rank))
    generator = torch.Generator().manual_seed((settings.seed * 1000 + epoch) * 1000 + world.rank)
    for start in range(0, max(1, len(order) - settings.batch + 1), settings.batch):
        chosen = [train[i] for i in world.mine(order[start : start + settings.batch])]
        warped = np.stack([warp_still(still.image, size, settings.strength, rng) for still in chosen])
        images = vary_light(PREPROCESSING(torch.from_numpy(warped)), settings.strength, generator)
        images = erase(images, settings.strength, generator)
        batch = Batch(images, *_targets(chosen))
        yield _to(mix(batch, settings.mixup, rng), device)


def _targets(stills: Sequence[Still]) -> tuple[Tensor, Tensor, Tensor]:
    category = torch.from_numpy(np.stack([still.distribution for still in stills]))
    affect = torch.tensor([(still.valence, still.arousal) for still in stills])
    return category, affect[:, 0], affect[:, 1]


def mix(batch: Batch, alpha: float, rng: np.random.Generator) -> Batch:
    """Mixup (Zhang et al., ICLR 2018) of a batch with itself in another order."""
    if alpha <= 0:
        return batch
    share = float(rng.beta(alpha, alpha))
    other = torch.from_numpy(rng.permutation(len(batch.images)))
    parts = (batch.images, batch.category, batch.valence, batch.arousal)
    return Batch(*(torch.lerp(part[other], part, share) for part in parts))


def _to(batch: Batch, device: torch.device) -> Batch:
    images = batch.images.to(device, memory_format=torch.channels_last)
    return Batch(images, batch.category.to(device), batch.valence.to(device), batch.arousal.to(device))


@torch.inference_mode()
def read_stills(
    network: FrameNetwork,
    stills: Sequence[Still],
    size: int,
    device: torch.device,
    labels: tuple[str, ...] = EMOTIONS,
    batch: int = 256,
) -> CategoryReadings:
    """Read the stills that the scoring rule keeps, each once and once mirrored."""
    kept = [still for still in stills if still.label is not None]
    network.eval()
    found = []
    for start in range(0, len(kept), batch):
        pictures = np.stack([fit(still.image, size) for still in kept[start : start + batch]])
        images = PREPROCESSING(torch.from_numpy(pictures)).to(device)
        with torch.autocast(device.type, torch.bfloat16):
            logits = network(images)[0] + network(images.flip(-1))[0]
        found.append((logits.float() / 2).softmax(-1).cpu().numpy())
    truth = np.array([still.label for still in kept], np.int64)
    return CategoryReadings(truth, np.concatenate(found), labels)
