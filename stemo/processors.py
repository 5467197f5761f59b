"""How many processors there are, and how the stages share them.

Each library works on one, so that they do not wait for each other; processes that read side by side take a share each.
"""

from __future__ import annotations

import os
import sys

TURN = 1e-4
FEW = 2  # processors that finding faces and reading them keep at work
_limit: int | None = None


def available_processors() -> int:
    """How many processors this process may use, at least 1; a container or ``taskset`` may allow fewer than there are.

    Where the system cannot say (macOS, Windows), all that there are.
    """
    there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return there if _limit is None else min(there, _limit)


def limit_processors(count: int) -> None:
    """Let this process count on no more than ``count`` processors, because others read beside it.

    For a whole process, like :func:`share_processors`, and for what it opens from now on.
    """
    global _limit
    _limit = max(1, count)


def codec_threads() -> int:
    """Threads for a decoder or encoder; 0 where it may choose, as FFmpeg writes that.

    One where the stages keep the processors at work already: a twentieth more frames are read than with its choice.
    """
    return _limit or (1 if available_processors() <= FEW else 0)


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
