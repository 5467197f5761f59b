"""Stage 3: a short fine-tuning of the whole network, pixels to heads, on stills held for the length of the buffer."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from einops import repeat
from torch import Tensor

from stemo.network.model import FrameFeatures, Network
from stemo.network.preprocessing import Preprocessing
from stemo.training.augment import DEFAULT_STRENGTH, Strength, erase, vary_light, warp_still
from stemo.training.boards import Board, Epoch, show_epoch
from stemo.training.datasets import Still
from stemo.training.metrics import CategoryReadings
from stemo.training.optim import WeightAverage, descend, make_optimiser, set_rate
from stemo.training.origin import Origin
from stemo.training.progress import Progress
from stemo.training.reading_loss import reading_loss
from stemo.training.schedules import Cosine

Read = Callable[[Network], CategoryReadings]


@dataclass(frozen=True, slots=True)
class JointSettings:
    """Settings of the stage; the learning rate is small, so that the stages before are refined and not replaced."""

    epochs: int = 1
    batch: int = 128
    lr: float = 1e-4
    weight_decay: float = 1e-2
    warmup: float = 0.1
    average: float = 0.995
    clip: float = 5.0
    size: int = 112
    weights: tuple[float, float, float] = (0.5, 1.0, 1.0)
    shift: tuple[float, ...] = ()
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
    and rests on the same weights as ``origin``, which it says.
    """
    network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = make_optimiser([network], settings.lr, settings.weight_decay)
    progress = Progress(network, optimiser, settings.average, checkpoint, origin)
    average = progress.average
    if not progress.facts:
        readings = read(network)
        progress.top = readings.score.accuracy
        board.readings("joint", readings, 0)
    while progress.epoch < settings.epochs:
        started = time.monotonic()
        loss, norms = _epoch(network, average, optimiser, stills, landmarks, settings, progress.epoch, device)
        readings = read(average.module)
        progress.judge(readings.score.accuracy)
        speed = len(stills) / (time.monotonic() - started)
        progress.save()  # before the curves, which a full disk may refuse
        done = Epoch(loss, norms, optimiser.param_groups[0]["lr"], speed)
        show_epoch(board, "joint", done, average.module, progress.epoch)
        board.readings("joint", readings, progress.epoch)
    return progress.finish()


def _epoch(
    network: Network,
    average: WeightAverage,
    optimiser: torch.optim.Optimizer,
    stills: Sequence[Still],
    landmarks: np.ndarray,
    settings: JointSettings,
    epoch: int,
    device: torch.device,
) -> tuple[float, Tensor]:
    schedule = Cosine(settings.warmup)
    rng = np.random.default_rng((settings.seed, epoch))
    generator = torch.Generator().manual_seed(settings.seed * 1000 + epoch)
    torch.manual_seed(settings.seed * 1000 + epoch)
    order = rng.permutation(len(stills))
    steps = max(1, len(order) // settings.batch)
    network.train()
    total, norms = 0.0, []
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
        loss = reading_loss(network.read_clip(clip), targets, settings.weights, settings.shift)
        norms.append(descend(loss, network, optimiser, average, settings.clip))
        total += loss.item()
    return total / steps, torch.stack(norms)
