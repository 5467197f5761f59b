"""Why the network reads what it reads: the places of a face, the frames and the landmarks that speak for a category.

- places: Grad-CAM on the last feature map (Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via
  Gradient-based Localization", ICCV 2017)
- frames: the weights of the network's own attention over its clip
- landmarks: gradient times input (Shrikumar et al., "Learning Important Features Through Propagating Activation
  Differences", ICML 2017), the input measured from the average face that the network's normalisation holds

Frames come one after the other, as in use, and each is encoded once: memory does not grow with a video.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from einops import rearrange, reduce, repeat
from torch import Tensor, nn

from stemo.faces.geometry import BLENDSHAPES, KEY_POINTS
from stemo.network.clip_buffer import ClipBuffer, gone, views_at
from stemo.network.model import FaceNetwork, Prediction
from stemo.network.preprocessing import Preprocessing, View, views_in
from stemo.network.streaming import Observation, stack_landmarks


class Explanation(NamedTuple):
    """What speaks for one category in one frame, all on the CPU.

    ``heat`` (h w) in [0, 1], 1 where the newest frame speaks for it most (all 0 where nothing does), ``frames`` (t)
    summing to 1, oldest first, ``landmarks`` (205): what each landmark feature adds to the category's logit, to first
    order; ``None`` for a face without landmarks, or a network that does not look at them.
    """

    heat: Tensor
    frames: Tensor
    landmarks: Tensor | None


class Look:
    """One face at one moment as the network saw it, ready to be asked about any category.

    ``maps`` (v c h w) are the last feature maps of its ``views``.
    """

    def __init__(
        self, prediction: Prediction, maps: Tensor, views: Sequence[View], landmarks: Tensor, average: Tensor
    ) -> None:
        self.prediction = prediction
        self._maps, self._views, self._landmarks, self._average = maps, views, landmarks, average

    def explain(self, category: int) -> Explanation:
        """What speaks for ``category`` (the place of its label), compared with nothing."""
        score = self.prediction.logits[0, category]
        inputs = (self._maps, self._landmarks)
        of_maps, of_landmarks = torch.autograd.grad(score, inputs, retain_graph=True, allow_unused=True)
        heat = self._heat(torch.zeros_like(self._maps) if of_maps is None else of_maps)
        frames = self.prediction.frame_weights[0].detach().cpu()
        if of_landmarks is None or not torch.isfinite(self._landmarks).all():
            return Explanation(heat.cpu(), frames, None)
        added = of_landmarks * (self._landmarks.detach() - self._average)
        return Explanation(heat.cpu(), frames, added[0].cpu())

    def _heat(self, gradients: Tensor) -> Tensor:
        """The views' heat laid on each other (h w), in [0, 1]."""
        seen = zip(grad_cam(self._maps, gradients), self._views, strict=True)
        # closer views move the border by a third of a map's cell: too little to move what was found
        heat = reduce([heat.flip(-1) if view.mirrored else heat for heat, view in seen], "v h w -> h w", "sum")
        return heat / heat.max().clamp(min=1e-12)


class Explainer:
    """Looks at the faces of a stream as :class:`stemo.network.streaming.StreamReader` reads them, keeping gradients."""

    def __init__(self, network: FaceNetwork, preprocessing: Preprocessing, device: torch.device) -> None:
        self._network = network.to(device).eval()
        self._preprocessing, self._device = preprocessing, device
        self._buffers: dict[int, ClipBuffer] = {}

    def look(self, face: Observation, time: float) -> Look:
        """The face of the frame at ``time`` seconds; the faces of one track must come in order."""
        buffer = self._buffer(face.track_id, time)
        numbers = views_at(time, buffer.last, self._network.length)
        views = views_in(self._network.length, numbers)
        picture = repeat(face.picture.to(self._device), "h w c -> v h w c", v=len(views))
        pictures = self._preprocessing.fitted(picture, views)
        landmarks = stack_landmarks([face]).to(self._device).requires_grad_()
        tokens, maps = encode_with_maps(self._network, pictures, repeat(landmarks, "1 f -> v f", v=len(views)))
        buffer.push(time, numbers, list(tokens))
        clip = rearrange(buffer.clip(), "t c -> 1 t c")
        # only the newest frame is asked about; the others need no graph
        buffer.tokens = [token.detach() for token in buffer.tokens]
        # cuDNN's LSTM has no gradient outside training
        with torch.backends.cudnn.flags(enabled=False):
            prediction = self._network.read(clip)
        return Look(prediction, maps, views, landmarks, average_landmarks(self._network, landmarks))

    def _buffer(self, track_id: int, time: float) -> ClipBuffer:
        stale = [key for key, buffer in self._buffers.items() if gone(buffer.times[-1], time)]
        for key in stale:
            del self._buffers[key]
        return self._buffers.setdefault(track_id, ClipBuffer(self._network.length))


def encode_with_maps(network: FaceNetwork, pictures: Tensor, landmarks: Tensor) -> tuple[Tensor, Tensor]:
    """(n c h w), (n 205) -> the token of each frame, and the last feature map (n c h w), a leaf with gradients."""
    kept: list[Tensor] = []

    def keep(_module: nn.Module, _inputs: object, output: Tensor) -> Tensor:
        kept.append(output.detach().requires_grad_())
        return kept[-1]

    handle = encoder_of(network).register_forward_hook(keep)
    try:
        tokens = network.encode(pictures, landmarks)
    finally:
        handle.remove()
    return tokens, kept[-1]


def encoder_of(network: FaceNetwork) -> nn.Module:
    """The part of a network whose output is its last feature map."""
    encoder = getattr(network, "spatial", None) or getattr(network, "encoder", None)
    assert isinstance(encoder, nn.Module)
    return encoder


def average_landmarks(network: FaceNetwork, landmarks: Tensor) -> Tensor:
    """The landmark features (205) of the average face in training; zeros where a network does not hold them."""
    norm = getattr(getattr(network, "landmark", None), "norm", None)
    average = getattr(norm, "running_mean", None)
    return average if isinstance(average, Tensor) else torch.zeros_like(landmarks[0])


def grad_cam(maps: Tensor, gradients: Tensor) -> Tensor:
    """Feature maps and a score's gradients by them (n c h w) -> heat (n h w) in [0, 1], each scaled to its maximum."""
    weights = reduce(gradients, "n c h w -> n c 1 1", "mean")
    heat = reduce(weights * maps.detach(), "n c h w -> n h w", "sum").relu()
    return heat / heat.amax((1, 2), keepdim=True).clamp(min=1e-12)


def point_scores(landmarks: Tensor) -> Tensor:
    """What landmark features add (205) -> what each of the 50 key points adds, x, y and z together (50)."""
    return reduce(landmarks[: 3 * len(KEY_POINTS)], "(p d) -> p", "sum", d=3)


def blendshape_scores(landmarks: Tensor) -> Tensor:
    """What landmark features add (205) -> what each blendshape adds (52)."""
    first = 3 * len(KEY_POINTS)
    return landmarks[first : first + BLENDSHAPES]
