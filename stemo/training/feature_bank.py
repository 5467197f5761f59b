"""Per-frame features of the trained spatial stream, computed once for several jittered views of each picture.

Sixteen frames through the CNN for every still is what two cores cannot do; a clip is a walk over these views instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from einops import rearrange
from torch import Tensor
from tqdm import tqdm

from stemo.network.model import Network
from stemo.network.preprocessing import Preprocessing
from stemo.records import Image
from stemo.training.augment import Strength, erase, vary_light, warp_still


@dataclass(frozen=True, slots=True, eq=False)
class FeatureBank:
    """``average`` and ``maximum`` (n v c) float16 features of v views of n pictures; ``landmarks`` (n 205)."""

    average: Tensor
    maximum: Tensor
    landmarks: Tensor


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
) -> FeatureBank:
    """Encode ``views`` random views of each picture (h w 3) at ``size`` pixels with the spatial stream."""
    network.eval()
    average, maximum = [], []
    rng = np.random.default_rng(seed)
    generator = torch.Generator().manual_seed(seed)
    for start in tqdm(range(0, len(pictures), batch), "features", disable=None):
        chosen = pictures[start : start + batch]
        warped = np.stack([warp_still(picture, size, strength, rng) for picture in chosen for _ in range(views)])
        images = vary_light(Preprocessing()(torch.from_numpy(warped)), strength, generator)
        with torch.autocast(device.type, torch.bfloat16):
            parts = network.encode_pictures(erase(images, strength, generator).to(device))
        for kept, part in zip((average, maximum), parts, strict=True):
            kept.append(rearrange(part.half().cpu(), "(n v) c -> n v c", v=views))
    return FeatureBank(torch.cat(average), torch.cat(maximum), torch.from_numpy(landmarks))
