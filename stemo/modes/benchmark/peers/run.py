"""stemo and other tools over the same clips, in rounds of alternating order, and over the same labelled faces."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import stemo
from stemo.config import RecognitionSettings
from stemo.errors import ConfigError
from stemo.modes.benchmark.clips import named_clips, size_of
from stemo.modes.benchmark.output import Output, Say
from stemo.modes.benchmark.peers.accuracy import faces_to_score, guesses_of_stemo, keep_faces, score_guesses
from stemo.modes.benchmark.peers.known import HERE, Installed, installed, missing
from stemo.modes.benchmark.peers.standing import Tool
from stemo.modes.benchmark.peers.table import markdown, terminal
from stemo.modes.benchmark.run import describe_machine
from stemo.processors import available_processors
from stemo.training.datasets import Still
from stemo.training.layouts import rule_of

ROUNDS = 3
WARM_UP = 20  # frames of a clip that are read once before the clock starts
FILES = ("weights", "landmarker", "face_weights", "object_weights")  # settings that are paths


@dataclass(frozen=True, slots=True)
class Request:
    """``clips`` to read (made ones without any), ``places`` of the other tools, and faces to score all of them on.

    Of the faces in ``data`` those of ``split``, or of its validation split. ``output`` is a JSON; the table goes
    beside it as Markdown.
    """

    clips: Sequence[str]
    places: Sequence[Path]
    data: Sequence[str] = ()
    split: str | None = None
    output: Output | None = None


def run_peers(request: Request, settings: RecognitionSettings, say: Say) -> int:
    """Compare, and say and write the figures; a tool that fails is marked, and the others go on. Returns 0.

    Raises :class:`ConfigError` for a place without a tool, and :class:`DataError` for faces that cannot be scored.
    """
    if len(request.data) > 1:
        raise ConfigError(f"data {list(request.data)!r} are too many: expected one to score with --peers.")
    found = installed(request.places)
    data = Path(request.data[0]) if request.data else None
    stills = faces_to_score(data, request.split) if data else []
    facts: dict[str, Any] = {"machine": _machine(settings, say)}
    tools = [_stemo(settings), *map(_tool, found)]
    with tempfile.TemporaryDirectory(prefix="stemo_benchmark_") as name:
        folder = Path(name)
        clips = named_clips(request.clips, folder)
        sizes = {name: size_of(path) for name, path in clips.items()}
        read_in_rounds(tools, clips, folder, say)
        if data:
            facts["rule"] = rule_of(data)
            _score(tools, stills, settings, folder)
    facts |= {"rounds": ROUNDS, "clips": sizes, "tools": {tool.name: tool.facts() for tool in tools}}
    facts["not_run"] = missing(found)
    for line in terminal(facts):
        say(line)
    if request.output:
        request.output.write_facts(facts, say)
        request.output.table.write(markdown(facts), say)
    return 0


def read_in_rounds(tools: Sequence[Tool], clips: Mapping[str, Path], folder: Path, say: Say) -> None:
    """Let every tool read all ``clips``, :data:`ROUNDS` times; every other round in reverse order."""
    for number in range(ROUNDS):
        for tool in tools if number % 2 == 0 else reversed(tools):
            if tool.problem:
                continue
            tool.read(clips, folder / "rows.json", WARM_UP)
            rates = ", ".join(f"{name} {tool.rate(name) or 0:.1f}" for name in clips)
            say(f"round {number + 1}: {tool.name} " + (tool.problem or f"median frames/s so far: {rates}"))


def _score(tools: Sequence[Tool], stills: Sequence[Still], settings: RecognitionSettings, folder: Path) -> None:
    """Score stemo, the first of ``tools``, and the others on ``stills``."""
    own, *others = tools
    faces = folder / "faces.npz"
    keep_faces(stills, faces)
    own.score = score_guesses(stills, guesses_of_stemo(stills, settings))
    for tool in others:
        guesses = tool.guess(faces)
        if len(guesses) == len(stills):
            tool.score = score_guesses(stills, guesses)


def _stemo(settings: RecognitionSettings) -> Tool:
    root = Path(stemo.__file__).parents[1]
    job = {"reader": str(HERE / "stemo_reader.py"), "paths": [str(root)], "given": _from_anywhere(settings)}
    return Tool("stemo", stemo.__version__, Path(sys.executable), job)


def _from_anywhere(settings: RecognitionSettings) -> dict[str, Any]:
    """The settings by name, for a process that runs in another folder."""
    given = asdict(settings)
    return given | {name: str(Path(given[name]).absolute()) for name in FILES if given[name]}


def _tool(tool: Installed) -> Tool:
    return Tool(tool.peer.package, tool.version, tool.python, {"reader": str(tool.peer.reader)}, tool.beside)


def _machine(settings: RecognitionSettings, say: Say) -> dict[str, str]:
    threads = f"{available_processors()} processors for each tool, alone at its time; threads as each sets them"
    return describe_machine(settings, say, threads)
