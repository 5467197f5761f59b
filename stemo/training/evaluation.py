"""Scoring the network on labelled stills, as it reads one picture at run time."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from einops import rearrange, repeat
from torch import Tensor

from stemo.config import did_you_mean
from stemo.errors import DataError
from stemo.network.clips import ClipReader, NetworkClips
from stemo.network.model import FaceNetwork, Network, Prediction
from stemo.network.preprocessing import PICTURE_SIZE, Preprocessing, views_of
from stemo.records import EMOTIONS, Image
from stemo.training.datasets import Still
from stemo.training.feature_bank import FeatureBank
from stemo.training.metrics import CategoryReadings, CategoryScore
from stemo.training.pictures import fit
from stemo.training.report import calibration
from stemo.training.report.evaluation import Evaluation

PEOPLE = {  # columns that say what kind of people the faces are of
    *("gender", "sex", "age", "age_group", "age_range", "ethnicity", "ethnic_group", "race", "skin_tone", "skin_type"),
    *("skin_colour", "skin_color", "fitzpatrick", "fitzpatrick_type", "region", "nationality", "culture"),
}
MOST_GROUPS = 12  # that a table shows unasked: more are numbers rather than groups


@torch.inference_mode()
def still_bank(
    network: Network,
    stills: Sequence[Still],
    landmarks: np.ndarray,
    preprocessing: Preprocessing,
    device: torch.device,
    batch: int = 64,
) -> FeatureBank:
    """Features of each still exactly as at run time: in every view, resized as there, full precision."""
    network.eval().to(device)
    average, maximum = [], []
    for _, pictures in _batches(stills, batch):
        views = [preprocessing.fitted(pictures, [view] * len(pictures)) for view in views_of(network.length)]
        parts = [network.encode_pictures(view.to(device)) for view in views]
        average.append(rearrange([part[0].cpu() for part in parts], "v n c -> n v c"))
        maximum.append(rearrange([part[1].cpu() for part in parts], "v n c -> n v c"))
    return FeatureBank(torch.cat(average), torch.cat(maximum), torch.from_numpy(np.array(landmarks)))


def predict_stills(
    network: FaceNetwork,
    stills: Sequence[Still],
    landmarks: np.ndarray,
    preprocessing: Preprocessing,
    device: torch.device,
    batch: int = 64,
) -> Prediction:
    """As :func:`read_stills` does, by torch on ``device``."""
    return read_stills(NetworkClips(network, preprocessing, device), stills, landmarks, batch)


def read_stills(reader: ClipReader, stills: Sequence[Still], landmarks: np.ndarray, batch: int = 64) -> Prediction:
    """Read stills as ``Recognizer.image`` does: the picture in all its views in turns through the buffer."""
    found = []
    for where, pictures in _batches(stills, batch):
        known = torch.from_numpy(np.array(landmarks[where]))
        places = repeat(torch.arange(len(pictures)), "n -> n t", t=reader.length)
        found.append(reader.read(pictures, known, places))
    return Prediction(*(torch.cat(parts) for parts in zip(*found, strict=True)))


def _batches(stills: Sequence[Still], batch: int) -> Iterator[tuple[slice, Tensor]]:
    """Which ``stills``, and their pictures (b 224 224 3) uint8."""
    for start in range(0, len(stills), batch):
        where = slice(start, start + batch)
        yield where, torch.from_numpy(np.stack([fit(still.image, PICTURE_SIZE) for still in stills[where]]))


def labels_of(stills: Sequence[Still]) -> list[int]:
    """Class indices of the stills that have one."""
    return [still.label for still in stills if still.label is not None]


def category_readings(
    probabilities: Tensor, stills: Sequence[Still], labels: tuple[str, ...] = EMOTIONS
) -> CategoryReadings:
    """Probabilities (n k) of stills that all have a label, an index into ``labels``, beside those."""
    return CategoryReadings(np.array(labels_of(stills), np.int64), probabilities.cpu().numpy(), labels)


def calibration_error(probabilities: Tensor, labels: Tensor, bins: int = calibration.BINS) -> float:
    """Expected calibration error (Guo et al., ICML 2017) of probabilities (n k) against labels (n,), in [0, 1]."""
    confidence, predicted = probabilities.max(-1)
    return calibration.reliability(confidence.numpy(), (predicted == labels).numpy(), bins).error


def report(result: CategoryScore, rule: str, probabilities: Tensor, stills: Sequence[Still]) -> dict[str, Any]:
    """The figures as ``metrics.json`` holds them: fractions of 1."""
    labels = torch.tensor(labels_of(stills))
    return {
        "rule": rule,
        **figures_of(result),
        "calibration_error": calibration_error(probabilities.cpu(), labels),
        "log_loss": calibration.log_loss(probabilities.cpu().numpy(), labels.numpy()),
    }


def figures_of(result: CategoryScore) -> dict[str, Any]:
    """A score as a JSON holds it: fractions of 1, ``None`` where there is no face."""
    return {
        "n": result.n,
        "accuracy": _known(result.accuracy),
        "macro_recall": _known(result.macro_recall),
        "per_class_recall": {name: _known(value) for name, value in result.per_class_recall.items()},
        "support": dict(zip(result.labels, result.support.tolist(), strict=True)),
        "confusion": result.confusion.tolist(),
    }


def _known(value: float) -> float | None:
    return None if np.isnan(value) else value


def evaluation_of(
    stills: Sequence[Still],
    probabilities: Tensor,
    *,
    labels: tuple[str, ...],
    rule: str,
    data: str,
    weights: str,
    columns: Sequence[str] = (),
    note: str = "",
) -> Evaluation:
    """Probabilities (n k) of stills that all have a label, for the report; ``columns`` are those that name groups."""
    return Evaluation(
        data=data,
        weights=weights,
        rule=rule,
        labels=labels,
        truth=np.array(labels_of(stills), np.int64),
        probabilities=probabilities.cpu().numpy(),
        names=[still.name for still in stills],
        images=Pictures(stills),
        groups=groups_of(stills, columns),
        note=note,
    )


class Pictures(Sequence[Image]):
    """The pictures of stills, or of a slice of them, each looked at only when asked for: they may lie on disk."""

    def __init__(self, stills: Sequence[Still]) -> None:
        self._stills = stills

    def __len__(self) -> int:
        return len(self._stills)

    def __getitem__(self, place: Any) -> Any:
        chosen = self._stills[place]
        return Pictures(chosen) if isinstance(place, slice) else chosen.image


def groups_of(stills: Sequence[Still], columns: Sequence[str]) -> dict[str, list[str]]:
    """The group of every still by each of ``columns``, by those of :data:`PEOPLE`, and by ``split`` where there are
    several splits.

    Besides the columns of ``labels.csv`` every layout has ``split`` and ``subject``. Raises :class:`DataError` for a
    column that is none of them.
    """
    known = sorted({column for still in stills for column in still.groups} | {"split", "subject"})
    for column in columns:
        if column not in known:
            raise DataError(
                f"groups {column!r} is no column of the data: expected one of {', '.join(known)}, got {column!r}."
                f"{did_you_mean(column, known)}"
            )
    chosen = dict.fromkeys([*columns, *_telling(stills)])
    groups = {column: [_group(still, column) for still in stills] for column in chosen}
    splits = [still.split for still in stills]
    return groups if len(set(splits)) < 2 or splits in groups.values() else {**groups, "split": splits}


def _telling(stills: Sequence[Still]) -> list[str]:
    """The columns of :data:`PEOPLE`, however spelt, that make a few groups."""
    values: dict[str, set[str]] = {}
    for still in stills:
        for column, value in still.groups.items():
            if value and re.sub(r"[\W_]+", "_", column.strip().lower()) in PEOPLE:
                values.setdefault(column, set()).add(value)
    return [column for column, found in values.items() if 2 <= len(found) <= MOST_GROUPS]


def _group(still: Still, column: str) -> str:
    return {"split": still.split, "subject": still.subject, **still.groups}.get(column, "")
