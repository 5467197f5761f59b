"""How long a camera's frame waits for its reading: a clip played at its own pace, read as ``--realtime`` reads."""

from __future__ import annotations

import threading
from contextlib import closing
from pathlib import Path
from typing import Any

from stemo.capture import open_source
from stemo.config import RecognitionSettings
from stemo.modes.live import Live, Meter
from stemo.recognizer import Recognizer

LONGEST = 8.0  # seconds of a clip that are played


def time_latency(clip: Path, recognizer: Recognizer, settings: RecognitionSettings) -> dict[str, Any]:
    """Play the first seconds of ``clip``, without window and scene objects.

    Returns ``frames`` read and ``dropped``, and whole milliseconds from a frame's arrival to its reading that half of
    them (``p50_ms``) and 95 % (``p95_ms``) did not exceed.
    """
    source = open_source(str(clip), start=settings.start, end=settings.end)
    limits = None, (settings.start or 0.0) + LONGEST
    with Live(source, threading.Event(), limits=limits) as live, recognizer.stages(in_turn=True) as pipeline:
        meter = Meter(live)
        with closing(pipeline.results(live, overlapped=False)) as results:
            for _ in meter.watch(results):
                pass
        dropped = live.dropped
    return {
        "frames": meter.frames,
        "dropped": dropped,
        "p50_ms": meter.quantile(0.5),
        "p95_ms": meter.quantile(0.95),
    }
