"""Where the tasks of a batch run: in this process, in several on this machine, or on a Ray cluster.

All three are one kind of function: tasks in, each task with its outcome out, in the order in which they end.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import CancelledError, ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing import connection, get_context, parent_process
from queue import SimpleQueue
from typing import TypeAlias

from stemo.errors import ConfigError
from stemo.modes.batch.tasks import Outcome, Read, Task, read_task
from stemo.modes.flags import check_workers
from stemo.processors import available_processors

ATTEMPTS = 2  # processes that may die over one video
GRACE = 30.0  # seconds that a process has to keep what it computed, where the one that started it has died

Outcomes: TypeAlias = Generator[tuple[Task, Outcome], None, None]


@dataclass(frozen=True, slots=True)
class Engine:
    """``run`` gives each task with its outcome; ``processors`` is what each may count on, ``None`` for all.

    ``alike`` is whether all tasks meet the same machine, so that what is wrong with it is wrong for all of them.
    Closing the generator early interrupts what is running; what that has computed is kept.
    """

    run: Callable[[Sequence[Task]], Outcomes]
    processors: int | None = None
    alike: bool = True


def choose_engine(name: str = "local", workers: int | None = None) -> Engine:
    """The engine "local" or "ray"; raises :class:`ConfigError` for a number of workers that it cannot have."""
    check_workers(workers)
    if name == "ray":
        if workers is not None:
            raise ConfigError(
                f"workers {workers!r} has no meaning on a Ray cluster: expected none, for the cluster gives each video "
                f"one of its processors, got {workers}. Leave --workers out."
            )
        from stemo.modes.batch.ray_cluster import on_ray

        return Engine(on_ray, 1, alike=False)
    if workers is None or workers == 1:
        return Engine(in_this_process)
    return Engine(partial(in_processes, workers=workers), max(1, available_processors() // workers))


def in_this_process(tasks: Sequence[Task], read: Read = read_task) -> Outcomes:
    """One task after the other."""
    for task in tasks:
        outcome = read(task)
        yield task, outcome
        if outcome.last:
            raise KeyboardInterrupt


def in_processes(tasks: Sequence[Task], workers: int, read: Read = read_task) -> Outcomes:
    """``workers`` tasks at a time, in processes of their own; where one dies, its task is run once more in a new one.

    A pool of many processes would lose all of its tasks with one process, so each has a pool to itself.
    """
    lanes = [Lane() for _ in range(min(workers, len(tasks)))]
    free: SimpleQueue[Lane] = SimpleQueue()
    for lane in lanes:
        free.put(lane)

    def run(task: Task) -> Outcome:
        lane = free.get()
        try:
            return lane.run(read, task)
        finally:
            free.put(lane)

    with ThreadPoolExecutor(max(1, len(lanes)), "stemo-lane") as threads:
        futures = {threads.submit(run, task): task for task in tasks}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        except BaseException:
            threads.shutdown(wait=False, cancel_futures=True)
            for lane in lanes:
                lane.interrupt()
            raise
        finally:
            for lane in lanes:
                lane.close()


class Lane:
    """A process that runs one task after the other, and is replaced when it dies."""

    def __init__(self) -> None:
        self._pool: ProcessPoolExecutor | None = None
        self._process: int | None = None
        self._interrupted = False

    def run(self, read: Read, task: Task) -> Outcome:
        """The outcome of ``task``, or the report that it killed :data:`ATTEMPTS` processes."""
        for _ in range(ATTEMPTS):
            try:
                return self._open().submit(_run, read, task).result()
            # killed outright, or asked to end by somebody else
            except (BrokenProcessPool, SystemExit, KeyboardInterrupt):
                self.close()
        return Outcome(
            problem=f"process of {str(task.video)!r} died {ATTEMPTS} times: expected it to finish, got killed. "
            "Check the memory, or use fewer --workers.",
            died=True,
        )

    def interrupt(self) -> None:
        """Let the process keep what it has computed and end; it runs nothing after that."""
        self._interrupted = True
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.kill(self._process, signal.SIGTERM)

    def close(self) -> None:
        """Wait for the process to end."""
        pool, self._pool, self._process = self._pool, None, None
        if pool is not None:
            pool.shutdown()

    def _open(self) -> ProcessPoolExecutor:
        pool = self._pool
        if pool is None and not self._interrupted:
            pool = self._pool = ProcessPoolExecutor(1, get_context("spawn"), _begin)
            self._process = pool.submit(os.getpid).result()
        if pool is None or self._interrupted:
            raise CancelledError
        return pool


_at_work = threading.Lock()  # held by a process while it has a task


def _run(read: Read, task: Task) -> Outcome:
    with _at_work:
        return read(task)


def _begin() -> None:
    """Set a new process up: Ctrl-C is for the one that started it, which passes it on, and whose end is its own."""
    if hasattr(os, "setpgrp"):
        os.setpgrp()  # a terminal sends Ctrl-C to the whole group, and a second one breaks in on what is being kept
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    threading.Thread(target=_end_with_parent, name="stemo-parent", daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        signal.raise_signal(signal.SIGTERM)
        _at_work.acquire(timeout=GRACE)
        os._exit(1)
