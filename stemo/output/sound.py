"""The source's sound, carried along beside the pictures without ever being held whole."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby
from pathlib import Path

import av
import numpy as np
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.codec import Codec
from av.container import InputContainer, OutputContainer
from av.error import FFmpegError
from av.packet import Packet

from stemo.errors import InputError

CARRIED = frozenset({"aac", "mp3", "ac3", "eac3", "opus", "alac", "flac"})  # what mp4 holds and players understand
DOLBY = frozenset({"ac3", "eac3"})
LOWEST_MP3 = 16_000  # Hz: mp4 refuses MP3 below that
AAC_FRAME = 1024  # samples
LOUDEST = 1e6  # full scale is 1: float samples above it, or not finite, are damage, at which the encoder gives up
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
    else transcoded to AAC, at the nearest rate that it has.

    The numbers are those of an :class:`Excerpt`. Raises :class:`InputError` when ``path`` cannot be opened.
    A source without sound is fine: :attr:`present` is then false and nothing is moved. What is damaged is left out,
    and so is what goes back in time: the rest stays in step with the pictures.
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
        self._next: tuple[float, Packet] | None = None
        # sound in a codec that this FFmpeg does not know, or of which nothing decodes and so has no rate, can be
        # neither moved nor transcoded
        known = [stream for stream in self._input.streams.audio if stream.codec_context is not None and stream.rate]
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
        if _is_carried(source):
            rate = source.rate
            self._stream = self._output.add_stream_from_template(source)
            packets = self._copied(source)
        else:
            rate = _nearest_rate(source.rate)
            self._stream = self._output.add_stream("aac", rate=rate, layout=_layout(source))
            packets = self._transcoded(source, rate)
        self._packets = _forward(packets, Fraction(1, rate))
        if self._start > 0:
            self._input.seek(int(self._start * av.time_base))

    def _look_ahead(self) -> bool:
        if not self.present:
            return False
        if self._next is None:
            self._next = next(self._packets, None)
        return self._next is not None

    def _copied(self, source: AudioStream) -> Iterator[tuple[float, Packet]]:
        dolby = _name(source) in DOLBY
        for packet in self._demuxed(source):
            if packet.pts is None or packet.dts is None or (dolby and not _starts_dolby(packet)):
                continue
            time = float(packet.pts * packet.time_base)
            if self._end is not None and time >= self._end:
                return
            half = float((packet.duration or 0) * packet.time_base) / 2
            if self._start <= 0 or time + half >= self._start:
                yield time, packet

    def _transcoded(self, source: AudioStream, rate: int) -> Iterator[tuple[float, Packet]]:
        encoder = self._stream.codec_context
        for piece in _resampled(self._decoded(source), _layout(source), rate):
            yield from _timed(encoder.encode(piece))
        yield from _timed(encoder.encode(None))

    def _decoded(self, source: AudioStream) -> Iterator[av.AudioFrame]:
        for packet in self._demuxed(source):
            for frame in _intact(packet):
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


def _name(source: AudioStream) -> str:
    return source.codec_context.codec.canonical_name


def _is_carried(source: AudioStream) -> bool:
    return _name(source) in CARRIED and (_name(source) != "mp3" or source.rate >= LOWEST_MP3)


def _nearest_rate(rate: int) -> int:
    """The rate that AAC has nearest to ``rate``, both in Hz; of two as near, the higher, which loses nothing."""
    offered = Codec("aac", "w").audio_rates or [rate]
    return min(offered, key=lambda one: (abs(one - rate), -one))


def _layout(source: AudioStream) -> str:
    """A layout that AAC knows; wave files often say only how many channels they have."""
    name = source.layout.name
    return name if name in KNOWN_LAYOUTS else ("mono" if source.channels == 1 else "stereo")


def _starts_dolby(packet: Packet) -> bool:
    """Whether a header of AC-3 or E-AC-3 (ATSC A/52) comes first: at anything else, the mp4 muxer fails."""
    head = bytes(memoryview(packet)[:7])
    if len(head) < 7 or head[:2] != b"\x0b\x77" or head[5] >> 3 > 16:
        return False
    if head[5] >> 3 <= 10:
        return head[4] >> 6 < 3 and head[4] & 63 < 38  # AC-3: the rate, and the size of the frame
    return head[2] >> 6 < 3 and head[4] >> 4 < 15  # E-AC-3: the kind of stream, and the rate


def _intact(packet: Packet) -> list[av.AudioFrame]:
    """What decodes of it; damaged sound leaves a gap, as damaged pictures do."""
    try:
        frames = [frame for frame in packet.decode() if isinstance(frame, av.AudioFrame)]
    except FFmpegError:
        return []
    return [frame for frame in frames if _is_finite(frame)]


def _is_finite(frame: av.AudioFrame) -> bool:
    samples = frame.to_ndarray()
    return samples.dtype.kind != "f" or bool((np.abs(samples) < LOUDEST).all())


def _resampled(frames: Iterable[av.AudioFrame], layout: str, rate: int) -> Iterator[av.AudioFrame]:
    """Frames as AAC takes them, at ``rate`` in Hz; the kind of sound may change on the way (a broadcast)."""
    for _, alike in groupby(frames, key=lambda frame: (frame.format.name, frame.layout.name, frame.sample_rate)):
        resampler = AudioResampler("fltp", layout, rate, frame_size=AAC_FRAME)
        with suppress(FFmpegError):  # nine channels that nobody named cannot be mixed into two
            for frame in alike:
                yield from resampler.resample(frame)
            yield from resampler.resample(None)


def _forward(packets: Iterable[tuple[float, Packet]], tick: Fraction) -> Iterator[tuple[float, Packet]]:
    """Those that come later by a ``tick`` (seconds) than all before them, as mp4 wants it.

    Pictures that go back in time are shown where the others ended, so that they are in step again from there on.
    """
    last: Fraction | None = None
    for time, packet in packets:
        moment = (packet.dts or 0) * packet.time_base
        if last is None or moment >= last + tick:
            last = moment
            yield time, packet


def _timed(packets: list[Packet]) -> Iterator[tuple[float, Packet]]:
    for packet in packets:
        base: Fraction = packet.time_base
        yield float((packet.pts or 0) * base), packet
