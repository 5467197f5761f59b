"""How much memory this process holds and has held, in MB; NaN where the system does not say (Windows)."""

from __future__ import annotations

import math
import sys
from pathlib import Path

STATUS = Path("/proc/self/status")


def peak_memory() -> float:
    """The most memory that this process held, in MB."""
    # what a parent held before it started this one counts for getrusage, but not for /proc
    return _of_status("VmHWM") or _of_usage()


def memory() -> float:
    """The memory that this process holds now, in MB; the most it held where the system does not say more."""
    return _of_status("VmRSS") or _of_usage()


def told_mb(size: float, form: str = ".0f") -> str:
    """A ``size`` in MB in words; "unknown" for NaN."""
    return "unknown" if math.isnan(size) else f"{size:{form}} MB"


def _of_status(name: str) -> float | None:
    if not STATUS.is_file():
        return None
    found = [line.split()[1] for line in STATUS.read_text().splitlines() if line.startswith(f"{name}:")]
    return int(found[0]) / (1 << 10) if found else None


def _of_usage() -> float:
    try:
        import resource
    except ImportError:
        return math.nan
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)  # macOS counts bytes, Linux kilobytes
