"""Pictures as a video that plays everywhere: H.264, yuv420p, with the source's own times and its own sound."""

from __future__ import annotations

from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from av.codec.codec import UnknownCodecError
from av.error import FFmpegError

from stemo.errors import OutputError
from stemo.output.pending import Pending, failed
from stemo.output.sound import Sound
from stemo.processors import codec_threads
from stemo.records import Image

ENCODER = "libx264"
TIME_BASE = Fraction(1, 90_000)  # fine enough for any frame rate, and for variable ones
FAR_CLOCK = 1.0  # seconds: a clock that starts later than this (a broadcast, a camera) is moved to zero
BT601, BT709, LIMITED = 6, 1, 1  # code points of ITU-T H.273, so that no player has to guess the colours


class VideoWriter:
    """An mp4 at ``path``, written as ``path.part`` and renamed by :meth:`close`.

    Pictures are ``(height width 3)`` RGB uint8, upright; yuv420p needs even sizes, so an odd last row or column is
    repeated once. ``fps`` is the nominal rate; each frame lies at its own time, so a variable rate stays variable.
    The sound of ``sound_from`` (a file) is kept, trimmed to ``start`` and ``end``: seconds on the source's clock;
    ``start`` becomes 0 in the output. That clock begins ``sound_offset`` seconds into the file's own timestamps.

    Raises :class:`OutputError` when the place is missing, taken or full, or a picture has another size. In ``with``,
    leaving with an exception aborts.
    """

    def __init__(
        self,
        path: Path,
        width: int,
        height: int,
        fps: Fraction,
        *,
        sound_from: Path | None = None,
        sound_offset: float = 0.0,
        start: float = 0.0,
        end: float | None = None,
        overwrite: bool = False,
        crf: int = 20,
    ) -> None:
        self.path = Path(path)
        self.count = 0
        self.width, self.height = width, height
        self._start, self._origin, self._end = start, start, end
        self._pts = -1
        self._time = start
        self._done = False
        self._pending = Pending(self.path, overwrite=overwrite)
        self._sound: Sound | None = None
        try:
            self._file = av.open(
                str(self._pending.part.absolute()), "w", format="mp4", options={"movflags": "+faststart"}
            )
            self._open_picture(fps, crf)
            if sound_from is not None:
                self._sound = Sound(self._file, Path(sound_from), start=start, end=end, offset=sound_offset)
        except UnknownCodecError as error:
            self.abort()
            raise OutputError(
                f"encoder {str(error)!r} is missing: expected an FFmpeg with H.264 and AAC, got one without. "
                "pip install --force-reinstall --only-binary av av"
            ) from error
        except (FFmpegError, OSError) as error:
            self.abort()
            raise failed(self.path, error) from error
        except BaseException:
            self.abort()
            raise

    @property
    def has_sound(self) -> bool:
        """Whether the source had sound to keep."""
        return self._sound is not None and self._sound.present

    def write(self, image: Image, time: float) -> None:
        """Append one picture shown from ``time`` on (seconds, the source's clock)."""
        if image.shape != (self.height, self.width, 3):
            raise OutputError(
                f"picture of frame {self.count!r} has another size: expected {self.width}x{self.height}, "
                f"got {'x'.join(map(str, image.shape[1::-1]))}. Keep one size for a whole video."
            )
        if self.count == 0:
            self._origin = self._find_origin(time)
        self._pts = max(self._pts + 1, round((time - self._origin) / TIME_BASE))
        self._time = time
        frame = _yuv(image)
        frame.pts, frame.time_base = self._pts, TIME_BASE
        try:
            self._file.mux(self._stream.encode(frame))
            if self._sound is not None:
                self._sound.advance(time, self._origin)
        except (FFmpegError, OSError) as error:
            raise failed(self.path, error) from error
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
                raise OutputError(f"video {str(self.path)!r} is empty: expected frames, got none. Check --start/--end.")
            return
        try:
            self._file.mux(self._stream.encode(None))
            if self._sound is not None:
                self._sound.advance(self._time if keep else float("inf"), self._origin)
            self._file.close()
        except (FFmpegError, OSError) as error:
            self.abort()
            raise failed(self.path, error) from error
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

    def _open_picture(self, fps: Fraction, crf: int) -> None:
        rate = Fraction(fps).limit_denominator(1001) if fps > 0 else Fraction(25)
        self._stream = self._file.add_stream(ENCODER, rate=rate, options={"preset": "veryfast", "crf": str(crf)})
        self._stream.width, self._stream.height = self.width + self.width % 2, self.height + self.height % 2
        self._stream.pix_fmt = "yuv420p"
        self._stream.time_base = TIME_BASE
        context = self._stream.codec_context
        context.thread_count = codec_threads()
        context.time_base = TIME_BASE
        context.colorspace, context.color_range = BT601, LIMITED
        context.color_primaries, context.color_trc = BT709, BT709

    def _find_origin(self, first: float) -> float:
        if first - self._start <= FAR_CLOCK:
            return self._start
        heard = self._sound.first_time() if self._sound is not None else None
        heard = first if heard is None else heard
        return self._start if heard - self._start <= FAR_CLOCK else max(self._start, min(first, heard))

    def _release(self) -> None:
        if self._sound is not None:
            self._sound.close()


def _yuv(image: Image) -> av.VideoFrame:
    """The picture as yuv420p; OpenCV converts several times faster than swscale, and loses nothing here."""
    height, width = image.shape[:2]
    if height % 2 or width % 2:
        image = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    planes = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2YUV_I420), dtype=np.uint8)
    return av.VideoFrame.from_ndarray(planes, format="yuv420p")
