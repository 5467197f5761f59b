"""What the network takes for a new frame, by what runs it, by how many faces and by how many frames at once."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from typing import NamedTuple

import torch

from stemo.errors import ConfigError, StemoError, WeightsError
from stemo.modes.benchmark.output import Say
from stemo.network.model import LANDMARK_FEATURES
from stemo.network.preprocessing import PICTURE_SIZE
from stemo.network.streaming import Observation, StreamReader
from stemo.recognizer import Recognizer, turn_threads

WARM_UP, REPEATS = 10, 60
FRAME = 0.04  # seconds from one frame to the next


class Load(NamedTuple):
    """What is read: so many ``faces``, each in so many ``frames`` at once; live is frame by frame."""

    faces: int
    frames: int = 1

    def __str__(self) -> str:
        faces = f"{self.faces} face{'s' if self.faces > 1 else ''}"
        return f"{faces} live" if self.frames == 1 else f"{faces} in {self.frames} frames at once"

    @property
    def threads(self) -> int | None:
        """Those of the network: live, where no stage works beside it, it has those that a stage gets in its turn."""
        return turn_threads(scene=False) if self.frames == 1 else None


def usual_loads(batch: int) -> list[Load]:
    """One face and six in one frame, as live, and one face in ``batch`` frames at once, as in files."""
    return list(dict.fromkeys([Load(1), Load(1, batch), Load(6)]))


def network_times(recognizer: Recognizer, say: Say, loads: Sequence[Load]) -> dict[str, dict[str, float]]:
    """Median milliseconds for a new frame, a full buffer behind it: by backend, by load in words.

    The backends are those that can run this network on this device, the default first; of the others it is said why
    they are left out.
    Raises :class:`WeightsError` for an 8-bit twin that is not as it was measured, where the recognizer runs it.
    """
    times = {}
    for backend in ("int8", "onnx", "torch"):
        try:
            readers = [recognizer.stream(backend, load.threads) for load in loads]
        except _hindrances(backend, recognizer) as error:
            say(f"{'network:':<14}{backend} is left out: {error}")
        else:
            times[backend] = {str(load): _time(reader, load) for load, reader in zip(loads, readers, strict=True)}
    return times


def _hindrances(backend: str, recognizer: Recognizer) -> tuple[type[StemoError], ...]:
    """The errors that only mean that ``backend`` is not measured."""
    # a twin that nobody asked for may be missing: it did not come with a copy of the weights alone
    return (ConfigError,) if backend == recognizer.engine else (ConfigError, WeightsError)


def _time(reader: StreamReader, load: Load) -> float:
    """Milliseconds for one frame of the ``load``."""
    faces, frames = load
    generator = torch.Generator().manual_seed(0)
    pictures = torch.randint(0, 255, (faces, PICTURE_SIZE, PICTURE_SIZE, 3), dtype=torch.uint8, generator=generator)
    landmarks = torch.randn(faces, LANDMARK_FEATURES, generator=generator)
    seen = [Observation(place, pictures[place], landmarks[place]) for place in range(faces)]
    taken = []
    for index in range(0, (WARM_UP + REPEATS) * frames, frames):
        group = [(seen, place * FRAME) for place in range(index, index + frames)]
        started = time.perf_counter()
        reader.read_all(group)
        taken.append((time.perf_counter() - started) * 1e3 / frames)
    return statistics.median(taken[WARM_UP:])
