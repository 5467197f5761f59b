"""The facts about a run, beside its rows: ``<output>_meta.json``."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from fractions import Fraction
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from stemo.output.data import SCHEMA_VERSION, output_name
from stemo.output.pending import Pending, failed

PACKAGES = (
    "stemo",
    "torch",
    "mediapipe",
    "ai-edge-litert",
    "openvino",
    "onnxruntime",
    "numpy",
    "opencv-python",
    "av",
    "ultralytics",
)


def write_meta(
    base: Path,
    *,
    source: Mapping[str, Any],
    fps: Fraction | float,
    model: Mapping[str, Any],
    settings: Mapping[str, Any],
    counts: Mapping[str, int],
    complete: bool,
    overwrite: bool = False,
) -> Path:
    """Write the facts beside ``base`` (``OUT.mp4`` gives ``OUT_meta.json``) and return the path.

    ``counts`` holds frames, rows, faces and tracks; ``complete`` is false when the input ended early. Raises
    :class:`~stemo.errors.OutputError` when the file exists without ``overwrite`` or cannot be written.
    """
    rate = Fraction(fps).limit_denominator(100_000)
    facts = {
        "schema_version": SCHEMA_VERSION,
        "complete": complete,
        "source": dict(source),
        "fps": {"exact": f"{rate.numerator}/{rate.denominator}", "value": round(float(rate), 6)},
        "counts": dict(counts),
        "model": dict(model),
        "settings": dict(settings),
        "versions": package_versions(),
    }
    pending = Pending(output_name(Path(base), "meta.json"), overwrite=overwrite)
    try:
        text = json.dumps(_finite(facts), indent=2, ensure_ascii=False, default=str, allow_nan=False) + "\n"
        # a file name that is no UTF-8 becomes JSON's own escapes
        pending.part.write_text(text, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        pending.discard()
        raise failed(pending.path, error) from error
    return pending.commit()


def _finite(value: Any) -> Any:
    """The same with ``None`` for every number that is none: JSON knows neither NaN nor Infinity."""
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def package_versions() -> dict[str, str | None]:
    """The installed version of every package that shapes a result; ``None`` where one is absent."""
    return {name: _version(name) for name in PACKAGES}


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
