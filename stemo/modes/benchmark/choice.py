"""Which benchmark: stage by stage, beside other tools, over a long stream, or many videos at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from stemo.config import Settings


@dataclass(frozen=True, slots=True)
class Wish:
    """What the command line says of ``--benchmark``: the first of ``peers``, ``frames`` and ``workers`` decides."""

    clips: Sequence[str]
    output: Path | None = None
    peers: Sequence[Path] = ()
    split: str | None = None
    frames: int | None = None
    workers: int | None = None
    record: str | None = None


def run_chosen(wish: Wish, settings: Settings) -> int:
    """Run it, and print what it says as it goes; returns 0."""
    clips, output, chosen = wish.clips, wish.output, settings.recognition
    say = partial(print, flush=True)  # a long run is followed through a pipe as well
    if wish.peers:
        from stemo.modes.benchmark.peers.run import Request, run_peers

        return run_peers(Request(clips, wish.peers, settings.training.data, wish.split, output), chosen, say)
    if wish.frames is not None:
        from stemo.modes.benchmark.steady import run_steady

        return run_steady(clips, wish.frames, output, chosen, say)
    if wish.workers is not None:
        from stemo.modes.benchmark.throughput import run_throughput

        return run_throughput(clips, wish.workers, output, chosen, say)
    from stemo.modes.benchmark.run import run_benchmark

    return run_benchmark(clips, output, chosen, say, record=wish.record)
