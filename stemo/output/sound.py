"""The source's sound, carried along beside the pictures without ever being held whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.error import FFmpegError
from av.packet import Packet

from stemo.errors import InputError

CARRIED = frozenset({"aac", "mp3", "ac3", "eac3", "opus", "alac", "flac"})  # what mp4 holds and players understand
AAC_FRAME = 1024  # samples
KNOWN_LAYOUTS = frozenset({"mono", "stereo", "5.1", "7.1"})


@dataclass(frozen=True, slots=True)
class Excerpt:
    """What a video shows of its source: from ``start`` to ``end``, in seconds on the source's clock.

    The sound of ``sound_from`` (a file) is kept, if any is given; there that clock begins ``sound_offset`` seconds into
    the file's own timestamps (a broadcast).
    """

    sound_from: Path | None = None
    sound_offset: float = 0.0
    start: float = 0.0
    end: float | None = None

    def open_sound(self, output: OutputContainer) -> Sound | None:
        """The sound on its way into ``output``; ``None`` where none shall be kept. Raises as :class:`Sound` does."""
        if self.sound_from is None:
            return None
        return Sound(output, self.sound_from, start=self.start, end=self.end, offset=self.sound_offset)


WHOLE = Excerpt()


class Sound:
    """Moves the first audio stream of ``path`` into ``output``: packets as they are where mp4 can carry the codec,
    else transcoded to AAC.

    The numbers are those of an :class:`Excerpt`. Raises :class:`InputError` when ``path`` cannot be opened.
    A source without sound is fine: :attr:`present` is then false and nothing is moved.
    """

    def __init__(self, output: OutputContainer, path: Path, *, start: float, end: float | None, offset: float) -> None:
        try:
            self._input: InputContainer = av.open(str(path.absolute()), metadata_errors="replace")
        except (FFmpegError, OSError) as error:
            raise InputError(f"sound of {str(path)!r} cannot be read: {error}. Check the file.") from error
        self._output = output
        self._offset = offset
        # packets carry the file's own timestamps, so these do as well
        self._start, self._end = start + offset if start > 0 else 0.0, None if end is None else end + offset
        # sound in a codec that this FFmpeg does not know can be neither moved nor transcoded
        known = [stream for stream in self._input.streams.audio if stream.codec_context is not None]
        self.present = bool(known)
        if known:
            self._open(known[0])

    def first_time(self) -> float | None:
        """When the sound begins, in seconds on the source's clock; ``None`` without sound."""
        self._look_ahead()
        return self._next[0] - self._offset if self._next else None

    def advance(self, until: float, origin: float) -> None:
        """Move everything before ``until``; ``origin`` is the source time that becomes 0 in the output (seconds)."""
        while self._look_ahead() and self._next and self._next[0] - self._offset < until:
            packet = self._next[1]
            self._next = None
            shift = round((origin + self._offset) / packet.time_base)
            packet.pts = None if packet.pts is None else packet.pts - shift
            packet.dts = None if packet.dts is None else packet.dts - shift
            packet.stream = self._stream
            self._output.mux(packet)

    def close(self) -> None:
        """Let go of the source."""
        self._input.close()

    def _open(self, source: AudioStream) -> None:
        self._next: tuple[float, Packet] | None = None
        if source.codec_context.codec.canonical_name in CARRIED:
            self._stream = self._output.add_stream_from_template(source)
            self._packets = self._copied(source)
        else:
            self._stream = self._output.add_stream("aac", rate=source.rate, layout=_layout(source))
            self._packets = self._transcoded(source)
        if self._start > 0:
            self._input.seek(int(self._start * av.time_base))

    def _look_ahead(self) -> bool:
        if not self.present:
            return False
        if self._next is None:
            self._next = next(self._packets, None)
        return self._next is not None

    def _copied(self, source: AudioStream) -> Iterator[tuple[float, Packet]]:
        for packet in self._demuxed(source):
            if packet.pts is None or packet.dts is None:
                continue
            time = float(packet.pts * packet.time_base)
            if self._end is not None and time >= self._end:
                return
            half = float((packet.duration or 0) * packet.time_base) / 2
            if self._start <= 0 or time + half >= self._start:
                yield time, packet

    def _transcoded(self, source: AudioStream) -> Iterator[tuple[float, Packet]]:
        encoder = self._stream.codec_context
        resampler = AudioResampler("fltp", _layout(source), source.rate, frame_size=AAC_FRAME)
        for frame in self._decoded(source):
            for piece in resampler.resample(frame):
                yield from _timed(encoder.encode(piece))
        for piece in resampler.resample(None):
            yield from _timed(encoder.encode(piece))
        yield from _timed(encoder.encode(None))

    def _decoded(self, source: AudioStream) -> Iterator[av.AudioFrame]:
        for packet in self._demuxed(source):
            for frame in packet.decode():
                if self._end is not None and frame.time is not None and frame.time >= self._end:
                    return
                if frame.time is not None and frame.time + frame.samples / frame.sample_rate > self._start:
                    yield frame

    def _demuxed(self, source: AudioStream) -> Iterator[Packet]:
        """Packets until the source ends; a source that breaks off has ended, and capture is the one to say so."""
        packets = self._input.demux(source)
        while True:
            try:
                yield next(packets)
            except (StopIteration, FFmpegError):
                return


def _layout(source: AudioStream) -> str:
    """A layout that AAC knows; wave files often say only how many channels they have."""
    name = source.layout.name
    return name if name in KNOWN_LAYOUTS else ("mono" if source.channels == 1 else "stereo")


def _timed(packets: list[Packet]) -> Iterator[tuple[float, Packet]]:
    for packet in packets:
        base: Fraction = packet.time_base
        yield float((packet.pts or 0) * base), packet
