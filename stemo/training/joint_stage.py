"""Stage 3: a short fine-tuning of the whole network, pixels to heads, on stills held for the length of the buffer."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from einops import repeat

from stemo.network.model import FrameFeatures, Network
from stemo.network.preprocessing import Preprocessing
from stemo.training.augment import DEFAULT_STRENGTH, Strength, erase, vary_light, warp_still
from stemo.training.boards import Board, show_epoch
from stemo.training.datasets import Still
from stemo.training.divergence import check_epoch
from stemo.training.metrics import CategoryReadings
from stemo.training.optim import WeightAverage, descend, make_optimiser, set_rate
from stemo.training.origin import Origin
from stemo.training.progress import Progress
from stemo.training.reading_loss import reading_loss
from stemo.training.schedules import Schedule, make_schedule
from stemo.training.tally import Tally

Read = Callable[[Network], CategoryReadings]


@dataclass(frozen=True, slots=True)
class JointSettings:
    """Settings of the stage; the learning rate is small, so that the stages before are refined and not replaced."""

    epochs: int = 1
    batch: int = 128
    lr: float = 1e-4
    weight_decay: float = 1e-2
    optimiser: str = "adamw"
    schedule: str = "cosine"
    warmup: float = 0.1
    average: float = 0.995
    clip: float = 5.0
    size: int = 112
    weights: tuple[float, float, float] = (0.5, 1.0, 1.0)
    shift: tuple[float, ...] = ()
    patience: int = 10
    seed: int = 0
    strength: Strength = DEFAULT_STRENGTH


def train_joint(
    network: Network,
    stills: Sequence[Still],
    landmarks: np.ndarray,
    read: Read,
    settings: JointSettings,
    checkpoint: Path,
    board: Board,
    device: torch.device,
    origin: Origin | None = None,
) -> float:
    """Fine-tune ``network`` in place; keeps the weights it came with where none are better by what ``read`` reads.

    ``landmarks`` (n 205) belong to ``stills``. Returns the best accuracy. Continues from ``checkpoint`` where it exists
    and rests on the same weights as ``origin``, which it says. Raises :class:`ConfigError` where the training diverges.
    """
    network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = make_optimiser([network], settings.lr, settings.weight_decay, settings.optimiser)
    progress = Progress(network, optimiser, settings.average, checkpoint, origin)
    average = progress.average
    schedule = make_schedule(settings.schedule, settings.warmup, progress.facts.get("schedule"))
    if not progress.facts:
        readings = read(network)
        progress.top = readings.score.accuracy
        board.readings("joint", readings, 0)
    while progress.goes_on(settings.epochs, settings.patience):
        started = time.monotonic()
        tally = _epoch(network, average, optimiser, schedule, stills, landmarks, settings, progress.epoch, device)
        readings = read(average.module)
        check_epoch("joint", progress.epoch + 1, tally.loss, average.module, readings)
        progress.judge(readings.score.accuracy)
        schedule.observe(readings.score.accuracy)
        speed = len(stills) / (time.monotonic() - started)
        progress.save({"schedule": schedule.state()})  # before the curves, which a full disk may refuse
        done = tally.epoch(optimiser.param_groups[0]["lr"], speed)
        show_epoch(board, "joint", done, average.module, progress.epoch)
        board.readings("joint", readings, progress.epoch)
    return progress.finish()


def _epoch(
    network: Network,
    average: WeightAverage,
    optimiser: torch.optim.Optimizer,
    schedule: Schedule,
    stills: Sequence[Still],
    landmarks: np.ndarray,
    settings: JointSettings,
    epoch: int,
    device: torch.device,
) -> Tally:
    rng = np.random.default_rng((settings.seed, epoch))
    generator = torch.Generator().manual_seed(settings.seed * 1000 + epoch)
    torch.manual_seed(settings.seed * 1000 + epoch)
    order = rng.permutation(len(stills))
    steps = max(1, len(order) // settings.batch)
    network.train()
    tally = Tally(device)
    for step in range(steps):
        set_rate(optimiser, settings.lr * schedule.factor((epoch + step / steps) / settings.epochs))
        chosen = order[step * settings.batch : (step + 1) * settings.batch]
        pictures = np.stack([warp_still(stills[i].image, settings.size, settings.strength, rng) for i in chosen])
        images = erase(
            vary_light(Preprocessing()(torch.from_numpy(pictures)), settings.strength, generator),
            settings.strength,
            generator,
        )
        with torch.autocast(device.type, torch.bfloat16):
            parts = network.encode_pictures(images.to(device))
        encoded = network.landmark(torch.from_numpy(landmarks[chosen]).to(device))
        frames = FrameFeatures(parts[0].float(), parts[1].float(), encoded)
        clip = FrameFeatures(*(repeat(part, "b c -> b t c", t=network.length) for part in frames))
        targets = [
            torch.from_numpy(np.stack([stills[i].distribution for i in chosen])).to(device),
            torch.tensor([stills[i].valence for i in chosen], device=device),
            torch.tensor([stills[i].arousal for i in chosen], device=device),
        ]
        predicted = network.read_clip(clip)
        loss = reading_loss(predicted, targets, settings.weights, settings.shift)
        norm = descend(loss, network, optimiser, average, settings.clip)
        tally.add(loss, predicted.logits, targets[0], norm)
    return tally
