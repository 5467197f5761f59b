"""The tasks of a batch on a Ray cluster that is running: Ray chooses the machines, and runs a task again elsewhere
where its process or machine dies.

Every machine of the cluster needs stemo, and sees the videos and the output folder under the same paths.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from stemo.errors import ConfigError
from stemo.modes.batch.engines import Outcomes
from stemo.modes.batch.tasks import Outcome, Read, Task, read_task

RETRIES = 2  # after a task's process or machine died
ANSWER = 10.0  # seconds that a cluster has to answer at all
PATIENCE = 30.0  # seconds that interrupted tasks have to keep what they computed


def on_ray(tasks: Sequence[Task], read: Read = read_task) -> Outcomes:
    """As many tasks at a time as the cluster has processors; with ``--device cuda``, as it has GPUs.

    Raises :class:`ConfigError` where Ray is not installed, no cluster is running, or it has no GPU to give.
    """
    if not tasks:
        return
    ray = _connect()
    waiting: list[Any] = []
    try:
        needs = {"num_cpus": 1, "num_gpus": _gpus(ray, tasks[0]), "max_retries": RETRIES}
        remote = ray.remote(read)
        running = {remote.options(name=task.video.name, **needs).remote(task): task for task in tasks}
        waiting = list(running)
        while waiting:
            (ended, *_), waiting = ray.wait(waiting)
            yield running[ended], _outcome(ray, ended, running[ended])
    finally:
        for reference in waiting:
            ray.cancel(reference)
        if waiting:
            ray.wait(waiting, num_returns=len(waiting), timeout=PATIENCE)
        ray.shutdown()


def _connect() -> Any:
    try:
        import ray
    except ImportError as error:
        raise ConfigError(
            "engine 'ray' is not installed: expected the package ray, got none. Install it with: pip install '.[ray]'"
        ) from error
    _check_answers(os.environ.get("RAY_ADDRESS", ""))
    try:
        ray.init(address="auto", logging_level=logging.ERROR, log_to_driver=False)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        reason = str(error).split(". ")[0].split("\n")[0].rstrip(".:")
        raise _no_cluster(reason) from error
    return ray


def _check_answers(address: str) -> None:
    """Raise :class:`ConfigError` where nobody listens at ``address``, for which Ray itself waits many minutes."""
    named = urlsplit(address if "://" in address else f"//{address}")
    try:
        if named.hostname and named.port:
            socket.create_connection((named.hostname, named.port), timeout=ANSWER).close()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise _no_cluster(f"no answer at RAY_ADDRESS {address!r}, {reason[:1].lower()}{reason[1:]}") from error


def _no_cluster(reason: str) -> ConfigError:
    return ConfigError(
        f"engine 'ray' found no cluster: expected one that is running, got: {reason}. "
        "Start it with: ray start --head, or name it in RAY_ADDRESS."
    )


def _gpus(ray: Any, task: Task) -> int:
    """GPUs that a task asks the cluster for."""
    if not task.settings.device.startswith("cuda"):
        return 0
    if not ray.cluster_resources().get("GPU"):
        raise ConfigError(
            f"device {task.settings.device!r} is not in the cluster: expected a GPU, got none. Use --device cpu."
        )
    return 1


def _outcome(ray: Any, reference: Any, task: Task) -> Outcome:
    """The task's own outcome, or what Ray says became of it."""
    try:
        outcome: Outcome = ray.get(reference)
    except ray.exceptions.RayTaskError as error:  # it could not even begin
        return Outcome(
            problem=f"video {str(task.video)!r} could not be given to a machine of the cluster: expected one with this "
            f"version of stemo, got {_line(error, -1)}. Install it there."
        )
    except ray.exceptions.RayError as error:
        return Outcome(
            problem=f"process of {str(task.video)!r} died {RETRIES + 1} times on the cluster: expected it to finish, "
            f"got {type(error).__name__}: {_line(error, 0)} Check the memory of its machines.",
            died=True,
        )
    return outcome


def _line(error: Exception, place: int) -> str:
    """The first line of Ray's words (0), or the last (-1)."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines or [type(error).__name__])[place]
