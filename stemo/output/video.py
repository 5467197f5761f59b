"""Pictures as a video that plays everywhere: H.264, yuv420p, with the source's own times and its own sound."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from av.codec.codec import UnknownCodecError
from av.container import OutputContainer
from av.error import FFmpegError
from av.video.stream import VideoStream
from einops import rearrange

from stemo.errors import OutputError
from stemo.output.pending import Pending, failed
from stemo.output.sound import WHOLE, Excerpt, Sound
from stemo.processors import codec_threads
from stemo.records import Image

ENCODER = "libx264"
# as small as "superfast" with ten pictures looked ahead, and a third of a decibel of 41 below it on faces, in three
# quarters of the time; without the look ahead, which spends bits where later pictures build on them, videos are larger
EFFORT = {"preset": "superfast", "x264-params": "mbtree=1:rc-lookahead=5:b-adapt=0:subme=0"}
QUALITY = 19  # x264's constant rate factor
LARGEST = 16_384  # pixels a side: x264 takes no more
TIME_BASE = Fraction(1, 90_000)  # fine enough for any frame rate, and for variable ones
FAR_CLOCK = 1.0  # seconds: a clock that starts later than this (a broadcast, a camera) is moved to zero
BT601, BT709, LIMITED = 6, 1, 1  # code points of ITU-T H.273, so that no player has to guess the colours


class VideoWriter:
    """An mp4 at ``path``, written as ``path.part`` and renamed by :meth:`close`.

    Pictures are ``(height width 3)`` RGB uint8, upright; yuv420p needs even sizes, so an odd last row or column is
    repeated once. ``fps`` is the nominal rate; each frame lies at its own time, so a variable rate stays variable.
    The ``excerpt`` says what sound is kept; its start becomes 0 in the output.

    Raises :class:`OutputError` when the place is missing, taken or full, or a picture has another size. In ``with``,
    leaving with an exception aborts.
    """

    def __init__(
        self,
        path: Path,
        width: int,
        height: int,
        fps: Fraction,
        excerpt: Excerpt = WHOLE,
        *,
        overwrite: bool = False,
        crf: int = QUALITY,
    ) -> None:
        self.path = Path(path)
        self.count = 0
        self.width, self.height = width, height
        self._clock = Clock(excerpt.start)
        self._time = excerpt.start
        self._done = False
        self._pending = Pending(self.path, overwrite=overwrite)
        self._sound: Sound | None = None
        try:
            with faults_said(self.path):
                self._file = open_mp4(self._pending.part)
                self._stream = add_pictures(self._file, width, height, fps, crf)
                self._sound = excerpt.open_sound(self._file)
        except BaseException:
            self.abort()
            raise

    @property
    def has_sound(self) -> bool:
        """Whether the source had sound to keep."""
        return self._sound is not None and self._sound.present

    def write(self, image: Image, time: float) -> None:
        """Append one picture shown from ``time`` on (seconds, the source's clock)."""
        check_size(image, self.width, self.height, self.count)
        if self.count == 0:
            self._clock.begin(time, self._sound.first_time if self._sound else lambda: None)
        self._time = time
        with faults_said(self.path):
            self._file.mux(self._stream.encode(as_frame(image, self._clock.tick(time))))
            if self._sound is not None:
                self._sound.advance(time, self._clock.origin)
        self.count += 1

    def close(self, *, keep: bool = False) -> None:
        """Finish the video and give it its final name.

        With ``keep`` (the input broke off, or the user stopped) what was written is kept, its sound ends with the last
        picture, and nothing at all is left when there was no picture. Without it, no picture is an error.
        """
        if self._done:
            return
        if self.count == 0:
            self.abort()
            if not keep:
                raise no_pictures(self.path)
            return
        try:
            with faults_said(self.path):
                self._file.mux(self._stream.encode(None))
                if self._sound is not None:
                    self._sound.advance(self._time if keep else float("inf"), self._clock.origin)
                self._file.close()
        except BaseException:
            self.abort()
            raise
        self._done = True
        self._release()
        self._pending.commit()

    def abort(self) -> None:
        """Leave nothing that looks like a result."""
        if self._done:
            return
        self._done = True
        if hasattr(self, "_file"):
            with suppress(FFmpegError, OSError):  # a full disk fails here again; the file goes away anyway
                self._file.close()
        self._release()
        self._pending.discard()

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.close() if kind is None else self.abort()

    def _release(self) -> None:
        if self._sound is not None:
            self._sound.close()


@dataclass(slots=True)
class Clock:
    """Seconds of the source -> ticks of :data:`TIME_BASE` in the output, each later than the one before.

    ``origin`` is the source's time that becomes 0: where the output was asked to ``start``, or, for a clock that is
    far from it, the first thing seen or heard.
    """

    origin: float
    last: int = -1

    def begin(self, first: float, first_heard: Callable[[], float | None]) -> None:
        """Find the origin, given when the first picture is shown and the first sound heard, if any."""
        if first - self.origin <= FAR_CLOCK:
            return
        heard = first_heard()
        heard = first if heard is None else heard
        if heard - self.origin > FAR_CLOCK:
            self.origin = max(self.origin, min(first, heard))

    def tick(self, time: float) -> int:
        """The tick of the next picture, shown from ``time`` on."""
        self.last = max(self.last + 1, round((time - self.origin) / TIME_BASE))
        return self.last


def open_mp4(path: Path) -> OutputContainer:
    """A new mp4 that plays before all of it is there; raises what PyAV raises."""
    return av.open(str(path.absolute()), "w", format="mp4", options={"movflags": "+faststart"})


def add_pictures(file: OutputContainer, width: int, height: int, fps: Fraction, crf: int) -> VideoStream:
    """A stream in ``file`` that encodes pictures of that size, made even; raises what PyAV raises, and OutputError."""
    if max(width, height) > LARGEST:
        raise OutputError(
            f"video of {width}x{height} pixels is too large for H.264: expected at most {LARGEST} a side, got "
            f"{max(width, height)}. Scale the source down, or pass --no-video for the rows alone."
        )
    rate = Fraction(fps).limit_denominator(1001) if fps > 0 else Fraction(25)
    stream = file.add_stream(ENCODER, rate=rate, options={**EFFORT, "crf": str(crf)})
    stream.width, stream.height = width + width % 2, height + height % 2
    stream.pix_fmt = "yuv420p"
    stream.time_base = TIME_BASE
    context = stream.codec_context
    context.thread_count = codec_threads()
    context.time_base = TIME_BASE
    context.colorspace, context.color_range = BT601, LIMITED
    context.color_primaries, context.color_trc = BT709, BT709
    return stream


def check_size(image: Image, width: int, height: int, number: int) -> None:
    """Raise :class:`OutputError` where the picture of frame ``number`` has another size."""
    if image.shape != (height, width, 3):
        raise OutputError(
            f"picture of frame {number!r} has another size: expected {width}x{height}, "
            f"got {'x'.join(map(str, image.shape[1::-1]))}. Keep one size for a whole video."
        )


def no_pictures(path: Path) -> OutputError:
    """The one-line error for a video of nothing."""
    return OutputError(f"video {str(path)!r} is empty: expected frames, got none. Check --start/--end.")


@contextmanager
def faults_said(path: Path) -> Iterator[None]:
    """Faults of the disk and of FFmpeg as the one-line error for ``path``."""
    try:
        yield
    except UnknownCodecError as error:
        raise no_encoder(error) from error
    except (FFmpegError, OSError) as error:
        raise failed(path, error) from error


def no_encoder(error: UnknownCodecError) -> OutputError:
    """The one-line error for an FFmpeg that lacks an encoder."""
    return OutputError(
        f"encoder {str(error)!r} is missing: expected an FFmpeg with H.264 and AAC, got one without. "
        "pip install --force-reinstall --only-binary av av"
    )


def as_frame(image: Image, tick: int) -> av.VideoFrame:
    """The picture (h w 3) RGB as yuv420p of even size, shown from ``tick`` on.

    OpenCV converts several times faster than swscale, and loses nothing here.
    """
    height, width = image.shape[:2]
    if height % 2 or width % 2:
        image = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    height, width = image.shape[:2]
    planes = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2YUV_I420), dtype=np.uint8)
    chroma = rearrange(planes[height:].ravel(), "(p h w) -> p h w", p=2, h=height // 2)
    frame = av.VideoFrame(width, height, "yuv420p")
    # PyAV's own copy takes three times as long, and its way without one cuts heights to multiples of four
    for plane, values in zip(frame.planes, (planes[:height], *chroma), strict=True):
        rows = rearrange(np.frombuffer(memoryview(plane), np.uint8), "(h w) -> h w", w=plane.line_size)
        rows[: plane.height, : plane.width] = values
    frame.pts, frame.time_base = tick, TIME_BASE
    return frame
