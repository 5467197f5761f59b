"""Distillation: what trained teachers see in the training faces joins the votes (Hinton et al., arXiv 1503.02531).

Ten annotators leave a vote distribution noisy, and one label of a student noisier still; the mean of a few networks,
each read on the face and on its mirror image, is a smoother target.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from stemo.config import check_training
from stemo.errors import ConfigError
from stemo.network.checkpoint import load_weights
from stemo.network.model import LANDMARK_FEATURES, FaceNetwork
from stemo.network.preprocessing import Preprocessing
from stemo.records import Image
from stemo.training.datasets import Still
from stemo.training.evaluation import Pictures, predict_stills
from stemo.training.keeping import make_place, writing
from stemo.training.labels import FloatArray
from stemo.training.landmark_cache import fingerprint, save_array


def soften(
    stills: Sequence[Still],
    teachers: Sequence[Path],
    share: float,
    labels: Sequence[str],
    cache: Path,
    device: torch.device,
) -> list[Still]:
    """The stills with a ``share`` in [0, 1] of their votes replaced by the mean reading of the ``teachers``.

    Stills without votes stay as they are. Readings are kept in the folder ``cache``. Raises :class:`ConfigError` for
    a share outside [0, 1] and for teachers of other categories than ``labels``, :class:`WeightsError` for weights that
    cannot be read, :class:`OutputError` where nothing can be kept in ``cache``.
    """
    check_training("teacher_share", share)
    opinion = np.mean([_opinion(stills, teacher, labels, cache, device) for teacher in teachers], axis=0)
    return mixed(stills, opinion, share)


def mixed(stills: Sequence[Still], opinion: FloatArray, share: float) -> list[Still]:
    """The stills with a ``share`` of their votes replaced by ``opinion`` (n k); those without votes stay.

    Raises :class:`ConfigError` for a share outside [0, 1].
    """
    check_training("teacher_share", share)
    pairs = zip(stills, opinion.astype(np.float32), strict=True)
    return [
        replace(still, distribution=(1 - share) * still.distribution + share * row)
        if still.distribution.any()
        else still
        for still, row in pairs
    ]


def _opinion(
    stills: Sequence[Still], teacher: Path, labels: Sequence[str], cache: Path, device: torch.device
) -> FloatArray:
    network, facts = load_weights(teacher)
    if tuple(facts.labels) != tuple(labels):
        raise ConfigError(
            f"teacher {str(teacher)!r} reads other categories: expected {', '.join(labels)}, got "
            f"{', '.join(facts.labels)}. Choose another teacher, or the same --classes."
        )
    kept = cache / f"teacher-{facts.sha256[:12]}-{fingerprint(Pictures(stills))}.npy"
    if kept.exists():
        return np.load(kept, allow_pickle=False)
    make_place(cache)
    network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    mirrored = [replace(still, picture=partial(_mirrored, still)) for still in stills]
    readings = [_probabilities(network, views, facts.preprocessing, device) for views in (stills, mirrored)]
    opinion = np.mean(readings, axis=0)
    own = kept.with_name(f"{kept.stem}-{os.getpid()}.npy")  # other processes may be at the same
    save_array(own, opinion)
    with writing(kept):
        os.replace(own, kept)
    return opinion


def _mirrored(still: Still) -> Image:
    return np.ascontiguousarray(still.image[:, ::-1])


def _probabilities(
    network: FaceNetwork, stills: Sequence[Still], preprocessing: Preprocessing, device: torch.device
) -> FloatArray:
    # landmarks of a mirrored face are not those of the face, so no view gets any
    unknown = np.full((len(stills), LANDMARK_FEATURES), np.nan, np.float32)
    prediction = predict_stills(network, stills, unknown, preprocessing, device)
    return network.probabilities(prediction).cpu().numpy()
