"""How many processors there are, of which kind, and how the stages share them.

The network has half of them, the decoder and the encoder a quarter each; every other library works on one, that of the
thread that calls it, so that they do not wait for each other. Processes that read side by side take a share each.
"""

from __future__ import annotations

import math
import os
import platform
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path, PurePosixPath

TURN = 1e-4
X86 = ("x86_64", "amd64")
OWN_GROUPS = Path("/proc/self/cgroup")
GROUPS = Path("/sys/fs/cgroup")
_limit: int | None = None


def available_processors() -> int:
    """How many processors this process may use, at least 1; a container or ``taskset`` may allow fewer than there are.

    Where the system cannot say (macOS, Windows), all that there are.
    """
    there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(there, container_processors() or there, _limit or there)


def processor_groups(count: int) -> list[list[int]]:
    """The numbers of the processors that this process may use, dealt out to ``count`` threads that work together.

    Empty where each would not get one of its own, or the system cannot say. In a virtual machine Linux puts a thread
    that it wakes where the one that waits for it works already, and notices only milliseconds later.
    """
    allowed = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    size = min(len(allowed), available_processors()) // count
    return [allowed[place * size : (place + 1) * size] for place in range(count)] if size and count > 1 else []


@contextmanager
def staying_on(processors: Sequence[int]) -> Iterator[None]:
    """The calling thread works on ``processors`` only; where they are not (no longer) its own, wherever it is put."""
    before = os.sched_getaffinity(0)
    with suppress(OSError):
        os.sched_setaffinity(0, processors)
    try:
        yield
    finally:
        with suppress(OSError):
            os.sched_setaffinity(0, before)


def is_x86() -> bool:
    """Whether the processors are of the kind that Intel and AMD make: some libraries are at home there only."""
    return platform.machine().lower() in X86


@cache
def container_processors() -> int | None:
    """How many processors' time the control groups of this process allow it, at least 1 (``docker run --cpus=2``).

    ``None`` without such a limit. Read once: it is asked for often, and changes hardly ever.
    """
    try:
        lines = OWN_GROUPS.read_text().splitlines()
    except OSError:
        return None
    limits = [limit for line in lines for folder in _folders(line) if (limit := _allowed(folder)) is not None]
    return max(1, math.ceil(min(limits))) if limits else None


def limit_processors(count: int) -> None:
    """Let this process count on no more than ``count`` processors, because others read beside it.

    For a whole process, like :func:`share_processors`, and for what it opens from now on.
    """
    global _limit
    _limit = max(1, count)


def _folders(line: str) -> Iterator[Path]:
    """The folders of a group and of those above it; ``line`` names it as ``number:controllers:path``."""
    _, controllers, path = line.split(":", 2)
    if controllers and "cpu" not in controllers.split(","):
        return
    mounts = {"cpu", controllers} if controllers else {"", "unified"}  # the second version has one tree for all
    inner = PurePosixPath(*(part for part in PurePosixPath(path).parts if part not in ("/", "..")))
    for mount in mounts:
        # a container sees its own group at the root, under whatever name the host has for it
        yield from (GROUPS / mount / group for group in (inner, *inner.parents))


def _allowed(folder: Path) -> float | None:
    """The processors that a group may use; ``None`` where it says nothing, or that there is no limit."""
    try:
        quota, period, *_ = [*_numbers(folder / "cpu.max"), 100_000]
    except (OSError, ValueError):
        try:
            (quota,), (period,) = (_numbers(folder / f"cpu.cfs_{name}_us") for name in ("quota", "period"))
        except (OSError, ValueError):
            return None
    return quota / period if quota > 0 and period > 0 else None


def _numbers(path: Path) -> list[int]:
    return [int(word) for word in path.read_text().split()]


def codec_threads() -> int:
    """Threads for the decoder, and for the encoder: a quarter of the processors each, one at least.

    With the network's half that is all of them. What finds and draws faces, on one thread each, lives on what these
    leave idle, since stages wait for each other; FFmpeg's own choice, all processors for each, would take it from them.
    """
    return max(1, available_processors() // 4)


def share_processors() -> None:
    """Let torch and OpenCV work on the thread that calls them; the network's engine has threads of its own.

    A stage that comes back from native code waits for the Python of another :data:`TURN` seconds at most; with the
    interpreter's own five milliseconds, a twentieth fewer frames are read. For a whole command only: these are settings
    of the process.
    """
    import cv2
    import torch

    sys.setswitchinterval(TURN)
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
