"""Per-frame features of the trained spatial stream, computed once for several jittered views of each picture.

Sixteen frames through the CNN for every still is what two cores cannot do; a clip is a walk over these views instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from einops import rearrange, reduce
from torch import Tensor, nn
from tqdm import tqdm

from stemo.network.attention import pool
from stemo.network.model import Network
from stemo.network.preprocessing import Preprocessing
from stemo.records import Image
from stemo.training.augment import Strength, erase, vary_light, warp_still


@dataclass(frozen=True, slots=True, eq=False)
class FeatureBank:
    """``average`` and ``maximum`` (n v c) float16 features of v views of n pictures; ``landmarks`` (n 205).

    ``readings`` (n k) are the mean probabilities of the views, where a head read them.
    """

    average: Tensor
    maximum: Tensor
    landmarks: Tensor
    readings: Tensor | None = None


@torch.inference_mode()
def build_bank(
    network: Network,
    pictures: Sequence[Image],
    landmarks: np.ndarray,
    views: int,
    size: int,
    strength: Strength,
    device: torch.device,
    batch: int = 64,
    seed: int = 0,
    head: nn.Module | None = None,
) -> FeatureBank:
    """Encode ``views`` random views of each picture (h w 3) at ``size`` pixels with the spatial stream.

    Where there is a ``head``, that of a :class:`FrameNetwork` over the same stream, it reads them too.
    """
    network.eval()
    average, maximum, readings = [], [], []
    rng = np.random.default_rng(seed)
    generator = torch.Generator().manual_seed(seed)
    for start in tqdm(range(0, len(pictures), batch), "features", disable=None):
        chosen = pictures[start : start + batch]
        warped = np.stack([warp_still(picture, size, strength, rng) for picture in chosen for _ in range(views)])
        images = vary_light(Preprocessing()(torch.from_numpy(warped)), strength, generator)
        with torch.autocast(device.type, torch.bfloat16):
            maps = network.spatial(erase(images, strength, generator).to(device))  # (b c h w)
            parts = pool(network.place(maps)[0])
        for kept, part in zip((average, maximum), parts, strict=True):
            kept.append(rearrange(part.half().cpu(), "(n v) c -> n v c", v=views))
        if head is not None:
            logits = head.eval()(reduce(maps.float(), "b c h w -> b c", "mean"))[0]
            readings.append(reduce(logits.softmax(-1).cpu(), "(n v) k -> n k", "mean", v=views))
    known = torch.cat(readings) if readings else None
    return FeatureBank(torch.cat(average), torch.cat(maximum), torch.from_numpy(landmarks), known)
