"""``--video``: a file, image, folder or stream, read once from end to end, into a video and data."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

from tqdm import tqdm

from stemo.capture import Source, open_source
from stemo.config import RecognitionSettings
from stemo.errors import ConfigError, StemoError
from stemo.modes.live import stopping, until
from stemo.output.contact import ContactSheet
from stemo.output.data import output_name
from stemo.output.hud import Hud
from stemo.output.meta import write_meta
from stemo.output.sinks import RowSink, VideoSink
from stemo.output.video import VideoWriter
from stemo.pipeline import Scene, Sink, deliver
from stemo.processors import share_processors
from stemo.recognizer import Recognizer

T = TypeVar("T")
Say = Callable[[str], None]


def run_video(
    spec: str,
    output: Path | None,
    settings: RecognitionSettings,
    no_video: bool,
    overwrite: bool,
    say: Say,
    *,
    contact_sheet: bool = False,
    started: float | None = None,
    recognizer: Recognizer | None = None,
    bar: bool = True,
) -> int:
    """Read ``spec`` into ``output`` and the files beside it; returns 0. Raises :class:`StemoError` otherwise.

    ``started`` (:func:`time.monotonic`) is when the command began, for the report of its start-up. ``recognizer`` is
    one that these settings made, where there is one already; ``bar`` shows the progress on a terminal.

    Where the input ends early, everything decoded is kept and the error comes after the files are finished.
    """
    started = started or time.monotonic()
    share_processors()
    output = output or default_output(spec)
    with ExitStack() as stack:
        source = stack.enter_context(open_source(spec, start=settings.start, end=settings.end))
        check_output(output, no_video, source)
        recognizer = recognizer or make_recognizer(settings)
        data = RowSink(output, formats(settings), overwrite=overwrite, labels=recognizer.facts.labels)
        sinks: list[Sink] = [data]
        try:
            if not no_video:
                sinks.insert(0, video_sink(source, output, settings, overwrite, contact_sheet))
            scene = open_scene(settings, bool(settings.objects), stack, say)
            pipeline = stack.enter_context(recognizer.stages(scene))
        except BaseException:
            for sink in sinks:
                sink.abort()
            raise
        ready = time.monotonic()
        complete, stop = False, threading.Event()
        with stopping(stop):
            try:
                results = stack.enter_context(closing(pipeline.results(source)))
                deliver(until(stop, with_progress(results, source) if bar else results), sinks)
                complete = True
            finally:
                if data.counts["frames"]:
                    write_meta(
                        output,
                        source=describe(source),
                        fps=source.info.fps,
                        model=asdict(recognizer.facts),
                        settings=asdict(settings),
                        counts=data.counts,
                        complete=complete,
                        overwrite=True,
                    )
        passed = time.monotonic() - ready
        frames = data.counts["frames"]
        say(
            f"{frames} frames, {data.counts['rows']} rows, {data.counts['tracks']} faces in {passed:.1f} s "
            f"({frames / max(passed, 1e-9):.1f} frames/s, start-up {ready - started:.1f} s)"
        )
        paths = ([] if no_video else [output]) + [writer.path for writer in data.writers]
        paths.append(output_name(output, "meta.json"))
        say("wrote " + ", ".join(str(path) for path in paths))
    return 0


def make_recognizer(settings: RecognitionSettings) -> Recognizer:
    """The recogniser that the settings describe."""
    return Recognizer(
        weights=settings.weights,
        device=settings.device,
        backend=settings.backend,
        faces=settings.faces,
        smoothing=settings.smoothing,
        ema=settings.ema,
        landmarker=Path(settings.landmarker) if settings.landmarker else None,
        detector=settings.detector,
        face_weights=Path(settings.face_weights) if settings.face_weights else None,
    )


def open_scene(settings: RecognitionSettings, wanted: bool, stack: ExitStack, say: Say) -> Scene | None:
    """The object detector, or ``None`` where it is not wanted or, after one warning line, not to be had."""
    if not wanted:
        return None
    from stemo.faces.objects import ObjectDetector

    weights = Path(settings.object_weights) if settings.object_weights else None
    try:
        return stack.enter_context(ObjectDetector.create(weights, every=settings.object_every))
    except StemoError as error:
        say(f"warning: going on without scene objects: {error}")
        return None


def video_sink(
    source: Source, output: Path, settings: RecognitionSettings, overwrite: bool, contact_sheet: bool
) -> VideoSink:
    """The annotated video at ``output``, with the source's sound where it has any."""
    writer = open_writer(source, output, settings, overwrite)
    try:
        sheet = ContactSheet(output_name(output, "contact.png"), overwrite=overwrite) if contact_sheet else None
    except BaseException:
        writer.abort()
        raise
    return VideoSink(writer, Hud(), sheet)


def open_writer(source: Source, output: Path, settings: RecognitionSettings, overwrite: bool) -> VideoWriter:
    """A video of the source's size and rate at ``output``, with its sound where it has any."""
    info = source.info
    return VideoWriter(
        output,
        info.width,
        info.height,
        info.fps,
        sound_from=Path(info.name) if info.has_audio and info.kind == "video" else None,
        sound_offset=info.origin,
        start=settings.start or 0.0,
        end=settings.end,
        overwrite=overwrite,
    )


def with_progress(results: Iterable[T], source: Source) -> Iterator[T]:
    """Show frames per second and the time left on a terminal; nothing otherwise."""
    yield from tqdm(results, "reading", source.info.frames, unit=" frames", disable=None, file=sys.stderr)


def default_output(spec: str) -> Path:
    """``talk.mp4`` -> ``talk_stemo.mp4`` in the current folder."""
    return Path(f"{Path(spec).stem or 'stream'}_stemo.mp4")


def check_output(output: Path, no_video: bool, source: Source) -> None:
    """Raise :class:`ConfigError` for a video name that is not .mp4, or is the input's own."""
    if not no_video:
        check_not_input(output, source)
    if not no_video and output.suffix.lower() != ".mp4":
        raise ConfigError(
            f"output {str(output)!r} is not a video name: expected a name ending in .mp4, got {output.suffix!r}. "
            "Add .mp4, or --no-video for data only."
        )


def check_not_input(output: Path, source: Source) -> None:
    """Raise :class:`ConfigError` where ``output`` would replace what is being read."""
    if output.exists() and Path(source.info.name).exists() and output.samefile(source.info.name):
        raise ConfigError(f"output {str(output)!r} is the input: expected another name, got the same. Change --output.")


def formats(settings: RecognitionSettings) -> list[str]:
    """``json,csv`` -> ["json", "csv"]."""
    return [name.strip() for name in settings.format.split(",") if name.strip()]


def describe(source: Source) -> dict[str, object]:
    """The source's facts for the meta file."""
    info = source.info
    file = Path(info.name)
    return {
        "name": info.name,
        "kind": info.kind,
        "bytes": file.stat().st_size if file.is_file() else None,
        "width": info.width,
        "height": info.height,
        "frames_declared": info.frames,
        "duration_s": info.duration,
        "sound": info.has_audio,
    }
