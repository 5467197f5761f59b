"""What libraries print, log, warn of or tell others where only stemo's own lines belong."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
import warnings
from collections.abc import Iterator

SILENCE = threading.RLock()


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keeps C++ libraries' chatter off stderr; it goes past Python, hence the file descriptor."""
    # one at a time: a thread that saved another's silence would restore it for good
    with SILENCE:
        try:
            saved = os.dup(2)
        except OSError:  # a process without stderr has nothing to silence
            yield
            return
        try:
            with open(os.devnull, "wb") as sink:
                os.dup2(sink.fileno(), 2)
            yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)


def silence_openvino() -> None:
    """Keep OpenVINO from telling its makers of its use; to be called before its first import.

    It sends them a count, and forks a process for it, as soon as it is imported, unless the package that does so cannot
    be.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]


@contextlib.contextmanager
def unremarked() -> Iterator[None]:
    """Keeps back Python libraries' warnings and log lines below errors: exporters warn of their own future, at length.

    These are settings of the process, so it is for commands that do one thing.
    """
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
