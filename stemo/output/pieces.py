"""A video written in pieces, so that a killed run loses its last piece only; joined without encoding anything again."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, nullcontext, suppress
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
from av.container import OutputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.video.stream import VideoStream

from stemo.output.pending import Pending
from stemo.output.saved import settle_names
from stemo.output.sound import WHOLE, Excerpt, Sound
from stemo.output.video import (
    QUALITY,
    TIME_BASE,
    Clock,
    add_pictures,
    as_frame,
    check_size,
    faults_said,
    no_pictures,
    open_mp4,
)
from stemo.records import Image, State


class Piece(NamedTuple):
    """A finished file: its name, the tick of its first picture, and its size."""

    name: str
    tick: int
    bytes: int


class PiecedVideo:
    """The same video as :class:`stemo.output.video.VideoWriter` makes, by way of pieces in ``folder``.

    :meth:`state` ends a piece, which the next picture begins anew with a key frame; another one of these, given the
    same ``folder`` and that state, goes on behind it. :meth:`close` joins them, copying pictures and, from the source,
    sound. Raises :class:`OutputError` as that one does.
    """

    def __init__(
        self,
        path: Path,
        folder: Path,
        width: int,
        height: int,
        fps: Fraction,
        excerpt: Excerpt = WHOLE,
        *,
        overwrite: bool = False,
        crf: int = QUALITY,
    ) -> None:
        # of a relative name with a colon, FFmpeg would take the first part for a protocol
        self.path, self._folder = Path(path), folder.absolute()
        self.count = 0
        self._shape = (width, height, fps, crf)
        self._excerpt = excerpt
        self._clock, self._time = Clock(excerpt.start), excerpt.start
        self._pieces: list[Piece] = []
        self._open: _OpenPiece | None = None
        self._done = False
        self._pending = Pending(self.path, overwrite=overwrite)
        try:
            with faults_said(self.path):
                self._heard = self._listen()
        except BaseException:
            self.abort()
            raise

    def write(self, image: Image, time: float) -> None:
        """Append one picture shown from ``time`` on (seconds, the source's clock)."""
        check_size(image, *self._shape[:2], self.count)
        if self.count == 0:
            self._clock.begin(time, lambda: self._heard)
        tick = self._clock.tick(time)
        with faults_said(self.path):
            if self._open is None:
                self._open = _OpenPiece(self._folder / f"video-{self.count:08d}.mp4", tick, *self._shape)
            self._open.write(image, tick)
        self.count, self._time = self.count + 1, time

    def state(self) -> State:
        """The pieces so far, brought to the disk before this returns."""
        self._cut()
        clock = (self._clock.origin, self._clock.last)
        return {"pieces": [tuple(piece) for piece in self._pieces], "count": self.count, "clock": clock} | {
            "time": self._time
        }

    def restore(self, state: State) -> None:
        """Go on from :meth:`state`; whatever came after it is removed."""
        self._pieces = [Piece(*piece) for piece in state["pieces"]]
        self.count, self._time = state["count"], state["time"]
        self._clock = Clock(*state["clock"])
        kept = {piece.name for piece in self._pieces}
        for file in self._folder.glob("video-*"):
            if file.name not in kept:
                file.unlink()

    def close(self, *, keep: bool = False) -> None:
        """Join the pieces and give the video its final name; ``keep`` as for a :class:`VideoWriter`."""
        if self._done:
            return
        if self.count == 0:
            self.abort()
            if not keep:
                raise no_pictures(self.path)
            return
        try:
            with faults_said(self.path):
                self._cut()
                self._join(self._time if keep else float("inf"))
        except BaseException:
            self.abort()
            raise
        self._done = True
        self._pending.commit()

    def abort(self) -> None:
        """Leave nothing that looks like a result; finished pieces stay in their folder."""
        if self._done:
            return
        self._done = True
        if self._open is not None:
            self._open.abort()
        self._pending.discard()

    def _cut(self) -> None:
        if self._open is not None:
            with faults_said(self.path):
                self._pieces.append(self._open.close())
            self._open = None

    def _listen(self) -> float | None:
        """When the sound begins; sound that cannot be read is an error now, not after an hour."""
        with av.open(os.devnull, "w", format="null") as nowhere, self._sound(nowhere) as sound:
            return sound.first_time() if sound else None

    def _sound(self, file: OutputContainer) -> closing[Sound] | nullcontext[None]:
        sound = self._excerpt.open_sound(file)
        return closing(sound) if sound else nullcontext()

    def _join(self, until: float) -> None:
        origin = self._clock.origin
        with open_mp4(self._pending.part) as file:
            stream = self._like_pieces(file)
            with self._sound(file) as sound:
                for packet, time in self._packets():
                    packet.stream = stream
                    file.mux(packet)
                    if sound is not None:
                        sound.advance(time, origin)
                if sound is not None:
                    sound.advance(until, origin)

    def _like_pieces(self, file: OutputContainer) -> VideoStream:
        with av.open(str(self._folder / self._pieces[0].name)) as first:
            stream = file.add_stream_from_template(first.streams.video[0])
        stream.time_base = TIME_BASE
        return stream

    def _packets(self) -> Iterator[tuple[Packet, float]]:
        """Every coded picture with its time on the source's clock."""
        last = None
        for piece in self._pieces:
            with av.open(str(self._folder / piece.name)) as file:
                for packet in file.demux(file.streams.video[0]):
                    if packet.pts is None or packet.dts is None:
                        continue
                    packet.pts += piece.tick
                    # each piece decodes a little ahead of its first picture, at variable rates by more than the last
                    # one leaves; a picture is shown later than all that came before, so there is always room
                    packet.dts = packet.dts + piece.tick if last is None else max(last + 1, packet.dts + piece.tick)
                    last = packet.dts
                    yield packet, float(packet.pts * TIME_BASE) + self._clock.origin


class _OpenPiece:
    """A piece that grows as ``name.part``, its pictures counted in ticks from its first."""

    def __init__(self, path: Path, tick: int, width: int, height: int, fps: Fraction, crf: int) -> None:
        self._path, self._part, self._tick = path, path.with_name(path.name + ".part"), tick
        self._file = av.open(str(self._part), "w", format="mp4")
        self._stream = add_pictures(self._file, width, height, fps, crf)

    def write(self, image: Image, tick: int) -> None:
        self._file.mux(self._stream.encode(as_frame(image, tick - self._tick)))

    def close(self) -> Piece:
        self._file.mux(self._stream.encode(None))
        self._file.close()
        with open(self._part, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(self._part, self._path)
        settle_names(self._path.parent)
        return Piece(self._path.name, self._tick, self._path.stat().st_size)

    def abort(self) -> None:
        with suppress(FFmpegError, OSError):
            self._file.close()
        with suppress(OSError):
            self._part.unlink()
