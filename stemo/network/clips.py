"""Reading clips out of pictures that are all there at once, as scoring does; streams are read in ``streaming.py``."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from stemo.network.clip_buffer import turns
from stemo.network.engine import Engine
from stemo.network.model import FaceNetwork, FrameFeatures, Prediction, calibrated
from stemo.network.preprocessing import Preprocessing


class ClipReader(Protocol):
    """Reads clips of ``length`` frames."""

    length: int

    def read(self, pictures: Tensor, landmarks: Tensor, places: Tensor) -> Prediction:
        """Frames (n 224 224 3) uint8 and (n 205), and which of them each clip shows (b t), oldest first.

        They are seen as in a stream: every other place mirrored, the newest as it is.
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
        pictures, landmarks, places = both_views(pictures, landmarks, places)
        frames = self._preprocessing.fitted(pictures).to(self._device)
        features = self._engine.encode_frames(frames, landmarks.to(self._device))
        places = places.to(self._device)
        return self._engine.read_clip(FrameFeatures(*(part[places] for part in features)))

    def probabilities(self, prediction: Prediction) -> Tensor:
        """As in :class:`ClipReader`."""
        return calibrated(prediction.logits, self._temperature)


def both_views(pictures: Tensor, landmarks: Tensor, places: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What :meth:`ClipReader.read` takes, with the mirror images as frames of their own, shown in every other place.

    A clip of one place is as it was.
    """
    length = places.shape[-1]
    if length == 1:
        return pictures, landmarks, places
    both = torch.cat([pictures, pictures.flip(2)])
    return both, torch.cat([landmarks, landmarks]), places + len(pictures) * turns(length).to(places.device)
