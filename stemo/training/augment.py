"""Augmentation of stills: warps per picture (OpenCV), light and resolution per batch or picture.

The training pictures are mostly 48-pixel gray; the warps, blurs and losses of resolution here are what lets the
network also read sharp faces, and faces whose crop is a little off.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from stemo.records import Image
from stemo.training.pictures import fit


@dataclass(frozen=True, slots=True)
class Strength:
    """How far a picture may be moved: degrees, scale and shift as fractions, and chances of the rest."""

    rotation: float = 12.0
    scale: float = 0.14
    shift: float = 0.06
    aspect: float = 0.06
    flip: float = 0.5
    degrade: float = 0.3
    light: float = 0.25
    erase: float = 0.3


DEFAULT_STRENGTH = Strength()


def warp_matrix(size: tuple[int, int], target: int, strength: Strength, rng: np.random.Generator) -> np.ndarray:
    """A random affine map (2, 3) from a (height, width) picture to a ``target`` square, identity at strength 0."""
    height, width = size
    angle = np.deg2rad(rng.uniform(-strength.rotation, strength.rotation))
    scale = np.exp(rng.uniform(-strength.scale, strength.scale))
    stretch = np.exp(rng.uniform(-strength.aspect, strength.aspect))
    mirror = -1.0 if rng.random() < strength.flip else 1.0
    shift = rng.uniform(-strength.shift, strength.shift, 2)
    cos, sin = np.cos(angle) * scale, np.sin(angle) * scale
    linear = np.array([[cos, -sin], [sin, cos]]) @ np.diag([mirror * stretch, 1 / stretch])
    linear = linear @ np.diag([target / width, target / height])
    # pixel centres lie at half-integers, so the middle of the picture is at (size - 1) / 2
    centre_from = np.array([(width - 1) / 2, (height - 1) / 2])
    centre_to = np.full(2, (target - 1) / 2) + shift * target
    return np.column_stack([linear, centre_to - linear @ centre_from])


def warp_still(image: Image, target: int, strength: Strength, rng: np.random.Generator) -> Image:
    """(h w 3) -> (target target 3): a random affine view, sometimes through a lower resolution."""
    if rng.random() < strength.degrade:
        image = degrade(image, rng)
    if max(image.shape[:2]) > 1.5 * target:
        image = fit(image, target)
    matrix = warp_matrix(image.shape[:2], target, strength, rng)
    warped = cv2.warpAffine(image, matrix, (target, target), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(warped, np.uint8)


def degrade(image: Image, rng: np.random.Generator) -> Image:
    """Lose resolution to 28 to 64 pixels, or blur, as small or moving faces do."""
    if rng.random() < 0.5:
        small = int(rng.integers(28, 65))
        if small < min(image.shape[:2]):
            return fit(image, small)
    sigma = rng.uniform(0.3, 1.0) * max(image.shape[:2]) / 48
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), np.uint8)


def vary_light(images: Tensor, strength: Strength, generator: torch.Generator) -> Tensor:
    """Random brightness and contrast of each picture (n 3 h w)."""

    def spread(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator) * 2 - 1

    n = images.shape[0]
    contrast = torch.exp(spread(n, 1, 1, 1) * strength.light)
    brightness = spread(n, 1, 1, 1) * 2 * strength.light
    mean = images.mean((2, 3), keepdim=True)
    return (images - mean) * contrast + mean + brightness


def erase(images: Tensor, strength: Strength, generator: torch.Generator) -> Tensor:
    """Random erasing (Zhong et al., AAAI 2020): a rectangle of some pictures (n 3 h w) is set to their mean."""
    n, _, height, width = images.shape
    for place in torch.nonzero(torch.rand(n, generator=generator) < strength.erase).flatten().tolist():
        share = 0.15 + 0.25 * torch.rand(2, generator=generator)
        h, w = int(share[0] * height), int(share[1] * width)
        top = int(torch.randint(0, height - h, (1,), generator=generator))
        left = int(torch.randint(0, width - w, (1,), generator=generator))
        images[place, :, top : top + h, left : left + w] = images[place].mean((1, 2), keepdim=True)
    return images
