"""Scoring the network on labelled stills, as it reads one picture at run time."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from stemo.network.model import INPUT_SIZE, Network, Prediction
from stemo.network.preprocessing import Preprocessing
from stemo.training.clip_stage import predict_bank
from stemo.training.datasets import Still
from stemo.training.feature_bank import FeatureBank
from stemo.training.metrics import CategoryScore, score
from stemo.training.pictures import fit


@torch.inference_mode()
def still_bank(
    network: Network,
    stills: Sequence[Still],
    landmarks: np.ndarray,
    preprocessing: Preprocessing,
    device: torch.device,
    batch: int = 64,
) -> FeatureBank:
    """Features of each still exactly as at run time: one view, 224 pixels, full precision."""
    network.eval().to(device)
    average, maximum = [], []
    for start in range(0, len(stills), batch):
        pictures = np.stack([fit(still.image, INPUT_SIZE) for still in stills[start : start + batch]])
        parts = network.encode_pictures(preprocessing(torch.from_numpy(pictures)).to(device))
        average.append(parts[0].cpu())
        maximum.append(parts[1].cpu())
    return FeatureBank(
        torch.cat(average).unsqueeze(1), torch.cat(maximum).unsqueeze(1), torch.from_numpy(np.array(landmarks))
    )


def predict_stills(
    network: Network,
    stills: Sequence[Still],
    landmarks: np.ndarray,
    preprocessing: Preprocessing,
    device: torch.device,
) -> Prediction:
    """Read stills as ``Recognizer.image`` reads a still face: its frame repeated through the buffer."""
    return predict_bank(network, still_bank(network, stills, landmarks, preprocessing, device), device)


def labels_of(stills: Sequence[Still]) -> list[int]:
    """Class indices of the stills that have one."""
    return [still.label for still in stills if still.label is not None]


def score_prediction(prediction: Prediction, stills: Sequence[Still]) -> CategoryScore:
    """Score readings of stills that all have a label."""
    return score(labels_of(stills), prediction.logits.argmax(-1).cpu().numpy())


def calibration_error(probabilities: Tensor, labels: Tensor, bins: int = 15) -> float:
    """Expected calibration error (Guo et al., ICML 2017) of probabilities (n k) against labels (n,), in [0, 1]."""
    confidence, predicted = probabilities.max(-1)
    place = (confidence * bins).long().clamp(max=bins - 1)
    right = (predicted == labels).float()
    gaps = [
        (place == b).float().mean() * (confidence[place == b].mean() - right[place == b].mean()).abs()
        for b in range(bins)
        if bool((place == b).any())
    ]
    return float(torch.stack(gaps).sum())


def report(result: CategoryScore, rule: str, probabilities: Tensor, stills: Sequence[Still]) -> dict[str, Any]:
    """The figures as ``metrics.json`` holds them: fractions of 1."""
    labels = torch.tensor(labels_of(stills))
    return {
        "rule": rule,
        "n": result.n,
        "accuracy": result.accuracy,
        "macro_recall": result.macro_recall,
        "per_class_recall": {
            name: None if np.isnan(value) else value for name, value in result.per_class_recall.items()
        },
        "support": dict(zip(result.labels, result.confusion.sum(1).tolist(), strict=True)),
        "confusion": result.confusion.tolist(),
        "calibration_error": calibration_error(probabilities.cpu(), labels),
        "log_loss": float(F.nll_loss(probabilities.cpu().clamp_min(1e-9).log(), labels)),
    }


def write_metrics(folder: Path, metrics: dict[str, Any]) -> Path:
    """Write ``metrics.json`` into ``folder``, which is made where it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "metrics.json"
    part = path.with_name("metrics.json.part")
    part.write_text(json.dumps(metrics, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    os.replace(part, path)
    return path
