"""Sinks: where a frame's result goes. Each has ``write``, ``close`` and ``abort``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from stemo.errors import OutputError
from stemo.output.background import Film
from stemo.output.contact import ContactSheet
from stemo.output.data import Row, rows
from stemo.output.hud import Hud
from stemo.output.journal import Journal
from stemo.output.writers import Writer, open_writers
from stemo.records import EMOTIONS, FrameResult, Image, State


class RowSink:
    """The results as rows, in one or more formats, with categories ``labels``; counts what it wrote.

    With a ``journal`` it can go on where another one was: that is what the files are written again from.
    """

    def __init__(
        self,
        base: Path,
        formats: Sequence[str],
        *,
        overwrite: bool = False,
        labels: Sequence[str] = EMOTIONS,
        journal: Journal | None = None,
    ) -> None:
        self.writers: list[Writer] = open_writers(base, formats, overwrite=overwrite, labels=labels)
        self.journal = journal
        self.counts = {"frames": 0, "rows": 0, "faces": 0, "tracks": 0}
        self._last_track = 0

    def write(self, result: FrameResult) -> None:
        """Append the frame's rows to every file."""
        made = rows(result)
        for row in made:
            self._append(row)
            if self.journal:
                self.journal.write(row)
        ids = [reading.face.track_id for reading in result.faces if reading.face]
        # track ids count from 1 without holes, so the highest is how many there were
        self._last_track = max([self._last_track, *ids])
        self.counts["frames"] += 1
        self.counts["rows"] += len(made)
        self.counts["faces"] += len(ids)
        self.counts["tracks"] = self._last_track

    def state(self) -> State:
        """How many frames, rows, faces and tracks there were."""
        return {"counts": dict(self.counts)}

    def restore(self, state: State) -> None:
        """Go on from :meth:`state`: write the rows of the journal into every file."""
        for row in self.journal.rows() if self.journal else ():
            self._append(row)
        self.counts.update(state["counts"])
        self._last_track = self.counts["tracks"]

    def _append(self, row: Row) -> None:
        for writer in self.writers:
            writer.write(row)

    def close(self, *, complete: bool = True) -> None:  # noqa: ARG002
        """Finish every file; of one that cannot be finished nothing is left, and its error comes after the others."""
        problems: list[OutputError] = []
        for writer in self.writers:
            try:
                writer.close()
            except OutputError as problem:
                writer.abort()
                problems.append(problem)
        if problems:
            raise problems[0]

    def abort(self) -> None:
        """Leave no file behind."""
        for writer in self.writers:
            writer.abort()


class VideoSink:
    """The annotated video, and, where asked for, a contact sheet of it."""

    def __init__(self, writer: Film, hud: Hud, sheet: ContactSheet | None = None) -> None:
        self.writer = writer
        self.hud = hud
        self.sheet = sheet

    def write(self, result: FrameResult) -> None:
        """Draw on a copy of the frame and encode it at the frame's own time."""
        drawn: Image = self.hud.draw(result)
        self.writer.write(drawn, result.frame.time)
        if self.sheet:
            self.sheet.add(drawn, result.frame.time)

    def close(self, *, complete: bool = True) -> None:
        """Finish the files; where the input ended early (not ``complete``), the sound ends with the last picture."""
        try:
            self.writer.close(keep=not complete)
        except OutputError:
            self.abort()
            raise
        if self.sheet:
            self.sheet.close()

    def abort(self) -> None:
        """Leave no file behind."""
        self.writer.abort()
        if self.sheet:
            self.sheet.abort()
