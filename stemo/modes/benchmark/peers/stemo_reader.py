"""stemo itself, in a process of its own as the others are: frames to rows as ``--video --no-video`` does it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

from stemo.capture import open_source
from stemo.config import RecognitionSettings
from stemo.modes.video import make_recognizer
from stemo.output.sinks import RowSink
from stemo.pipeline import deliver
from stemo.processors import share_processors
from stemo.records import Frame


class Reader:
    """Reads clips with the settings ``given`` (those of :class:`RecognitionSettings` by name)."""

    def __init__(self, **given: Any) -> None:
        share_processors()
        self._recognizer = make_recognizer(RecognitionSettings(**given))

    def read_clip(self, clip: str, rows: str, limit: int | None) -> dict[str, Any]:
        """Frames, rows, rows with a face, and seconds from the first frame to the closed file of rows (JSON)."""
        with open_source(clip) as source, self._recognizer.stages() as pipeline:
            sink = RowSink(Path(rows), ["json"], overwrite=True, labels=self._recognizer.facts.labels)
            frames: Iterator[Frame] = islice(source, limit)
            started = time.perf_counter()
            with closing(pipeline.results(frames)) as results:
                deliver(results, [sink])
            seconds = time.perf_counter() - started
        counts = sink.counts
        return {"frames": counts["frames"], "rows": counts["rows"], "faces": counts["faces"], "seconds": seconds}
