"""Reads a long made video through the whole chain, and prints as JSON what memory that took.

Run as a program, as memory is counted by process: ``python long_stream.py FOLDER FRAMES [hold]``. All is real (decoder,
finder, tracker, alignment, the tiny network, smoothing, drawing, encoder, every data format) but MediaPipe, whose place
:class:`Passers` takes. With ``hold`` something keeps every face's crop, as a leak would.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from stemo.config import RecognitionSettings
from stemo.faces import analyzer
from stemo.faces.detection import Detectors
from stemo.faces.geometry import LEFT_EYE, RIGHT_EYE
from stemo.modes.benchmark.memory import peak_memory
from stemo.modes.video import run_video
from stemo.network.architectures import build
from stemo.network.checkpoint import WeightFacts, save_weights
from stemo.output.video import VideoWriter
from stemo.output.writers import WRITERS
from stemo.recognizer import Recognizer
from stemo.records import Array, Box, Face, Frame, Image

WIDTH, HEIGHT = 96, 64
EARLY = 1000
EVERY, STAYS = 5.0, 1.0  # seconds from one person to the next, and how long each stays
MIDDLE = (96.0, 96.0, 288.0, 288.0)  # where a zoomed look shows the face it was made for


class Passers:
    """Stands for MediaPipe: one person after the other comes, sways and goes; mostly nobody is there."""

    now = 0.0  # seconds: the frame that all look at

    def __init__(self, *_: Any, **__: Any) -> None:
        self._mesh = _mesh()

    def read(self, image: Image) -> list[Face]:
        """The whole picture; windows are not read, so that nobody is found who has gone."""
        return [self._face(Passers.now)] if self.there() and image.shape[:2] == (HEIGHT, WIDTH) else []

    def follow(self, image: Image, face: Face) -> Face | None:  # noqa: ARG002
        """The same where it was."""
        return self._face(Passers.now) if self.there() else None

    def detect(self, image: Image) -> list[Face]:
        """The face in the middle of a window, while somebody is there."""
        return [Face(MIDDLE, 0.9)] if self.there() and image.shape[:2] != (HEIGHT, WIDTH) else []

    def there(self) -> bool:
        return Passers.now % EVERY < STAYS

    def close(self) -> None: ...

    def _face(self, time: float) -> Face:
        left = 20.0 + 10.0 * float(np.sin(time))
        points = self._mesh * np.float32(40.0) + np.array([left, 12.0, 0.0], np.float32)
        box: Box = (left, 12.0, left + 40.0, 52.0)
        return Face(box, 1.0, landmarks=points, blendshapes=np.full(52, 0.1, np.float32), pose=(0.0, 0.0, 0.0))


def _mesh() -> Array:
    """478 points in a square of side 1, eyes apart and level."""
    mesh = np.random.default_rng(0).uniform(0.0, 1.0, (478, 3)).astype(np.float32)
    for eye, x in ((RIGHT_EYE, 0.3), (LEFT_EYE, 0.7)):
        mesh[list(eye), :2] += np.array([x, 0.35]) - mesh[list(eye), :2].mean(0)
    return mesh


def no_detectors(*_: Any, **__: Any) -> Detectors:
    return Detectors(Passers(), Passers())


class Watched(analyzer.FaceAnalyzer):
    """Notes the peak of memory at frame :data:`EARLY`."""

    early: float
    held: list[list[Face]] | None

    def find(self, frame: Frame) -> list[Face]:
        Passers.now = frame.time
        if frame.index == EARLY:
            Watched.early = peak_memory()
        return super().find(frame)

    def describe(self, frame: Frame, faces: Sequence[Face]) -> list[Face]:
        described = super().describe(frame, faces)
        if Watched.held is not None:
            Watched.held.append(described)
        return described


def recognizer(folder: Path) -> Recognizer:
    """One with the tiny network, untrained, and nothing of MediaPipe."""
    weights = folder / "tiny.safetensors"
    save_weights(weights, build("stemo", "tiny"), WeightFacts(name="tiny", size="tiny"))
    made = Recognizer(weights=weights)
    made.analyzer = partial(Watched, 1)  # type: ignore[assignment]
    return made


def make_long(path: Path, frames: int) -> None:
    """A video in which a gray square wanders, so slowly that nothing looks like a cut."""
    with VideoWriter(path, WIDTH, HEIGHT, Fraction(25)) as writer:
        for index in range(frames):
            picture = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
            picture[20:40, 10 + index // 8 % 60 :][:, :20] = 160
            writer.write(picture, index / 25)


def main(folder: Path, frames: int, hold: bool) -> None:
    """Read, and print what was said, and the early and the last peak in MB."""
    make_long(folder / "long.mp4", frames)
    analyzer.Landmarker = analyzer.Follower = Passers  # type: ignore[misc, assignment]
    analyzer.open_detectors = no_detectors  # type: ignore[assignment]
    Watched.early, Watched.held = 0.0, [] if hold else None
    settings, said = RecognitionSettings(format=",".join(WRITERS)), []
    given = recognizer(folder)
    run_video(str(folder / "long.mp4"), folder / "read.mp4", settings, False, False, said.append, recognizer=given)
    told = {"said": said[0], "early_mb": Watched.early, "last_mb": peak_memory()}
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), "hold" in sys.argv[3:])
