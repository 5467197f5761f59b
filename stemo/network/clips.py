"""Reading clips out of pictures that are all there at once, as scoring does; streams are read in ``streaming.py``."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from stemo.network.engine import Engine
from stemo.network.model import FaceNetwork, FrameFeatures, Prediction, calibrated
from stemo.network.preprocessing import Preprocessing


class ClipReader(Protocol):
    """Reads clips of ``length`` frames."""

    length: int

    def read(self, pictures: Tensor, landmarks: Tensor, places: Tensor) -> Prediction:
        """Frames (n 224 224 3) uint8 and (n 205), and which of them each clip shows (b t), oldest first."""
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
        """As in :class:`ClipReader`; each frame is encoded once."""
        frames = self._preprocessing.fitted(pictures).to(self._device)
        features = self._engine.encode_frames(frames, landmarks.to(self._device))
        places = places.to(self._device)
        return self._engine.read_clip(FrameFeatures(*(part[places] for part in features)))

    def probabilities(self, prediction: Prediction) -> Tensor:
        """As in :class:`ClipReader`."""
        return calibrated(prediction.logits, self._temperature)
