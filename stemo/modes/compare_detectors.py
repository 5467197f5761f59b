"""``--compare-detectors IN``: every face detector at hand on the same frames: what it finds, and how fast."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from stemo.capture import open_source
from stemo.config import RecognitionSettings
from stemo.errors import InputError, MissingError
from stemo.faces.detection import Detector, open_detectors
from stemo.faces.regions import iou
from stemo.records import Face, Frame

SURE = 0.8  # a face that only one detector sees counts from this score on
SAME = 0.3  # least IoU of two boxes around one face


@dataclass(slots=True)
class Tally:
    """What one detector did over a clip: faces that are there and found, others, and the seconds of each frame."""

    found: int = 0
    doubtful: int = 0
    seconds: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Score:
    """One detector over a clip.

    ``recall`` is the share, in [0, 1], that it found of the faces that two detectors agree on or one is sure of (NaN
    where there are none), ``doubtful`` how many others it found per frame, ``milliseconds`` its median per frame.
    """

    recall: float
    doubtful: float
    milliseconds: float


def run_compare_detectors(spec: str, settings: RecognitionSettings, say: Callable[[str], None]) -> int:
    """Print one line per detector; YuNet is left out where it is not installed, YOLO without its weights; returns 0.

    ``settings.face_weights`` are YuNet's where they end in ``.onnx`` and no ``yolo`` is asked for, else YOLO's.
    """
    with open_source(spec, start=settings.start, end=settings.end) as source:
        scores = compare(source, at_hand(settings, say))
    say(f"{'detector':<12}{'recall':>10}{'doubtful/frame':>18}{'ms/frame':>12}")
    for name, score in scores.items():
        say(f"{name:<12}{score.recall:>10.1%}{score.doubtful:>18.2f}{score.milliseconds:>12.1f}")
    say(f"recall: of the faces that two detectors see or one is sure of (score {SURE} and more); doubtful: the others")
    return 0


def at_hand(settings: RecognitionSettings, say: Callable[[str], None]) -> dict[str, Detector]:
    """The detectors that can be opened here, by name, for whole pictures."""
    landmarker = Path(settings.landmarker) if settings.landmarker else None
    weights = Path(settings.face_weights) if settings.face_weights else None
    of_yunet = weights if weights and weights.suffix == ".onnx" and settings.detector != "yolo" else None
    found = {"mediapipe": open_detectors("mediapipe", landmarker=landmarker).far}
    try:
        found["yunet"] = open_detectors("yunet", of_yunet).far
    except MissingError as error:
        say(f"warning: going on without yunet: {error}")
    if weights and not of_yunet:
        found["yolo"] = open_detectors("yolo", weights).far
    return found


def compare(frames: Iterable[Frame], detectors: Mapping[str, Detector]) -> dict[str, Score]:
    """Show every frame to every detector. Raises :class:`InputError` where there is no frame."""
    tallies = {name: Tally() for name in detectors}
    faces = 0
    for frame in frames:
        seen = {name: _timed(detector, frame, tallies[name]) for name, detector in detectors.items()}
        known = agreed(list(seen.values()))
        faces += len(known)
        for name, found in seen.items():
            hits = sum(_holds(found, face) for face in known)
            tallies[name].found += hits
            tallies[name].doubtful += sum(not _holds(known, face) for face in found)
    if not all(tally.seconds for tally in tallies.values()):
        raise InputError("clip has nothing to compare on: expected frames, got none. Check --start and --end.")
    return {name: _score(tally, faces) for name, tally in tallies.items()}


def agreed(seen: Sequence[Sequence[Face]]) -> list[Face]:
    """The faces of a frame that two detectors see or one is sure of, each once, from what each detector found."""
    kept: list[Face] = []
    for face in sorted((face for found in seen for face in found), key=lambda face: -face.score):
        believed = face.score >= SURE or sum(_holds(found, face) for found in seen) > 1
        if believed and not _holds(kept, face):
            kept.append(face)
    return kept


def _holds(faces: Sequence[Face], face: Face) -> bool:
    return any(iou(other.box, face.box) >= SAME for other in faces)


def _timed(detector: Detector, frame: Frame, tally: Tally) -> list[Face]:
    started = time.perf_counter()
    found = detector.detect(frame.image)
    tally.seconds.append(time.perf_counter() - started)
    return found


def _score(tally: Tally, faces: int) -> Score:
    recall = tally.found / faces if faces else float("nan")
    return Score(recall, tally.doubtful / len(tally.seconds), 1000 * float(np.median(tally.seconds)))
