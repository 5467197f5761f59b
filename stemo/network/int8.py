"""The 8-bit twin of some weights: two graphs beside them, made by ``quantising.py`` and known to their description.

``stemo_base.safetensors`` has ``stemo_base_int8_frame.onnx`` and ``stemo_base_int8_clip.onnx``; the description's
``metrics["int8"]`` holds their hashes and what they cost in accuracy.
"""

from __future__ import annotations

import hashlib
import platform
from dataclasses import dataclass
from pathlib import Path

from stemo.errors import WeightsError
from stemo.network.checkpoint import WeightFacts

PARTS = ("frame", "clip")
FACTS = "int8"  # of the description's metrics
CPU_FACTS = Path("/proc/cpuinfo")
INSTRUCTIONS = {"avx512_vnni", "avx_vnni", "asimddp"}  # products of 8-bit integers, summed in 32 bits


@dataclass(frozen=True, slots=True)
class Twin:
    """The graphs of the frame part and of the clip part, as ONNX files."""

    frame: bytes
    clip: bytes


def twin_path(weights: Path, part: str) -> Path:
    """Where the twin's ``part``, frame or clip, of these weights lies."""
    return weights.with_name(f"{weights.stem}_{FACTS}_{part}.onnx")


def find_twin(weights: Path, facts: WeightFacts) -> Twin | None:
    """The twin that the description ``facts`` of ``weights`` knows; ``None`` where it knows none.

    Raises :class:`WeightsError` for one that is missing or not the one that was measured.
    """
    known = facts.metrics.get(FACTS)
    if known is None:
        return None
    return Twin(*(_checked(twin_path(weights, part), known["sha256"][part]) for part in PARTS))


def has_instructions() -> bool:
    """Whether this processor multiplies 8-bit integers faster than floats, as far as the system tells (Linux)."""
    if platform.system() == "Darwin":
        return platform.machine() == "arm64"
    try:
        lines = CPU_FACTS.read_text().splitlines()
    except OSError:
        return False
    words = next((line.split() for line in lines if line.lower().startswith(("flags", "features"))), [])
    return not INSTRUCTIONS.isdisjoint(words)


def _checked(path: Path, sha256: str) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise WeightsError(
            f"weights {str(path)!r} cannot be read: expected the 8-bit twin that the description names, got {error}. "
            "Restore it, or pass --backend onnx."
        ) from error
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise WeightsError(
            f"weights {str(path)!r} have been changed: expected sha256 {sha256}, got {found}. Restore the file, or "
            "pass --backend onnx."
        )
    return data
