"""One video of a batch: read on its own, in whatever process, so that its faults stay its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from stemo.config import RecognitionSettings
from stemo.errors import ConfigError, StemoError, TruncatedError, WeightsError
from stemo.modes.standing import Place
from stemo.modes.video import make_recognizer, run_video
from stemo.processors import limit_processors
from stemo.recognizer import Recognizer


@dataclass(frozen=True, slots=True)
class Task(Place):
    """A video to read, and the place for its results.

    ``processors`` is how many it may count on (``None``: all), ``bar`` whether a terminal shows its frames.
    """

    processors: int | None = None
    bar: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """How it went, in ``seconds``; ``problem`` is one line, empty where all is well.

    ``kept``: the input broke off, and what came before has results. ``everyones``: the fault lies in the settings or
    weights, so every other video would fail the same way. ``died``: the process did, and could not clean up.
    ``last``: the user asked to stop while it was being finished.
    """

    seconds: float = 0.0
    problem: str = ""
    kept: bool = False
    everyones: bool = False
    died: bool = False
    warnings: tuple[str, ...] = ()
    last: bool = False


Read: TypeAlias = Callable[[Task], Outcome]


def read_task(task: Task) -> Outcome:
    """Read the video, replacing what is there; raises nothing but an interruption, which keeps what was computed."""
    said: list[str] = []
    started = time.monotonic()
    problem, kept, everyones, stop = "", False, False, threading.Event()
    if task.processors is not None:
        limit_processors(task.processors)  # first: weights that are an ONNX file begin their threads when opened
    try:
        recognizer = _recognizer(task.settings)
        started = time.monotonic()  # loading is done once for many
        _read(task, recognizer, said.append, stop)
    except StemoError as error:
        problem, kept = str(error), isinstance(error, TruncatedError)
        everyones = isinstance(error, ConfigError | WeightsError)
    except Exception as error:  # noqa: BLE001 - one video must never end the others
        _recognizer.cache_clear()  # whatever broke may have broken it too
        reason = " ".join(str(error).split()) or "no reason given"
        problem = f"unexpected {type(error).__name__}: {reason}"
    warnings = tuple(line for line in said if line.startswith("warning:"))
    return Outcome(time.monotonic() - started, problem, kept, everyones, warnings=warnings, last=stop.is_set())


def _read(task: Task, recognizer: Recognizer, say: Callable[[str], None], stop: threading.Event) -> None:
    run_video(
        str(task.video),
        task.output,
        task.settings,
        task.no_video,
        True,
        say,
        resume=task.resume,
        recognizer=recognizer,
        bar=task.bar,
        stop=stop,
    )


@lru_cache(maxsize=1)
def _recognizer(settings: RecognitionSettings) -> Recognizer:
    """Loaded once for all the videos that a process reads."""
    return make_recognizer(settings)
