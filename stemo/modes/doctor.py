"""``--doctor``: does this machine have what stemo needs, and which command mends what it lacks?

Every check runs in a process beside this one, so that a library that crashes or hangs there is a line here and no more.
The checks themselves: ``doctor_packages.py``, ``doctor_machine.py`` (processors and graphics, memory, places, camera,
display) and ``doctor_models.py`` (codecs, weights, assets, network).
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, TypeVar

from stemo.errors import StemoError

Words = TypeVar("Words", str, str | None)
PATIENCE = 120.0  # seconds for one check: libraries on a slow drive take their time
PROCESS = "from stemo.modes.doctor import answer; answer({place})"


class Trouble(Exception):
    """What a check found wrong, in one line, and the command that mends it where it is not the check's own."""

    def __init__(self, words: str, mend: str | None = None) -> None:
        super().__init__(words)
        self.mend = mend


@dataclass(frozen=True, slots=True)
class Check:
    """One question to the machine: ``look`` answers in words, or raises anything at all.

    ``needed`` tells whether ``--video`` can do without; ``mend`` is the command for whatever goes wrong, which every
    check of :func:`checks` has.
    """

    name: str
    look: Callable[[], str]
    needed: bool = False
    mend: str = ""
    patience: float = PATIENCE


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found: ``state`` is ok, warn (``--video`` works without it) or fail."""

    name: str
    state: str
    words: str
    mend: str = ""

    def __str__(self) -> str:
        line = f"{self.state:<5} {self.name:<22} {self.words}"
        return f"{line}  mend: {self.mend}" if self.mend else line


def run_doctor(say: Callable[[str], None]) -> int:
    """Check everything, a line for each; returns 1 where something fails that ``--video`` needs, else 0."""
    return report(findings(checks()), say)


def checks() -> list[Check]:
    """Everything there is to check, in the order of its lines; nothing heavy is imported for the list itself."""
    from stemo.modes.doctor_machine import machine_checks
    from stemo.modes.doctor_models import model_checks
    from stemo.modes.doctor_packages import package_checks

    return [*package_checks(), *machine_checks(), *model_checks()]


def by_system(linux: Words, macos: Words, windows: Words) -> Words:
    """What is said on this system."""
    return {"darwin": macos, "win32": windows}.get(sys.platform, linux)


def report(found: Iterable[Finding], say: Callable[[str], None]) -> int:
    """Say each finding as it comes, and the sum of them; returns the exit code."""
    states: list[str] = []
    for finding in found:
        say(str(finding))
        states.append(finding.state)
    failed, warned = states.count("fail"), states.count("warn")
    verdict = "--video has all it needs" if not failed else "--video lacks something: see each line that fails"
    say(f"{len(states)} checks, {failed} failed, {warned} warned: {verdict}")
    return 1 if failed else 0


def examine(check: Check) -> Finding:
    """Run one check here; whatever it raises becomes a finding."""
    try:
        return Finding(check.name, "ok", check.look())
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 (libraries in another language raise more than exceptions)
        mend = error.mend if isinstance(error, Trouble) else None
        return _trouble(check, _first_line(error), mend)


def findings(listed: Sequence[Check]) -> Iterator[Finding]:
    """Examine ``listed``, which is :func:`checks`, in another process, and in a new one after each that it dies of."""
    place = 0
    while place < len(listed):
        for finding in _from_process(listed, place):
            yield finding
            place += 1


def answer(place: int) -> None:
    """The other process: examine the checks from ``place`` on, and print each finding as a line of JSON."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as lines:
        os.dup2(2, 1)  # what libraries print is no finding
        for check in checks()[place:]:
            print(json.dumps(asdict(examine(check))), file=lines, flush=True)


def _from_process(listed: Sequence[Check], place: int) -> Iterator[Finding]:
    """The findings from ``place`` on, as far as one process gets; the last may be that it died or was stuck."""
    process = _start(place)
    answers: queue.Queue[str] = queue.Queue()
    assert process.stdout is not None
    threading.Thread(target=_listen, args=(process.stdout, answers), daemon=True).start()
    try:
        for check in listed[place:]:
            line = _answer_to(check, answers)
            if line is None:
                yield _trouble(check, f"gave no answer within {check.patience:g} s")
                return
            if not line:
                yield _trouble(check, f"ended the process that checked it ({_cause(process.wait())})")
                return
            yield Finding(**json.loads(line))
    finally:
        process.kill()
        process.wait()


def _start(place: int) -> subprocess.Popen[str]:
    package = str(Path(__file__).resolve().parents[2])
    paths = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))
    return subprocess.Popen(
        _command(place),
        env={**os.environ, "PYTHONPATH": paths},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        encoding="utf-8",
    )


def _command(place: int, version: tuple[int, ...] = sys.version_info[:2]) -> list[str]:
    safe = ["-P"] if version >= (3, 11) else []  # an older Python lacks it, and shall be told so by its check
    return [sys.executable, *safe, "-c", PROCESS.format(place=place)]


def _listen(lines: IO[str], answers: queue.Queue[str]) -> None:
    with lines:
        for line in lines:
            answers.put(line)
    answers.put("")


def _answer_to(check: Check, answers: queue.Queue[str]) -> str | None:
    """The next line, empty at the end of the process; ``None`` where none comes in time."""
    try:
        return answers.get(timeout=check.patience)
    except queue.Empty:
        return None


def _trouble(check: Check, words: str, mend: str | None = None) -> Finding:
    return Finding(check.name, "fail" if check.needed else "warn", words, check.mend if mend is None else mend)


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    words = lines[0] if lines else "no reason given"
    return words if isinstance(error, Trouble | StemoError) else f"{type(error).__name__}: {words}"


def _cause(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
