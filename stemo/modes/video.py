"""``--video``: a file, image, folder or stream, read once from end to end, into a video and data."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TypeVar

from tqdm import tqdm

from stemo.capture import Source, open_source
from stemo.config import RecognitionSettings
from stemo.errors import ConfigError, StemoError
from stemo.modes.live import stopping, until
from stemo.modes.resume import Work, check_resumable, identify, leave_finished, note_work, remove_work
from stemo.modes.standing import Place, fingerprint, formats, judge
from stemo.output.background import Background, ResumableBackground
from stemo.output.contact import ContactSheet
from stemo.output.data import default_output, output_name
from stemo.output.hud import Hud
from stemo.output.meta import write_meta
from stemo.output.pending import check_place
from stemo.output.pieces import PiecedVideo
from stemo.output.sinks import RowSink, VideoSink
from stemo.output.sound import Excerpt
from stemo.output.video import VideoWriter
from stemo.pipeline import Resumable, Scene, Sink, deliver
from stemo.processors import share_processors
from stemo.recognizer import Recognizer
from stemo.records import FrameResult, State

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
    resume: bool = False,
    contact_sheet: bool = False,
    started: float | None = None,
    recognizer: Recognizer | None = None,
    bar: bool = True,
    stop: threading.Event | None = None,
) -> int:
    """Read ``spec`` into ``output`` and the files beside it; returns 0. Raises :class:`StemoError` otherwise.

    ``resume`` leaves what a killed run can go on from, and goes on where there is such. ``started``
    (:func:`time.monotonic`) is when the command began, for the report of its start-up. ``recognizer`` is one that these
    settings made, where there is one already; ``bar`` shows the progress on a terminal,
    ``stop`` is set by Ctrl-C, also by one that comes while files are finished and so ends nothing here.

    Where the input ends early, everything decoded is kept and the error comes after the files are finished.
    """
    started = started or time.monotonic()
    share_processors()
    output = output or default_output(spec)
    if resume:
        check_resumable(spec)
    with ExitStack() as stack:
        source = stack.enter_context(open_source(spec, start=settings.start, end=settings.end))
        check_output(output, no_video, source)
        recognizer = recognizer or make_recognizer(settings)
        place = Place(Path(os.path.abspath(source.info.name)), output, settings, no_video, resume)
        known = fingerprint(place.video)  # now: it may be replaced while it is read
        work = None
        if resume:
            standing = judge(place, recognizer.facts.sha256, overwrite)
            if standing.finished:
                return leave_finished(place, say)
            identity = identify(place, recognizer.facts.sha256, str(recognizer.device), recognizer.engine)
            work = stack.enter_context(Work(place, identity, say))
            # what is there was left unfinished by the same run, if it is not refused
            overwrite = overwrite or work.begun or not standing.refusal
        else:
            note_work(place, say)
        check_place(place.meta, overwrite)
        stop = stop or threading.Event()
        # libraries that are interrupted while they load report something else, and files are open from here on
        stack.enter_context(stopping(stop))
        sinks = Sinks(source, place, overwrite, contact_sheet, recognizer.facts.labels, work)
        try:
            scene = open_scene(settings, bool(settings.objects), stack, say)
            pipeline = stack.enter_context(recognizer.stages(scene))
            order = [] if work is None else [work.enter(pipeline, source, sinks.parts)]
        except BaseException:
            sinks.abort()
            raise
        ready, begun, counts = time.monotonic(), sinks.rows.counts["frames"], sinks.rows.counts
        tell = partial(
            write_meta,
            output,
            source=describe(source, known),
            fps=source.info.fps,
            model=asdict(recognizer.facts),
            settings=asdict(settings),
            counts=counts,
            overwrite=True,
        )
        complete = False
        try:
            results = stack.enter_context(closing(pipeline.results(source, resumable=resume)))
            shown = with_progress(results, source, begun) if bar else results
            deliver(until(stop, shown), [*order, FactsFirst(tell), *sinks.order], begun=begun > 0)
            complete = True
        finally:
            if counts["frames"]:
                tell(complete=complete)
        say(_summary(counts, begun, time.monotonic() - ready, ready - started))
        say("wrote " + ", ".join(str(path) for path in (*place.files, place.meta)))
    if not resume:
        remove_work(place)  # of a run of the same output that was interrupted: this one has replaced it
    return 0


def _summary(counts: Mapping[str, int], begun: int, passed: float, start_up: float) -> str:
    """What was read in ``passed`` seconds, of which the first ``begun`` frames were read before."""
    speed = (counts["frames"] - begun) / max(passed, 1e-9)
    return (
        f"{counts['frames']} frames, {counts['rows']} rows, {counts['tracks']} faces in {passed:.1f} s "
        f"({speed:.1f} frames/s, start-up {start_up:.1f} s)"
    )


class FactsFirst:
    """A sink before all others: facts that call the results unfinished are there before the first of them is.

    A run that is killed between two of its files is then known by them, and replaced; see :func:`judge`.
    """

    def __init__(self, tell: Callable[..., object]) -> None:
        self._tell = tell

    def write(self, result: FrameResult) -> None:
        """There is nothing to tell yet."""

    def close(self, *, complete: bool = True) -> None:  # noqa: ARG002
        """Write the facts: the other sinks give their files a name only after this."""
        self._tell(complete=False)

    def abort(self) -> None:
        """There is nothing to tell."""


class Sinks:
    """What a run writes, opened: rows, and a video where there is to be one. ``parts`` are what ``work`` resumes."""

    def __init__(
        self,
        source: Source,
        place: Place,
        overwrite: bool,
        contact_sheet: bool,
        labels: Sequence[str],
        work: Work | None,
    ) -> None:
        output, settings = place.output, place.settings
        journal = work.journal if work else None
        self.rows = RowSink(output, formats(settings), overwrite=overwrite, labels=labels, journal=journal)
        self.order: list[Sink] = [self.rows]
        self.parts: dict[str, Resumable] = {"rows": self.rows}
        try:
            if work and not place.no_video:
                film = ResumableBackground(open_pieces(source, output, settings, overwrite, work.folder))
                hud = Hud()
                self.parts |= {"film": film, "hud": hud}
                self.order.insert(0, VideoSink(film, hud))
            elif not place.no_video:
                self.order.insert(0, video_sink(source, output, settings, overwrite, contact_sheet))
        except BaseException:
            self.abort()
            raise

    def abort(self) -> None:
        """Leave no file behind."""
        for sink in self.order:
            sink.abort()


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
        batch=settings.batch,
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
    return VideoSink(Background(writer), Hud(), sheet)


def open_writer(source: Source, output: Path, settings: RecognitionSettings, overwrite: bool) -> VideoWriter:
    """A video of the source's size and rate at ``output``, with its sound where it has any."""
    return VideoWriter(output, *_shape(source), _excerpt(source, settings), overwrite=overwrite)


def open_pieces(
    source: Source, output: Path, settings: RecognitionSettings, overwrite: bool, folder: Path
) -> PiecedVideo:
    """The same by way of pieces in ``folder``, which can be resumed."""
    return PiecedVideo(output, folder, *_shape(source), _excerpt(source, settings), overwrite=overwrite)


def _shape(source: Source) -> tuple[int, int, Fraction]:
    return source.info.width, source.info.height, source.info.fps


def _excerpt(source: Source, settings: RecognitionSettings) -> Excerpt:
    info = source.info
    sound_from = Path(info.name) if info.has_audio and info.kind == "video" else None
    return Excerpt(sound_from, info.origin, settings.start or 0.0, settings.end)


def with_progress(results: Iterable[T], source: Source, begun: int = 0) -> Iterator[T]:
    """Show frames per second and the time left on a terminal, ``begun`` frames being done; nothing otherwise."""
    total = source.info.frames
    yield from tqdm(results, "reading", total, unit=" frames", disable=None, file=sys.stderr, initial=begun)


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


def describe(source: Source, known: State | None = None) -> dict[str, object]:
    """The source's facts for the meta file; ``known`` is its fingerprint from before it was read."""
    info = source.info
    file = Path(info.name)
    return {
        "name": info.name,
        "path": os.path.abspath(file) if known else None,
        "fingerprint": dict(known) if known else None,
        "kind": info.kind,
        "bytes": file.stat().st_size if file.is_file() else None,
        "width": info.width,
        "height": info.height,
        "frames_declared": info.frames,
        "duration_s": info.duration,
        "sound": info.has_audio,
    }
