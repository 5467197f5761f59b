"""The network as others can run it: pictures of faces in, calibrated readings out, nothing to be done before or after.

:func:`forms` gives the modules that ``--export`` writes: for stemo the streaming step and the whole clip, for networks
that read each picture by itself the still. Each takes the aligned faces as they are cut, uint8 RGB of 224 pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from einops import rearrange, repeat
from torch import Tensor, nn

from stemo.network.folding import folded
from stemo.network.frame_network import FrameNetwork
from stemo.network.model import LANDMARK_FEATURES, FaceNetwork, Network, calibrated
from stemo.network.preprocessing import (
    PICTURE_SIZE,
    TURNS,
    WHOLE,
    Preprocessing,
    View,
    area_matrix,
    input_channels,
)

PICTURE = (PICTURE_SIZE, PICTURE_SIZE, 3)
Readings = tuple[Tensor, Tensor, Tensor]  # probabilities (b k), valence (b), arousal (b)
SteppedReadings = tuple[Tensor, Tensor, Tensor, Tensor]


@dataclass(frozen=True, slots=True, eq=False)
class Form:
    """One module to export.

    ``kind`` is step, clip or still; ``inputs`` and ``outputs`` map each name to what it holds, in order, and
    ``examples`` are inputs of two faces.
    """

    kind: str
    module: nn.Module
    inputs: dict[str, str]
    outputs: dict[str, str]
    examples: tuple[Tensor, ...]


class PictureInput(nn.Module):
    """:meth:`Preprocessing.fitted` for pictures of 224 pixels, as products with constants that any runtime has."""

    colours: Tensor
    area: Tensor
    margins: Tensor
    mirrored: Tensor
    offset: Tensor

    def __init__(self, preprocessing: Preprocessing, views: Sequence[View]) -> None:
        super().__init__()
        colours, offset = (torch.tensor(part) for part in zip(*input_channels(preprocessing), strict=True))
        margins = list(dict.fromkeys(view.margin for view in views))
        area = [area_matrix(PICTURE_SIZE, preprocessing.input_size, margin) for margin in margins]
        for name, value in {
            "colours": rearrange(colours, "c i -> i c"),
            "area": rearrange(area, "k s p -> k 1 s p"),
            "margins": torch.tensor([margins.index(view.margin) for view in views]),
            "mirrored": rearrange(torch.tensor([view.mirrored for view in views]), "v -> v 1 1 1"),
            "offset": rearrange(offset, "c -> c 1 1"),
        }.items():
            self.register_buffer(name, value)

    def forward(self, pictures: Tensor, views: Tensor) -> Tensor:
        """uint8 RGB (n 224 224 3), the numbers (n) of their views -> normalised (n c s s), c = 1 for gray."""
        values = rearrange(pictures.float() @ self.colours, "n h w c -> n c h w")
        rows = self.area[self.margins[views]]  # (n 1 s p)
        columns = torch.where(self.mirrored[views], rows.flip(2), rows)
        return rows @ values @ rearrange(columns, "n 1 s p -> n 1 p s") + self.offset


class Step(nn.Module):
    """One new frame of each face, and what the frames before it left: :class:`StreamReader` as a function."""

    def __init__(self, network: Network, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.pictures, self.network = PictureInput(preprocessing, TURNS), network

    def forward(self, pictures: Tensor, landmarks: Tensor, cache: Tensor, views: Tensor) -> SteppedReadings:
        """(b 224 224 3) uint8, (b 205), (b t-1 c), (b) int64 -> readings and the next frame's cache (b t-1 c).

        A place of the cache that is NaN shows the new frame, so a stream starts with a cache of NaN.
        """
        # the new frame by itself
        newest = rearrange(self.network.encode(self.pictures(pictures, views), landmarks), "b c -> b 1 c")

        # behind the frames before it
        clip = torch.cat([torch.where(cache.isnan(), newest, cache), newest], 1)  # (b t c)

        # all of them together
        return *_read(self.network, clip), clip[:, 1:]


class WholeClip(nn.Module):
    """:meth:`Network.forward` from pictures to calibrated readings."""

    def __init__(self, network: Network, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.pictures, self.network = PictureInput(preprocessing, TURNS), network

    def forward(self, pictures: Tensor, landmarks: Tensor, views: Tensor) -> Readings:
        """(b t 224 224 3) uint8, (b t 205), (b t) int64, oldest first -> the newest frame's readings."""
        # every frame by itself
        frames = self.pictures(rearrange(pictures, "b t h w c -> (b t) h w c"), rearrange(views, "b t -> (b t)"))
        tokens = self.network.encode(frames, rearrange(landmarks, "b t f -> (b t) f"))

        # all of them together
        return _read(self.network, rearrange(tokens, "(b t) c -> b t c", t=self.network.length))


class Still(nn.Module):
    """A :class:`FrameNetwork` from pictures to calibrated readings."""

    def __init__(self, network: FrameNetwork, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.pictures, self.network = PictureInput(preprocessing, (WHOLE,)), network

    def forward(self, pictures: Tensor) -> Readings:
        """(b 224 224 3) uint8 -> the readings of each."""
        logits, valence, arousal = self.network(self.pictures(pictures, pictures.new_zeros(1, dtype=torch.int64)))
        return calibrated(logits, self.network.temperature), valence, arousal


def forms(network: FaceNetwork, preprocessing: Preprocessing) -> list[Form]:
    """What is exported of ``network``, batch norms folded: its step and its clip, or its still."""
    network = folded(network, gray=preprocessing.gray)
    faces = torch.randint(0, 255, (2, *PICTURE), dtype=torch.uint8)
    outputs = _readings(network)
    if isinstance(network, FrameNetwork):
        return [Form("still", Still(network, preprocessing), {"pictures": _picture("faces")}, outputs, (faces,))]
    assert isinstance(network, Network)
    length, width = network.length, network.token_width
    known = torch.randn(2, LANDMARK_FEATURES)
    cache = torch.full((2, length - 1, width), torch.nan)
    before = (
        f"float32 (faces, {length - 1}, {width}): tokens of the {length - 1} frames before the new one, oldest first "
        "and 1/fps seconds apart; NaN where there was none yet, so a face starts with NaN everywhere. To read as stemo "
        "does, fill a face's first cache with what its picture gives in each view (the last row of new_cache), in turns"
    )
    seen = (
        f"int64 ({{}}): how a picture is seen, 0 to {len(TURNS) - 1} in turns from one frame of a face to the next "
        "(whole and closer, as it is and mirrored; that is done inside)"
    )
    return [
        Form(
            "step",
            Step(network, preprocessing),
            {
                "pictures": _picture("faces"),
                "landmarks": _landmarks("faces"),
                "cache": before,
                "views": seen.format("faces,"),
            },
            {**outputs, "new_cache": f"float32 (faces, {length - 1}, {width}): the cache for the next frame"},
            (faces, known, cache, torch.tensor([0, 1])),
        ),
        Form(
            "clip",
            WholeClip(network, preprocessing),
            {
                "pictures": _picture(f"clips, {length}"),
                "landmarks": _landmarks(f"clips, {length}"),
                "views": seen.format(f"clips, {length}"),
            },
            outputs,
            tuple(
                repeat(part, "b ... -> b t ...", t=length).contiguous()
                for part in (faces, known, torch.zeros(2).long())
            ),
        ),
    ]


def _read(network: Network, tokens: Tensor) -> Readings:
    read = network.read(tokens)
    return calibrated(read.logits, network.temperature), read.valence, read.arousal


def _readings(network: FaceNetwork) -> dict[str, str]:
    return {
        "probabilities": f"float32 (batch, {network.classes}): calibrated, in the order of the labels, summing to 1",
        "valence": "float32 (batch,): in [-1, 1]",
        "arousal": "float32 (batch,): in [0, 1]",
    }


def _picture(batch: str) -> str:
    return (
        f"uint8 ({batch}, {PICTURE_SIZE}, {PICTURE_SIZE}, 3): RGB, faces upright and cut as "
        "stemo.faces.alignment.align does; brightness and size are prepared inside"
    )


def _landmarks(batch: str) -> str:
    return (
        f"float32 ({batch}, {LANDMARK_FEATURES}): as stemo.faces.geometry.landmark_features makes them of MediaPipe's "
        "mesh, blendshapes and head pose; all NaN where there are none"
    )
