"""Reading clips out of pictures that are all there at once, as scoring does; streams are read in ``streaming.py``."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from stemo.network.clip_buffer import turns
from stemo.network.engine import Engine
from stemo.network.model import FaceNetwork, Prediction, calibrated
from stemo.network.preprocessing import Preprocessing, views_in, views_of


class ClipReader(Protocol):
    """Reads clips of ``length`` frames."""

    length: int

    def read(self, pictures: Tensor, landmarks: Tensor, places: Tensor) -> Prediction:
        """Frames (n 224 224 3) uint8 and (n 205), and which of them each clip shows (b t), oldest first.

        They are seen as in a stream: each place in another view.
        """
        ...

    def probabilities(self, prediction: Prediction) -> Tensor:
        """Calibrated probabilities (b k)."""
        ...


class NetworkClips:
    """A :class:`ClipReader` over a network, run by torch or, where given, by an ``engine`` made of it."""

    def __init__(
        self, network: FaceNetwork, preprocessing: Preprocessing, device: torch.device, engine: Engine | None = None
    ) -> None:
        self.length = network.length
        self._engine = engine or network.eval().to(device)
        self._preprocessing, self._device = preprocessing, device
        self._temperature = float(network.temperature)

    @torch.inference_mode()
    def read(self, pictures: Tensor, landmarks: Tensor, places: Tensor) -> Prediction:
        """As in :class:`ClipReader`; each view of a frame is encoded once."""
        shown, views, places = seen_in_turns(places)
        frames = self._preprocessing.fitted(pictures[shown], views_in(self.length, views.tolist()))
        tokens = self._engine.encode(frames.to(self._device), landmarks[shown].to(self._device))
        return self._engine.read(tokens[places.to(self._device)])

    def probabilities(self, prediction: Prediction) -> Tensor:
        """As in :class:`ClipReader`."""
        return calibrated(prediction.logits, self._temperature)


def seen_in_turns(places: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Which frames clips show (b t), as they are seen in a stream: which frames (n) in which views (n), each pair once,
    and which of these each clip shows (b t).
    """
    length = places.shape[-1]
    count = len(views_of(length))
    pairs, shown = (places.cpu() * count + turns(length)).unique(return_inverse=True)
    return pairs // count, pairs % count, shown
