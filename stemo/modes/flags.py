"""Which flags belong together: what a mode would leave unused in silence is refused."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from stemo.config import read_sections
from stemo.errors import ConfigError

SUMMARY = ("weights", "overwrite", "architecture", "size", "config")  # what has a meaning without a mode
SEE = "See: python main.py --help"


def check_values(arguments: Sequence[str]) -> None:
    """Raise :class:`ConfigError` for an empty value, as a variable of the shell that is not set leaves."""
    for before, value in zip(["command line", *arguments], arguments, strict=False):
        together = value.startswith("--") and value.endswith("=")
        if together or not value.strip():
            name = value[:-1] if together else before
            raise ConfigError(f"{name} has an empty value: expected one, got {value!r}. Is a variable not set? {SEE}")


def check_together(options: Namespace, usual: Namespace) -> None:
    """Raise :class:`ConfigError` for ``options`` without a meaning in their mode; ``usual`` are those of no flags."""
    given = [name for name, value in vars(options).items() if value != getattr(usual, name)]
    check_workers(options.workers)
    if options.video is not None:
        _refuse(given, ("record",), "with --video", "Name the annotated video with --output.")
    elif options.realtime and options.output is None:
        _refuse(given, ("format",), "in --realtime without --output", "Name the rows with --output.")
    elif _is_summary(options):
        others = tuple(name for name in given if name not in SUMMARY)
        _refuse(given, others, "without a mode", f"Add one, such as --video IN. {SEE}")


def check_workers(workers: int | None) -> None:
    """Raise :class:`ConfigError` for a number of workers that cannot work."""
    if workers is not None and workers < 1:
        raise ConfigError(f"workers {workers!r} is out of range: expected 1 or more, got {workers}.")


def check_one_video(engine: str, workers: int | None) -> None:
    """Raise :class:`ConfigError` for an engine, or for workers, that have nothing to share out."""
    if workers is not None and workers > 1:
        raise _for_many(f"workers {workers} are", "--workers")
    if engine != "local":
        raise _for_many(f"engine {engine!r} is", "--engine")


def _for_many(what: str, flag: str) -> ConfigError:
    return ConfigError(
        f"{what} for many videos: expected a folder, a pattern or a list of them, got one source. "
        f"Leave {flag} out, or name it in a list (.txt)."
    )


def live_formats(given: str | None, config: Path | None) -> str | None:
    """The data formats that a flag (``given``) or a YAML file names for what is seen live; ``None`` where neither does.

    ``config`` is the file, which :func:`stemo.config.load_settings` has found right: its settings no longer tell what
    was written there from what holds without it.
    """
    if given or config is None:
        return given
    return (read_sections(config).get("recognition") or {}).get("format")


def _is_summary(options: Namespace) -> bool:
    modes = ("evaluate", "explain", "train_detector", "compare_detectors", "benchmark", "card", "export", "prepare")
    named = any(getattr(options, mode) is not None for mode in modes)
    return not (named or options.realtime or options.demo or options.train or options.doctor)


def _refuse(given: Sequence[str], meaningless: Sequence[str], where: str, advice: str) -> None:
    for name in given:
        if name in meaningless:
            flag = f"--{name.replace('_', '-')}"
            raise ConfigError(f"{flag} has no meaning {where}: expected it left out, got it. {advice}")
