"""Results as rows, ready for the :mod:`~stemo.output.writers`.

One row per face per frame, and one for a frame without a face (its readings null). The values at the top of a row are
the smoothed ones; ``raw`` keeps what the network said. ``schema.json`` describes the JSON.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import chain, count
from pathlib import Path
from typing import Any, TypeAlias

from stemo.errors import OutputError
from stemo.records import EMOTIONS, Affect, FrameResult, Reading, SceneObject

Row: TypeAlias = dict[str, Any]

SCHEMA_VERSION = "1.0"
SCHEMA_PATH = Path(__file__).with_name("schema.json")
KNOWN_ENDINGS = {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".json", ".jsonl", ".csv", ".parquet", ".png", ".jpg"}


def rows(result: FrameResult) -> list[Row]:
    """The rows of one frame, in the order of its readings: JSON-ready values, floats rounded, missing is ``None``.

    Times and probabilities have 6 digits (probabilities still sum to 1 within 1e-5), boxes 2, in pixels. Raises
    :class:`OutputError` for a value that is not finite, which no format could carry truthfully.
    """
    objects = [_object(item) for item in result.objects]
    return [_row(reading, objects) for reading in result.readings]


def default_output(spec: str, ending: str = "stemo.mp4") -> Path:
    """``talk.mp4`` -> ``talk_stemo.mp4`` in the current folder; see :func:`input_name`."""
    return Path(f"{input_name(spec)}_{ending}")


def input_name(spec: str) -> str:
    """What an input is called: a file without its ending, a folder, the path or else the host of a stream address.

    A stream's user, password and query are never part of it.
    """
    if "://" in spec:
        place, _, path = re.split(r"[?#]", spec.partition("://")[2].rpartition("@")[2])[0].partition("/")
        return Path(path).stem or re.sub(r"[^\w.-]+", "_", re.sub(r":\d*$", "", place)).strip("_") or "stream"
    path = Path(spec)
    return (Path(os.path.abspath(path)).name if path.is_dir() else path.stem) or "stream"


def output_name(base: Path, ending: str) -> Path:
    """The name of a companion of ``base``: ``OUT.mp4`` and ``results.json`` give ``OUT_results.json``."""
    stem = base.stem if base.suffix.lower() in KNOWN_ENDINGS else base.name
    return base.with_name(f"{stem}_{ending}")


_READING = ("emotion", "confidence", "valence", "arousal")


@cache
def _chance_columns(labels: tuple[str, ...]) -> dict[str, str]:
    """The column of each label, without the prefix of the raw ones.

    Those that differ in case or signs alone, as weights of others may have them, are numbered.
    """
    named: dict[str, str] = {}
    for label in labels:
        plain = "p_" + re.sub(r"\W+", "_", label.lower())
        numbered = (f"{plain}_{number}" for number in count(2))
        named[label] = next(name for name in chain([plain], numbered) if name not in named.values())
    return named


def columns(labels: Sequence[str] = EMOTIONS) -> tuple[str, ...]:
    """The flat columns of readings in the categories ``labels``, in order."""
    chances = _chance_columns(tuple(labels)).values()
    return (
        *("frame", "time_s", "face_id", *_READING, *chances),
        *("box_x1", "box_y1", "box_x2", "box_y2", "face_score"),
        *(f"raw_{name}" for name in (*_READING, *chances)),
        *("yaw", "pitch", "roll", "objects"),
    )


COLUMNS = columns()


def schema(labels: Sequence[str] = EMOTIONS) -> dict[str, Any]:
    """The JSON Schema of results in the categories ``labels``; that of the seven is ``schema.json`` itself."""
    described: dict[str, Any] = json.loads(SCHEMA_PATH.read_text(encoding="utf-8"))
    chances = described["$defs"]["probabilities"]
    described["$defs"]["emotion"]["enum"] = list(labels)
    chances["properties"] = {label: {"$ref": "#/$defs/unit"} for label in labels}
    chances["required"] = list(labels)
    return described


def flatten(row: Row, labels: Sequence[str] = EMOTIONS) -> Row:
    """A row of :func:`rows` as flat :func:`columns`; ``objects`` stays a list."""
    raw = row["raw"] or {}
    flat = {name: row[name] for name in ("frame", "time_s", "face_id", *_READING, "face_score", "objects")}
    flat |= _chances(row["probabilities"], "", labels) | _chances(raw.get("probabilities"), "raw_", labels)
    flat |= {f"raw_{name}": raw.get(name) for name in _READING}
    flat |= dict(zip(("box_x1", "box_y1", "box_x2", "box_y2"), row["box"] or (None,) * 4, strict=True))
    return flat | {name: (row["head_pose"] or {}).get(name) for name in ("yaw", "pitch", "roll")}


def _chances(probabilities: dict[str, float] | None, prefix: str, labels: Sequence[str]) -> Row:
    values = probabilities or {}
    return {f"{prefix}{column}": values.get(label) for label, column in _chance_columns(tuple(labels)).items()}


def _row(reading: Reading, objects: list[Row]) -> Row:
    face, pose = reading.face, reading.face and reading.face.pose
    affect = _affect(reading.smoothed or reading.raw)
    return {
        "frame": reading.frame,
        "time_s": _round(reading.time, 6),
        "face_id": face and face.track_id,
        **(affect or dict.fromkeys((*_READING, "probabilities"))),
        "box": face and _box(face.box),
        "face_score": face and _round(face.score, 4),
        "raw": _affect(reading.raw),
        "head_pose": pose and dict(zip(("yaw", "pitch", "roll"), _rounded(pose, 2), strict=True)),
        "objects": objects,
    }


def _affect(affect: Affect | None) -> Row | None:
    if affect is None:
        return None
    confidence, valence, arousal = _rounded((affect.confidence, affect.valence, affect.arousal), 6)
    return {
        "emotion": affect.emotion,
        "confidence": confidence,
        "valence": valence,
        "arousal": arousal,
        "probabilities": dict(zip(affect.labels, _rounded(affect.probabilities, 6), strict=True)),
    }


def _object(item: SceneObject) -> Row:
    return {"label": item.label, "confidence": _round(item.confidence, 4), "box": _box(item.box)}


def _box(box: Iterable[float]) -> list[float]:
    return _rounded(box, 2)


def _rounded(values: Iterable[float], digits: int) -> list[float]:
    rounded = [round(float(value), digits) for value in values]
    for value in rounded:
        if not math.isfinite(value):
            raise OutputError(f"reading {value!r} is not finite: expected a number, got {value}. Check the weights.")
    return rounded


def _round(value: float, digits: int) -> float:
    return _rounded((value,), digits)[0]
