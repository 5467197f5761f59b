"""``--evaluate DATA``: the network's figures on labelled faces, printed, as a report in a folder, and recorded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from stemo.assets import locate
from stemo.config import RecognitionSettings
from stemo.errors import DataError
from stemo.faces.analyzer import FaceAnalyzer
from stemo.faces.stills import still_landmarker
from stemo.modes.scored import Scored, was_held_back
from stemo.modes.telling import told
from stemo.network.checkpoint import WeightFacts, given_or_shipped
from stemo.network.clips import ClipReader, NetworkClips
from stemo.network.engine import make_engine
from stemo.network.exported import ExportedNetwork, open_weights
from stemo.network.int8 import find_twin
from stemo.recognizer import choose_device
from stemo.training.datasets import Still
from stemo.training.end_to_end import Classes, read_photos
from stemo.training.evaluation import groups_of, read_stills
from stemo.training.landmark_memory import LandmarkMemory
from stemo.training.layouts import load_any
from stemo.training.report.curves import RunCurve, read_run
from stemo.training.report.findings import Findings
from stemo.training.report.recording import check_record, record
from stemo.training.report.writing import check_folder, make_folder, write_metrics, write_report

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Request:
    """Which faces are scored, and what becomes of the figures.

    Of ``data`` only the rows of ``split`` where given, and with ``held_back`` only the people whom the training of the
    weights kept apart. ``groups`` are columns of the data's ``labels.csv`` to tell faces apart by. With ``end_to_end``
    the pictures are also read as a user's photos. With ``output`` a report is written there, with the curves of the
    training in ``run`` where given; files there that are of no report are replaced only with ``overwrite``. ``record``
    names the section of the weights' JSON that shall keep the figures.
    """

    data: Path
    output: Path | None = None
    split: str | None = None
    run: Path | None = None
    groups: Sequence[str] = ()
    held_back: bool = False
    end_to_end: bool = False
    record: str | None = None
    overwrite: bool = False


def run_evaluate(request: Request, settings: RecognitionSettings, say: Say) -> int:
    """Score the network and say, write and record the figures; returns 0.

    Faces that have real valence and arousal are scored on these too; data that have nothing else get their figures
    without a page.
    """
    device = choose_device(settings.device, settings.weights, settings.backend)
    weights = given_or_shipped(settings.weights)
    reader, facts = open_clips(weights, device, settings.backend)
    stills, curves = _checked(request, weights, facts)
    photos = _photos(reader, stills, settings, device) if request.end_to_end else None
    with LandmarkMemory(still_landmarker(locate("face_landmarker", _path(settings.landmarker)))) as memory:
        landmarks = memory.features(still.image for still in tqdm(stills, "landmarks", disable=None))
        prediction = read_stills(reader, stills, landmarks)
        which = request.data, request.split, request.held_back
        scored = Scored(*which, reader, facts, stills, landmarks, prediction, photos, settings.detector)
        metrics, findings = scored.figures(request.groups, curves)
        if motion := scored.motion(memory):
            metrics["motion"] = motion
    for line in told(scored, metrics, findings):
        say(line)
    if request.output:
        say(f"wrote {_write(request.output, metrics, findings)}")
    if request.record is not None:
        record(weights.with_suffix(".json"), facts.sha256, request.record, metrics)
        say(f"recorded as {request.record} in {weights.with_suffix('.json')}")
    return 0


def _checked(request: Request, weights: Path, facts: WeightFacts) -> tuple[Sequence[Still], Sequence[RunCurve]]:
    """The faces to score and the curves to show; what is wrong is said here, before the long part."""
    if request.record is not None:
        check_record(weights.with_suffix(".json"), request.record)
    if request.output:
        check_folder(request.output, request.overwrite)
    stills = load(request.data, request.split, facts.labels)
    if request.held_back:
        stills = only_held_back(request.data, stills, facts)
    if request.end_to_end and all(still.label is None for still in stills):
        raise DataError(
            f"data {str(request.data)!r} has nothing to read end to end: expected faces with a category, got ratings "
            "alone. Leave out --end-to-end."
        )
    groups_of(stills, request.groups)
    curves = read_run(request.run) if request.run else []
    if request.output:
        make_folder(request.output)
    return stills, curves


def load(data: Path, split: str | None, labels: Sequence[str]) -> Sequence[Still]:
    """The faces to score: those with a category among ``labels`` or with real valence and arousal.

    Raises :class:`DataError` when the split is unknown or nothing is left.
    """
    stills = load_any(data, labels, split)
    kept = [still for still in stills if (still.label is not None or still.rated) and split in (None, still.split)]
    if not kept:
        splits = ", ".join(sorted({still.split for still in stills}))
        raise DataError(f"data {str(data)!r} has no face to score: expected a split among {splits}, got {split!r}.")
    return kept


def only_held_back(data: Path, stills: Sequence[Still], facts: WeightFacts) -> Sequence[Still]:
    """The faces of people whom the training kept apart. Raises :class:`DataError` where there are none."""
    kept = [still for still in stills if was_held_back(still, facts)]
    if not kept:
        raise DataError(f"data {str(data)!r} has no held-back face: expected people by name. Leave out --held-back.")
    return kept


def open_clips(weights: Path, device: torch.device, backend: str) -> tuple[ClipReader, WeightFacts]:
    """What reads clips with these weights, run by ``backend`` on ``device``, and what the weights say of themselves."""
    network, facts = open_weights(weights)
    if isinstance(network, ExportedNetwork):
        network.check(backend, device)
        return network, facts
    # figures are those of the weights themselves, unless the twin's are asked for
    twin = find_twin(weights, facts) if backend == "int8" else None
    engine = make_engine(network, facts.preprocessing, device, backend, twin)
    return NetworkClips(network, facts.preprocessing, device, engine), facts


def _photos(
    reader: ClipReader, stills: Sequence[Still], settings: RecognitionSettings, device: torch.device
) -> Classes:
    with FaceAnalyzer(
        settings.faces,
        landmarker=_path(settings.landmarker),
        detector=settings.detector,
        face_weights=_path(settings.face_weights),
        device=str(device),
        video=False,
    ) as analyzer:
        return read_photos(reader, stills, analyzer)


def _write(output: Path, metrics: Mapping[str, Any], findings: Findings | None) -> Path:
    return write_report(output, findings, metrics) if findings else write_metrics(output, metrics)


def _path(given: str | None) -> Path | None:
    return Path(given) if given else None
