"""``--resume``: the hidden folder in which a run keeps what it has computed, until all of it is finished.

::

    .out.mp4.resume/
      run                    which run this is: its input, settings, weights and versions
      rows.jsonl             every row so far                                 output/journal.py
      video-00000256.mp4     the annotated video in pieces                    output/pieces.py
      checkpoint-00000512    what every stage remembered before frame 512     output/saved.py
      lock.part              held by the run at work

A checkpoint is written last, when all that it speaks of is on the disk; the one before it is kept as well. Killed at
any moment, a run goes on at the newest of them that is whole.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from types import TracebackType

from stemo.capture import Recording
from stemo.errors import ConfigError, OutputError, TruncatedError
from stemo.faces.inner_networks import openvino_is_faster
from stemo.modes.standing import Place, fingerprint
from stemo.output.journal import Journal
from stemo.output.meta import package_versions
from stemo.output.pending import check_place, failed, hold
from stemo.output.saved import load, save
from stemo.pipeline import CHECKPOINT, Pipeline, Resumable
from stemo.records import FrameResult, State

Say = Callable[[str], None]
FORMAT = 1  # of the folder
FILES = ("weights", "landmarker", "face_weights", "object_weights")  # settings that are known by what is in the file


class Work:
    """The folder of one run, locked; a context manager that removes it where the run came to its end.

    ``begun``: the same run was here before, so the outputs that exist are its own. :meth:`enter` puts everything where
    the newest checkpoint says. Raises :class:`OutputError` where another run is at work in the folder, or it is that
    of a run with another ``identity``.
    """

    def __init__(self, place: Place, identity: State, say: Say) -> None:
        self.folder = place.work
        self._place, self._identity, self._say = place, identity, say
        self._entered = False
        check_place(place.output, overwrite=True)
        self._lock = _locked(self.folder)
        try:
            self.begun = self._check_identity()
            self.frame = 0
            self._state, self.journal = self._newest()
        except BaseException:
            self._unlock()
            raise

    def enter(self, pipeline: Pipeline, source: Recording, parts: Mapping[str, Resumable]) -> Checkpoints:
        """Let all go on where the run was interrupted; the first of the sinks, which writes checkpoints of them."""
        if not self.begun:
            save(self._place.identity, self._identity)
        self._entered = True
        if self._state is not None:
            source.skip(self.frame)
            pipeline.restore(self._state["pipeline"])
            for name, part in parts.items():
                part.restore(self._state["parts"][name])
            self._say(f"going on at frame {self.frame}: {self.folder} has what came before.")
        return Checkpoints(self, parts)

    def save(self, state: State) -> None:
        """Write a checkpoint, with the rows up to it; of older ones the last is kept."""
        save(self._path(state["frame"]), {**state, "journal": self.journal.state()})
        for old in self._checkpoints()[2:]:
            old.unlink(missing_ok=True)
        self.frame = state["frame"]

    def __enter__(self) -> Work:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OutputError):
            self.journal.close()
        ended = kind is None or issubclass(kind, TruncatedError)  # there is no more of the input to come
        if ended or not self._is_worth_keeping():
            shutil.rmtree(self.folder, ignore_errors=True)
        else:
            self._say(f"kept {self.folder}: the same command with --resume goes on at frame {self.frame}.")
        self._unlock()

    def _is_worth_keeping(self) -> bool:
        made = (*self._place.files, self._place.meta)
        return self.begun or (self._entered and (self.frame > 0 or any(path.exists() for path in made)))

    def _check_identity(self) -> bool:
        """Whether the folder is that of this run's earlier beginning; a damaged one counts as empty."""
        known = load(self._place.identity)
        if known is None:
            if self._checkpoints():
                self._say(f"warning: {self.folder} does not say what run it is of: starting again from the beginning.")
            for path in self._checkpoints():
                path.unlink()
            return False
        if changed := _differences(known, self._identity):
            raise OutputError(
                f"interrupted run {str(self.folder)!r} was another one: expected the same input, settings, weights and "
                f"versions, got {'; '.join(changed)}. Use the former ones, or start again: rm -r '{self.folder}'"
            )
        return True

    def _newest(self) -> tuple[State | None, Journal]:
        """The newest checkpoint that can be used, and the rows up to it."""
        for path in self._checkpoints():
            try:
                state = self._load(path)
                journal = Journal(self.folder / "rows.jsonl", state["journal"])
            except ValueError as error:
                self._say(f"warning: {path} cannot be used, {error}: going on from the one before, or the beginning.")
                path.unlink()
                continue
            self.frame = state["frame"]
            return state, journal
        return None, Journal(self.folder / "rows.jsonl")

    def _load(self, path: Path) -> State:
        state = load(path)
        if state is None:
            raise ValueError("it was cut off or changed")
        for name, _, size in state["parts"].get("film", {}).get("pieces", ()):
            piece = self.folder / name
            if not piece.is_file() or piece.stat().st_size != size:
                raise ValueError(f"{name} is missing or was changed")
        return state

    def _path(self, frame: int) -> Path:
        return self.folder / f"checkpoint-{frame:08d}"

    def _checkpoints(self) -> list[Path]:
        """Newest first."""
        return sorted((path for path in self.folder.glob("checkpoint-*") if path.suffix != ".part"), reverse=True)

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)


class Checkpoints:
    """A :class:`stemo.pipeline.Sink` before all others: at a checkpoint they have everything up to it, and no more."""

    def __init__(self, work: Work, parts: Mapping[str, Resumable]) -> None:
        self._work, self._parts = work, parts

    def write(self, result: FrameResult) -> None:
        """Write a checkpoint where the result carries a state."""
        if result.state is not None:
            parts = {name: part.state() for name, part in self._parts.items()}
            self._work.save({"frame": result.frame.index, "pipeline": result.state, "parts": parts})

    def close(self, *, complete: bool = True) -> None:
        """Nothing is left to do."""

    def abort(self) -> None:
        """Checkpoints stay: they are what a run goes on from."""


def identify(place: Place, weights: str, device: str, engine: str) -> State:
    """What must not change between an interrupted run and its continuation; ``weights`` is their sha256.

    ``engine`` is what runs them on this machine: on another, ``auto`` may be another, with slightly other readings.
    Files are known by size and both ends, not by name or date, so that copies of them will do.
    """
    settings = asdict(place.settings)
    files = {name: fingerprint(Path(settings[name])) for name in FILES[1:] if settings[name]}
    return {
        "input": fingerprint(place.video),
        "settings": {name: value for name, value in settings.items() if name not in FILES},
        "weights": {"sha256": weights},
        **files,
        "run": {
            "video": not place.no_video,
            "device": device,
            "engine": engine,
            "mesh": "openvino" if openvino_is_faster() else "litert",
            "checkpoint": CHECKPOINT,
            "format": FORMAT,
        },
        "version": dict(package_versions()),
    }


def check_resumable(spec: str) -> None:
    """Raise :class:`ConfigError` for what cannot be read a second time."""
    if "://" in spec and not spec.startswith("file://"):
        raise ConfigError(
            "--resume has no meaning for a stream: expected a file, an image or a folder of images, which can be read "
            "again, got a live source. Leave --resume out, or record the stream first."
        )


def leave_finished(place: Place, say: Say) -> int:
    """Say that nothing is left to do, and remove what the finished run may have left; returns 0."""
    remove_work(place)
    say(f"{place.output} is finished: nothing is left to do. To read it again, add --overwrite.")
    return 0


def note_work(place: Place, say: Say) -> None:
    """Say where an interrupted run could be gone on with, by a run that does not."""
    if place.work.is_dir():
        say(f"note: {place.work} is an interrupted run, removed when this one ends: --resume would go on with it.")


def remove_work(place: Place) -> None:
    """Remove the folder of an interrupted run, unless another run is at work in it."""
    with suppress(OutputError):
        if place.work.is_dir():
            lock = _locked(place.work)
            shutil.rmtree(place.work, ignore_errors=True)
            if lock is not None:
                os.close(lock)


def _locked(folder: Path) -> int | None:
    try:
        folder.mkdir(exist_ok=True)
        return hold(folder / "lock.part")
    except BlockingIOError as error:
        raise OutputError(
            f"interrupted run {str(folder)!r} is being continued by another run: expected it free, got it in use. "
            "Wait for that run, or choose another --output."
        ) from error
    except OSError as error:
        raise failed(folder, error) from error


def _differences(before: State, now: State) -> list[str]:
    """``smoothing 5, now 1`` for every value that has changed."""
    old, new = _flat(before), _flat(now)
    return [
        f"{name} {_short(old.get(name))}, now {_short(new.get(name))}"
        for name in dict.fromkeys([*old, *new])
        if old.get(name) != new.get(name)
    ]


def _flat(identity: State) -> dict[str, object]:
    plain = ("settings", "run")
    return {
        key if section in plain else f"{section} {key}": value
        for section, values in identity.items()
        for key, value in values.items()
    }


def _short(value: object) -> str:
    text = str(value)
    return text[:12] if len(text) == 64 else text
