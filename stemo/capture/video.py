"""Video files and stream addresses, read with PyAV.

Time is the stream's own presentation timestamp, ``pts * time_base``, with nothing taken off, except where the clock
starts at an arbitrary number (MPEG-TS, live streams): there it counts from the container's start, and the difference
is kept as :attr:`SourceInfo.origin`.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import chain, islice
from pathlib import Path

import av
import av.error
import numpy as np
from av.container import InputContainer
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from stemo.capture.completeness import Extent, read_extent
from stemo.capture.decoding import SECOND, Decoder, Timed, reason
from stemo.capture.source import Closing, SourceInfo, fit
from stemo.errors import InputError, TruncatedError
from stemo.processors import codec_threads
from stemo.records import Frame, Image

TIMEOUT = (10.0, 10.0)  # seconds to open a stream address, and to wait for its next packet
TAGS = "replace"  # a title may be in any encoding, and nobody reads it here
# FFmpeg converts colours by these matrices (AVColorSpace) and refuses pictures of others, such as YCgCo: these are read
# by the nearest, or else the usual one, since a face is read by its light, which comes out right whatever the hues
MATRICES = (*range(8), 9)
UNSPECIFIED, NEAREST = 2, {10: 9}  # BT.2020 with constant luminance and without


def open_file(path: Path, *, start: float | None = None, end: float | None = None) -> VideoSource:
    """Open a video file; raises :class:`InputError`, or :class:`TruncatedError` when its index is cut off."""
    extent = None
    try:
        extent = read_extent(path)
        # of a bare name with a colon, FFmpeg would take the first part for a protocol
        container = av.open(str(path.absolute()), metadata_errors=TAGS)
    except (av.error.FFmpegError, OSError) as error:
        raise _unreadable(path, extent, error) from error
    damage = None if extent is None or extent.complete else _missing_bytes(extent)
    return VideoSource(container, str(path), start=start, end=end, damage=damage)


def open_stream(address: str, *, start: float | None = None, end: float | None = None) -> VideoSource:
    """Open ``rtsp://``, ``http://``, ``udp://`` and the like; raises :class:`InputError` when nothing answers."""
    name = _without_password(address)
    options = {"rtsp_transport": "tcp"} if address.startswith("rtsp") else {}
    try:
        container = av.open(address, options=options, timeout=TIMEOUT, metadata_errors=TAGS)
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise InputError(
            f"stream {name!r} cannot be opened: expected a reachable video stream, got {reason(error)}. "
            "Check the address and that the sender is running."
        ) from None  # the cause would show the password in the address
    return VideoSource(container, name, live=True, start=start, end=end)


class VideoSource(Closing):
    """The frames of one video stream, in order, once; opens by decoding the first of them.

    Frames are upright, with square pixels, and all as large as the first. A file that breaks off gives every frame
    that decodes and then raises :class:`TruncatedError`. ``damage`` is what is already known to be wrong with it.
    """

    def __init__(
        self,
        container: InputContainer,
        name: str,
        *,
        live: bool = False,
        start: float | None = None,
        end: float | None = None,
        damage: str | None = None,
    ) -> None:
        self._container, self._kind, self._name = container, "stream" if live else "video", name
        try:
            self._stream = self._pick_stream(damage)
            self._decoder = Decoder(container, self._stream, live=live, damage=damage)
            frames = self._decoder.frames(start, end)
            first = self._first(frames, start, end)
            self._frames = chain([first], frames)
            self._turns = round(first[1].rotation / 90) % 4
            self._to_rgb = VideoReformatter()  # a frame's own one would be set up anew for each
            self.info = self._describe(first[1], start, end)
            self._skipped = 0
        except BaseException:
            self.close()
            raise

    def __iter__(self) -> Iterator[Frame]:
        # what is skipped is decoded all the same: what comes after must be the same picture, bit for bit
        for index, (time, frame) in islice(enumerate(self._frames), self._skipped, None):
            yield Frame(index, time, fit(self._picture(frame), self.info.width, self.info.height))
        if self._decoder.damage:
            raise TruncatedError(self._broken("The frames that decode have been kept; copy or download it again."))

    def skip(self, count: int) -> None:
        """Leave out the first ``count`` frames; the others keep index and time. For a source not yet iterated."""
        self._skipped = count

    def close(self) -> None:
        """Release the decoder and the file or connection."""
        self._container.close()

    def _pick_stream(self, damage: str | None) -> VideoStream:
        """The first stream of moving pictures; the cover art of a song does not count, nor does ASCII art."""
        text = self._container.format.name == "tty"
        moving = [stream for stream in self._container.streams.video if not text and not _is_cover(stream)]
        if not moving and damage:
            raise TruncatedError(
                f"{self._kind} {self._name!r} {damage} Not one frame could be decoded: copy or download it again."
            )
        if not moving:
            found = sorted({stream.type for stream in self._container.streams if stream.type != "video"})
            raise InputError(
                f"{self._kind} {self._name!r} has no pictures: expected a video stream, "
                f"got {' and '.join(found) or ('text' if text else 'none')} only. Give a file with video in it."
            )
        known = [stream for stream in moving if stream.codec_context is not None]
        if not known:
            raise InputError(
                f"{self._kind} {self._name!r} has a codec that this FFmpeg does not know: expected one such as H.264, "
                "got another. Convert it with a player that shows it."
            )
        return known[0]

    def _first(self, frames: Iterator[Timed], start: float | None, end: float | None) -> Timed:
        for first in frames:
            return first
        if self._decoder.damage:
            raise TruncatedError(self._broken("Not one frame could be decoded: copy or download it again."))
        last = self._decoder.last_time
        if last is None and not start:
            raise InputError(
                f"{self._kind} {self._name!r} has no frames: expected at least one picture, got 0. "
                "Check that it plays elsewhere, or record it again."
            )
        raise InputError(
            f"range {start or 0.0:g} to {'the end' if end is None else f'{end:g}'} of {self._kind} {self._name!r} is "
            f"empty: expected a frame in it, got none{'' if last is None else f' (one is at {last:.3f} s)'}. "
            "Choose an earlier start or a later end."
        )

    def _describe(self, first: VideoFrame, start: float | None, end: float | None) -> SourceInfo:
        height, width = self._picture(first).shape[:2]
        fps, duration = self._decoder.rate, self._duration(start, end)
        declared = self._decoder.declared if start is None and end is None else None
        return SourceInfo(
            name=self._name,
            kind=self._kind,
            width=width,
            height=height,
            fps=fps,
            frames=declared or (None if duration is None else max(1, round(duration * fps))),
            duration=duration,
            has_audio=bool(self._container.streams.audio),
            origin=self._decoder.origin,
        )

    def _duration(self, start: float | None, end: float | None) -> float | None:
        """Seconds between start and end, as far as the container knows."""
        stream, container = self._stream, self._container
        if stream.duration and stream.time_base:
            begin, length = (stream.start_time or 0) * stream.time_base, stream.duration * stream.time_base
        elif container.duration:
            begin, length = Fraction(container.start_time or 0, SECOND), Fraction(container.duration, SECOND)
        else:
            return None
        begin = float(begin) - self._decoder.origin
        stop = begin + float(length)
        return max(0.0, (stop if end is None else min(end, stop)) - max(begin, start or 0.0))

    def _picture(self, frame: VideoFrame) -> Image:
        """RGB (h w 3) as displayed: square pixels, upright, contiguous."""
        aspect = self._stream.sample_aspect_ratio or Fraction(1)
        width = max(1, round(frame.width * aspect))
        if frame.colorspace not in MATRICES:
            frame.colorspace = NEAREST.get(frame.colorspace, UNSPECIFIED)
        array = self._to_rgb.reformat(frame, width, frame.height, "rgb24", threads=codec_threads()).to_ndarray()
        # PyAV pads the rows of some widths, and MediaPipe reads a padded array as garbage without a word
        return np.ascontiguousarray(np.rot90(array, self._turns), dtype=np.uint8)

    def _broken(self, advice: str) -> str:
        return f"{self._kind} {self._name!r} {self._decoder.damage} {advice}"


def _is_cover(stream: VideoStream) -> bool:
    return bool(stream.disposition & Disposition.attached_pic)


def _unreadable(path: Path, extent: Extent | None, error: Exception) -> InputError:
    if extent is not None and extent.lacks_index:
        return TruncatedError(
            f"video {str(path)!r} is cut off before its index: expected a 'moov' box, got {', '.join(extent.names)}. "
            "No frame can be decoded: copy or download it again."
        )
    return InputError(
        f"input {str(path)!r} is not a video: expected something that FFmpeg decodes, got {reason(error)}. "
        "Check that it plays elsewhere."
    )


def _missing_bytes(extent: Extent) -> str:
    return f"ends early: expected {extent.declared} bytes, got {extent.present}."


def _without_password(address: str) -> str:
    """The address without user and password, which may hold any character, also those that end a host."""
    scheme, slashes, rest = address.partition("://")
    hidden, at, place = rest.rpartition("@")
    return f"{scheme}{slashes}***@{place}" if hidden or at else address
