"""What a training starts from: fresh weights, others of the same kind, or a network that tells people apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from stemo import assets
from stemo.errors import ConfigError
from stemo.network.checkpoint import Adopted, adopt
from stemo.network.model import FaceNetwork, Network
from stemo.network.preprocessing import Preprocessing
from stemo.training.augment import Strength, warp_still
from stemo.training.datasets import Still
from stemo.training.identity import start_from_identity

FACE_IDENTITY = "face_identity"
SETTLING = 512  # faces whose statistics the norms of published weights are settled on


@dataclass(frozen=True, slots=True)
class Start:
    """Where a training starts: ``names`` of the data sets behind it, and whether it reads its categories already."""

    names: tuple[str, ...] = ()
    whole: bool = False


FRESH = Start()


def start(
    network: FaceNetwork,
    source: str,
    labels: Sequence[str],
    stills: Sequence[Still],
    seed: int,
    say: Callable[[str], None],
) -> Start:
    """Fill ``network`` from ``source``: weights as ``--train`` writes them, or the word "face_identity".

    The categories of ``network`` are ``labels``. Some of the ``stills``, the training faces, settle the norms. Raises
    :class:`ConfigError` where the source is for another architecture, :class:`WeightsError` and :class:`MissingError`
    where it cannot be read.
    """
    if source != FACE_IDENTITY:
        adopted = adopt(network, Path(source), labels)
        say(f"goes on from {source}{_but(adopted)}")
        names = tuple(name.strip() for name in adopted.facts.training_data.split(","))
        return Start(names, adopted.facts.trained and not (adopted.fresh or adopted.new))
    if not isinstance(network, Network):
        raise ConfigError(f"start {source!r} fits no other architecture: expected stemo, got another. Leave it out.")
    preprocessing, rng = Preprocessing(), np.random.default_rng(seed)
    chosen = [stills[place].image for place in rng.permutation(len(stills))[:SETTLING]]
    warped = np.stack([warp_still(image, preprocessing.input_size, Strength(), rng) for image in chosen])
    images = preprocessing(torch.from_numpy(warped))
    start_from_identity(network.spatial, assets.locate(FACE_IDENTITY), images, preprocessing)
    say("goes on from a network that tells people apart")
    return Start((FACE_IDENTITY,))


def _but(adopted: Adopted) -> str:
    known = adopted.facts.metrics.get("settings") or {}
    strength = known.get("logit_adjustment")
    adjusted = f", whose logits are adjusted for rare classes already, by {strength:g}" if strength else ""
    new = f", with fresh rows for {', '.join(adopted.new)}" if adopted.new else ""
    without = f", without {len(adopted.fresh)} tensors" if adopted.fresh else ""
    return f"{adjusted}{new}{without}"
