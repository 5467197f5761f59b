"""Every architecture by its name, as ``--architecture`` and the weights' JSON say it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from stemo.errors import ConfigError
from stemo.network.frame_network import FrameNetwork, ResNet50, ResNetSE
from stemo.network.model import CLIP_LENGTH, SIZES, FaceNetwork, Network
from stemo.network.preprocessing import INPUT_SIZE


@dataclass(frozen=True, slots=True)
class Architecture:
    """``make`` (classes, length, size) builds it; ``input_size`` pixels are what it reads, ``sizes`` it comes in."""

    make: Callable[[int, int, str], FaceNetwork]
    input_size: int = INPUT_SIZE
    sizes: tuple[str, ...] = ("base",)


def _stemo(classes: int, length: int, size: str) -> FaceNetwork:
    return Network(classes, length, size)


def _resnet_se(classes: int, _length: int, _size: str) -> FaceNetwork:
    return FrameNetwork(ResNetSE(), 256, classes)


def _resnet50(classes: int, _length: int, _size: str) -> FaceNetwork:
    return FrameNetwork(ResNet50(), ResNet50.channels, classes)


ARCHITECTURES = {
    "stemo": Architecture(_stemo, sizes=tuple(SIZES)),
    "resnet_se": Architecture(_resnet_se, input_size=48),
    "resnet50": Architecture(_resnet50, input_size=112),
}


def describe(architecture: str, size: str) -> Architecture:
    """The architecture of that name. Raises :class:`ConfigError` for an unknown name, or a size it does not have."""
    if architecture not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise ConfigError(f"architecture {architecture!r} is unknown: expected one of {known}, got {architecture!r}.")
    found = ARCHITECTURES[architecture]
    if size not in found.sizes:
        raise ConfigError(
            f"size {size!r} of {architecture} is unknown: expected one of {', '.join(found.sizes)}, got {size!r}."
        )
    return found


def build(architecture: str, size: str = "base", classes: int = 7, length: int = CLIP_LENGTH) -> FaceNetwork:
    """A fresh network. Raises :class:`ConfigError` as :func:`describe` does."""
    return describe(architecture, size).make(classes, length, size)


def name_of(architecture: str, size: str) -> str:
    """What weights of that kind are called: ``stemo_base``, ``resnet_se``."""
    return f"{architecture}_{size}" if len(describe(architecture, size).sizes) > 1 else architecture
