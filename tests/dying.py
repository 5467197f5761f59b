"""Ways to read a video that end the process that does it; they run in processes of their own, so they live here."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from stemo.modes.batch.tasks import Outcome, Task


def die_over_bad_ones(task: Task) -> Outcome:
    """Note this process beside the output, then die: always for ``always*``, the first time only for ``once*``."""
    tries = task.output.with_suffix(".tries")
    with tries.open("a") as file:
        file.write(f"{os.getpid()}\n")
    number = len(tries.read_text().splitlines())
    if task.video.name.startswith("always"):
        os.kill(os.getpid(), signal.SIGKILL)
    if task.video.name.startswith("once") and number == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    if task.video.name.startswith("polite") and number == 1:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)
    return Outcome(1.0)


def keep_when_asked(task: Task) -> Outcome:
    """Take a minute (``a`` none); ``.kept`` beside the output says whether that was "whole" or ended when "asked"."""
    if task.output.stem == "a":
        return Outcome(0.0)
    end = "asked"
    try:
        task.output.with_suffix(".begun").touch()
        # in short steps: a signal that another thread takes does not wake this one
        for _ in range(1200):
            time.sleep(0.05)
        end = "whole"
    finally:
        task.output.with_suffix(".kept").write_text(end)
    return Outcome(60.0)


def tries_of(output: Path) -> list[str]:
    """The processes that took a task up, as they noted it."""
    return output.with_suffix(".tries").read_text().splitlines()
