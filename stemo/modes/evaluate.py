"""``--evaluate DATA``: accuracy, macro and per-class recall on labelled faces, printed and as ``metrics.json``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from stemo import assets
from stemo.config import RecognitionSettings
from stemo.errors import DataError
from stemo.training.datasets import Still


def run_evaluate(
    data: Path, output: Path | None, settings: RecognitionSettings, split: str | None, say: Callable[[str], None]
) -> int:
    """Score the network on ``data``, only its rows of ``split`` where given; returns 0."""
    import numpy as np
    from tqdm import tqdm

    from stemo.faces.stills import still_landmarker
    from stemo.network.checkpoint import SHIPPED, load_weights
    from stemo.recognizer import choose_device
    from stemo.training.evaluation import predict_stills, report, score_prediction, write_metrics
    from stemo.training.landmark_cache import still_features

    device = choose_device(settings.device)
    network, facts = load_weights(Path(settings.weights) if settings.weights else SHIPPED)
    stills = load(data, split)
    model = Path(settings.landmarker) if settings.landmarker else None
    with still_landmarker(assets.locate("face_landmarker", model)) as landmarker:
        landmarks = np.stack([still_features(landmarker, still.image) for still in tqdm(stills, disable=None)])
    prediction = predict_stills(network, stills, landmarks, facts.preprocessing, device)
    result = score_prediction(prediction, stills)
    metrics = report(result, rule_of(data), network.probabilities(prediction), stills)
    say(f"data:          {data}{f' ({split})' if split else ''}")
    say(f"rule:          {metrics['rule']}")
    say(f"n:             {result.n} faces, landmarks found on {np.isfinite(landmarks).all(1).mean():.1%}")
    say(f"accuracy:      {result.accuracy:.2%}")
    say(f"macro recall:  {result.macro_recall:.2%}")
    say(f"calibration:   expected error {metrics['calibration_error']:.3f}")
    for name, recall in result.per_class_recall.items():
        say(f"  {name:<12} recall {recall:7.2%}  n {metrics['support'][name]}")
    if output:
        say(f"wrote {write_metrics(output, metrics)}")
    return 0


def load(data: Path, split: str | None) -> Sequence[Still]:
    """The faces to score. Raises :class:`DataError` when the split is unknown or nothing is left."""
    from stemo.training.datasets import load_stills
    from stemo.training.fer2013 import is_fer2013, load_fer2013

    stills = load_fer2013(data) if is_fer2013(data) else load_stills(data)
    kept = [still for still in stills if still.label is not None and split in (None, still.split)]
    if not kept:
        splits = ", ".join(sorted({still.split for still in stills}))
        raise DataError(f"data {str(data)!r} has no face to score: expected a split among {splits}, got {split!r}.")
    return kept


def rule_of(data: Path) -> str:
    """How faces get their labels in ``data``, in words."""
    from stemo.training.datasets import scoring_rule
    from stemo.training.fer2013 import fer2013_rule, is_fer2013

    return fer2013_rule(data) if is_fer2013(data) else scoring_rule(data)
