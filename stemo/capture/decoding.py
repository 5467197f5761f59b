"""From packets to timed pictures with PyAV: seek, decode, and notice when a stream breaks off."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from itertools import chain

import av.error
from av.container import InputContainer
from av.format import Flags
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from stemo.capture.source import before
from stemo.processors import codec_threads

SECOND = 1_000_000  # the container's own clock ticks in microseconds
LOOK_BACK = (0.0, 2.0, 10.0, 60.0)  # seconds before the start at which to look for a key frame, in this order
FALLBACK_RATE = Fraction(25)
REORDERED = ("h264", "hevc", "vvc")  # for these FFmpeg makes no times of AVI's count of packets, or wrong ones

Timed = tuple[float, VideoFrame]


def reason(error: Exception) -> str:
    """FFmpeg's own words, without the number and the file name around them."""
    return (getattr(error, "strerror", None) or str(error)).strip().rstrip(".").lower()


class Decoder:
    """Decodes one video stream of an open container.

    ``origin`` is what :meth:`frames` takes off the timestamps, in seconds. ``damage`` tells, once the frames are
    through, how the stream broke off (``expected ..., got ...``), or is ``None``; ``last_time`` is the time of the
    last frame decoded, in the range or not.
    """

    def __init__(
        self, container: InputContainer, stream: VideoStream, *, live: bool = False, damage: str | None = None
    ) -> None:
        self.damage = damage
        self.last_time: float | None = None
        self.rate: Fraction = stream.average_rate or stream.guessed_rate or FALLBACK_RATE
        self._container, self._stream, self._live = container, stream, live
        self._is_mp4 = "mp4" in container.format.name
        flags = Flags(container.format.flags)
        counted = container.format.name == "avi" and stream.codec_context.name in REORDERED
        self._is_untimed = counted or Flags.no_timestamps in flags
        arbitrary = Flags.ts_discont in flags or container.format.no_file
        self.origin = (container.start_time or 0) / SECOND if arbitrary else 0.0
        # frame threads hold frames back, and errors with them: what is live or damaged is decoded picture by picture
        stream.thread_type = "SLICE" if live or damage else "AUTO"
        stream.codec_context.thread_count = codec_threads()

    @property
    def declared(self) -> int | None:
        """How many frames the container says there are; an MP4's edit list may hide some of its packets."""
        indexed = sum(not entry.is_discard for entry in self._stream.index_entries) if self._is_mp4 else 0
        return indexed or self._stream.frames or None

    def frames(self, start: float | None, end: float | None) -> Iterator[Timed]:
        """The frames with ``start <= time < end``, in order of time."""
        for time, frame in self._seek(start):
            self.last_time = time
            if end is not None and not before(time, end):
                self.damage = None  # whatever is wrong with the rest was not asked for
                return
            if not before(time, start):
                yield time, frame

    def _seek(self, start: float | None) -> Iterator[Timed]:
        """Frames from the key frame before the start, or from the beginning.

        Containers index by decoding time or by nothing at all, so a seek may land behind the start: then look further
        back, until the first frame decoded lies at the start or before it. One without a time could lie anywhere.
        """
        if not start or self._live or self._is_untimed:
            return self._timed(self._decode(whole=True))
        for back in LOOK_BACK:
            if self._jump(start - back):
                frames = self._timed(self._decode())
                first = next(frames, None)
                if first is not None and first[1].pts is not None and not before(start, first[0]):
                    return chain([first], frames)
        self._jump(0.0)
        return self._timed(self._decode())

    def _jump(self, time: float) -> bool:
        """Go to the key frame at ``time`` or before it; whether the container can."""
        offset = max(self._container.start_time or 0, round((time + self.origin) * SECOND))
        try:
            self._container.seek(offset, backward=True, any_frame=False)
        except av.error.FFmpegError:
            return False
        return True

    def _timed(self, frames: Iterator[VideoFrame]) -> Iterator[Timed]:
        """Put each frame on the stream's clock; where it has none (raw streams, AVI), count at the average rate."""
        step = float(1 / self.rate)
        time = -step
        for frame in frames:
            own = math.nan if self._is_untimed or frame.pts is None else frame.time - self.origin
            time = own if math.isfinite(own) else time + step
            yield time, frame

    def _decode(self, *, whole: bool = False) -> Iterator[VideoFrame]:
        packets = self._container.demux(self._stream)
        count, settled = 0, whole
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                break
            except av.error.FFmpegError as error:
                self._note(f"breaks off: expected more data, got {reason(error)}.")
                yield from self._flush()
                break
            count += packet.size > 0
            try:
                for frame in packet.decode():
                    settled = True
                    yield frame
            except av.error.FFmpegError as error:
                if settled and not self._live:  # a seek may land amid pictures that lack their key frame
                    self._note(f"is damaged: expected data that decodes, got {reason(error)}.")
        if whole:
            self._check_count(count)

    def _flush(self) -> list[VideoFrame]:
        try:
            frames = self._stream.decode(None)
        except av.error.FFmpegError:
            return []
        for frame in frames:
            frame.time_base = self._stream.time_base  # else only packets bring it
        return frames

    def _check_count(self, count: int) -> None:
        """Compare the packets that came with the MP4's own index of them.

        Frames would not do: an edit list rightly hides some of them.
        """
        expected = len(self._stream.index_entries) if self._is_mp4 else 0
        if count < expected:
            self._note(f"ends early: expected {expected} coded frames, got {count}.")

    def _note(self, damage: str) -> None:
        self.damage = self.damage or damage
