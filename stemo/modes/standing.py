"""Where a video's results go, and what lies there: nothing, finished results, unfinished ones, somebody else's."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from stemo.capture.images import image_files
from stemo.config import RecognitionSettings
from stemo.errors import InputError
from stemo.output.data import SCHEMA_VERSION, output_name
from stemo.records import State

ENDS = 1 << 20  # bytes at either end of a file by which it is known again


@dataclass(frozen=True, slots=True)
class Place:
    """A video, by its absolute path, and the ``output`` that it is read into with the files beside it.

    ``resume``: a run that was interrupted is to be gone on with.
    """

    video: Path
    output: Path
    settings: RecognitionSettings
    no_video: bool = False
    resume: bool = False

    @property
    def meta(self) -> Path:
        """The file that is written before the others, as facts of something unfinished, and once more after them."""
        return output_name(self.output, "meta.json")

    @property
    def files(self) -> list[Path]:
        """The results, without :attr:`meta`."""
        rows = [output_name(self.output, f"results.{name}") for name in formats(self.settings)]
        return rows if self.no_video else [self.output, *rows]

    @property
    def work(self) -> Path:
        """The hidden folder in which a run that can be resumed keeps what it has computed."""
        return self.output.with_name(f".{self.output.name}.resume")

    @property
    def identity(self) -> Path:
        """The file in it that says which run it is of; written once that run may replace what is in its place."""
        return self.work / "run"


def formats(settings: RecognitionSettings) -> list[str]:
    """The data formats that the settings name."""
    return named(settings.format)


def named(formats: str) -> list[str]:
    """``json,csv`` -> ["json", "csv"]."""
    return [name.strip() for name in formats.split(",") if name.strip()]


@dataclass(frozen=True, slots=True)
class Standing:
    """``finished``: nothing is left to do. ``refusal``: why the task must not be run (one line), or empty."""

    finished: bool = False
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the meta file says of a video that was read: ``fps`` is its own rate, ``seconds`` what was read of it."""

    frames: int
    faces: int
    fps: float
    seconds: float


def judge(place: Place, weights: str, overwrite: bool) -> Standing:
    """What the files in the place mean for it; ``weights`` is the sha256 of those that will be used.

    Finished results (of the same input, settings and weights, and whole) are not read again. What the same run left
    unfinished is replaced. Everything else is replaced with ``overwrite`` only, and the input never. An interrupted run
    that is to be gone on with was allowed to replace what is there.
    """
    if not place.no_video and place.output.exists() and place.video.exists() and place.output.samefile(place.video):
        return Standing(refusal=_refuse(place.output, "is the input", "another folder", "the same", "Change --output."))
    there = [path for path in (*place.files, place.meta) if path.exists()]
    if overwrite or not there:
        return Standing()
    meta = read_meta(place.meta)
    other = "something unknown" if meta is None else _difference(meta, place, weights)
    if other and place.resume and place.identity.is_file():
        return Standing()
    if other:
        advice = "Choose another --output, or add --overwrite to read all videos again."
        return Standing(refusal=_refuse(there[0], "exists", "results of this run's input and settings", other, advice))
    finished = bool(meta and meta.get("complete")) and all(path.exists() for path in place.files)
    return Standing(finished=finished)


def read_meta(path: Path) -> dict[str, Any] | None:
    """The facts in a meta file, or ``None`` where there are none that can be read."""
    try:
        meta = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return meta if isinstance(meta, dict) else None


def read_facts(path: Path) -> Facts | None:
    """The figures in a meta file, or ``None`` where it is missing or lacks them."""
    meta = read_meta(path) or {}
    counts, source, fps = _section(meta, "counts"), _section(meta, "source"), _section(meta, "fps")
    try:
        frames, rate = int(counts["frames"]), float(fps["value"])
        declared = source.get("duration_s") if meta["complete"] else None
        seconds = float(declared) if declared is not None else frames / rate
        return Facts(frames, int(counts["tracks"]), rate, seconds)
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None


def _difference(meta: Mapping[str, Any], place: Place, weights: str) -> str:
    """What else the results were read from or with, or nothing."""
    source, settings = _section(meta, "source"), _section(meta, "settings")
    path = str(source.get("path") or os.path.abspath(str(source.get("name"))))
    if path != str(place.video):
        return f"those of {path!r}"
    changed = [
        f"{key} {settings.get(key)}, now {value}"
        for key, value in asdict(place.settings).items()
        if settings.get(key) != value
    ]
    if changed:
        return f"other settings ({'; '.join(changed)})"
    if _section(meta, "model").get("sha256") != weights:
        return "those of other weights"
    if meta.get("schema_version") != SCHEMA_VERSION:
        return f"another format ({meta.get('schema_version')}, now {SCHEMA_VERSION})"
    # a file that had broken off may have been copied again since
    return _changed(source, place.video) if meta.get("complete") else ""


def _changed(source: Mapping[str, Any], video: Path) -> str:
    """What is else with the input by now, as far as the facts about it go and it can be looked at."""
    try:
        now, known = fingerprint(video), _section(source, "fingerprint")
    except (OSError, InputError):
        return ""  # the run that is to read it will say so
    if now and source.get("bytes") not in (None, now.get("bytes")):
        return "those of a file of another size"
    return "those of other contents under this name" if now and known and now != known else ""


def fingerprint(path: Path) -> State:
    """What tells a file, or a folder of images, from another: bytes or number of files, and a checksum.

    Of a file, :data:`ENDS` bytes at either end are read, however large it is; of a folder, the names and sizes.
    """
    if path.is_dir():
        names = [(file.name, file.stat().st_size) for file in image_files(path)]
        return {"files": len(names), "sha256": hashlib.sha256(repr(names).encode(errors="surrogateescape")).hexdigest()}
    if not path.is_file():
        return {}
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        found = hashlib.sha256(file.read(ENDS))
        file.seek(max(0, size - ENDS))
        found.update(file.read(ENDS))
    return {"bytes": size, "sha256": found.hexdigest()}


def _section(meta: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = meta.get(name)
    return found if isinstance(found, dict) else {}


def _refuse(path: Path, problem: str, expected: str, got: str, advice: str) -> str:
    return f"output {str(path)!r} {problem}: expected {expected}, got {got}. {advice}"
