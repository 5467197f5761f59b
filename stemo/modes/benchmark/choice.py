"""Which benchmark: stage by stage, beside other tools, over a long stream, or many videos at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from stemo.config import RecognitionSettings, Settings
from stemo.errors import ConfigError
from stemo.modes.benchmark.output import Output


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
    overwrite: bool = False

    @property
    def flag(self) -> str:
        """The flag that decides; empty where none does."""
        given = {"--peers": self.peers, "--frames": self.frames is not None, "--workers": self.workers is not None}
        return next((flag for flag, there in given.items() if there), "")


def run_chosen(wish: Wish, settings: Settings) -> int:
    """Run it, and print what it says as it goes; returns 0.

    Raises :class:`StemoError` for flags that do not go together, and an output that cannot be, before anything is
    measured.
    """
    clips, chosen = wish.clips, settings.recognition
    _check_flags(wish, chosen)
    output = _checked_output(wish)
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


def _check_flags(wish: Wish, settings: RecognitionSettings) -> None:
    if wish.record is not None and wish.flag:
        raise ConfigError(
            f"record {wish.record!r} is for --benchmark stage by stage: expected no other kind, got {wish.flag}. "
            f"Leave out --record or {wish.flag}."
        )
    for name, value in (("start", settings.start), ("end", settings.end)):
        if value is not None and wish.flag in ("--peers", "--frames"):
            raise ConfigError(
                f"{name} {value!r} cannot be used: expected whole clips for --benchmark {wish.flag}, got a part. "
                f"Leave out --{name}."
            )


def _checked_output(wish: Wish) -> Output | None:
    if wish.output is None:
        return None
    output = Output(wish.output, wish.overwrite)
    if wish.peers and output.path.suffix.lower() == ".md":
        raise ConfigError(
            f"output {str(output.path)!r} is the name of the table beside the figures: expected another ending with "
            "--peers, got '.md'. Pass --output NAME.json"
        )
    output.check(wish.clips)
    if wish.peers:
        output.table.check(wish.clips)
    return output
