"""The pace of this machine at this hour: virtual ones drift by half, and figures compare only beside it."""

from __future__ import annotations

import time

ADDITIONS, REPEATS = 10_000_000, 3


def python_pace() -> float:
    """Seconds for :data:`ADDITIONS` additions in plain Python, the best of :data:`REPEATS`."""
    return min(_seconds(ADDITIONS) for _ in range(REPEATS))


def _seconds(additions: int) -> float:
    started = time.perf_counter()
    total = 0
    for number in range(additions):
        total += number
    return time.perf_counter() - started
