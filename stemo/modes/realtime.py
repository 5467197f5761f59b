"""``--realtime``: a camera, or a file that stands in for one, read live in a window.

Everything but capture, encoding and scene objects happens on the main thread, one frame at a time: the newest frame is
read, drawn and shown before the next one is fetched, so nothing ever waits behind anything else.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from stemo.capture import Camera, Source, open_source
from stemo.capture.source import check_range
from stemo.config import RecognitionSettings
from stemo.errors import ConfigError, StemoError
from stemo.modes.live import Live, Meter, stopping
from stemo.modes.standing import formats as written
from stemo.modes.video import Say, check_not_input, describe, make_recognizer, open_scene
from stemo.modes.window import Window, check_display
from stemo.network.checkpoint import WeightFacts
from stemo.output.background import WAITING, Background, Film
from stemo.output.data import output_name
from stemo.output.hud import Hud
from stemo.output.meta import write_meta
from stemo.output.pending import check_place
from stemo.output.sinks import RowSink
from stemo.output.video import VideoWriter
from stemo.output.writers import check_writers
from stemo.pipeline import Pipeline, Scene, Sink, deliver
from stemo.processors import share_processors
from stemo.records import Frame, FrameResult, SceneObject


def run_realtime(
    source: int | str,
    settings: RecognitionSettings,
    say: Say,
    *,
    output: Path | None = None,
    record: Path | None = None,
    window: bool = True,
    overwrite: bool = False,
    formats: str | None = None,
) -> int:
    """Read camera number ``source``, or the file or stream of that name, until q, Ctrl-C or its end; returns 0.

    ``output`` names the rows (``OUT_results.jsonl``, or in other ``formats``; with ``OUT_meta.json``), ``record`` the
    annotated video of what was shown. ``start`` and ``end`` of a camera count from its first frame that is read.
    Raises :class:`StemoError`; where the source breaks off, what was read is kept first.
    """
    _check_record(record)
    check_range(settings.start, settings.end)
    note_rows(output, record, say)
    settings = replace(settings, format=formats or "jsonl")  # what is written, for the facts beside it
    share_processors()
    if window:
        check_display()
    stop = threading.Event()
    limits = (settings.start, settings.end) if isinstance(source, int) else (None, None)
    with Live(_open(source, settings), stop, limits=limits) as live, ExitStack() as stack:
        _check_rows(output, written(settings), overwrite)
        with ExitStack() as opened:  # of what is open, nothing is left where the rest fails
            screen = _open_screen(live, stop, record, window, overwrite)
            opened.callback(screen.abort)
            live.idle = screen.idle
            recognizer = make_recognizer(settings)
            rows = _open_rows(output, settings, recognizer.facts, overwrite) if output else None
            opened.callback(rows.abort if rows else lambda: None)
            scene = open_scene(settings, settings.objects is not False, stack, say)
            pipeline = stack.enter_context(recognizer.stages(Forgiving(scene, say) if scene else None, in_turn=True))
            opened.pop_all()
        return _follow(live, pipeline, recognizer.facts, Outlets(screen, rows, output, record), settings, say)


@dataclass(frozen=True, slots=True)
class Outlets:
    """Where results go, and under which names."""

    screen: Screen
    rows: RowSink | None
    output: Path | None
    record: Path | None

    @property
    def sinks(self) -> list[Sink]:
        """The rows come first: they tell of every frame that was shown."""
        return [self.rows, self.screen] if self.rows else [self.screen]


def _follow(
    live: Live, pipeline: Pipeline, model: WeightFacts, outlets: Outlets, settings: RecognitionSettings, say: Say
) -> int:
    meter, complete = Meter(live), False
    paths: list[Path] = []
    with stopping(live.stop):
        try:
            results = pipeline.results(live, overlapped=False)
            with closing(results):
                deliver(meter.watch(results), outlets.sinks)
            complete = True
        finally:
            if complete or meter.frames:
                say(meter.summary())
                paths = _finish(live, model, outlets, settings, meter, complete)
    if paths:
        say("wrote " + ", ".join(str(path) for path in paths))
    return 0


def _finish(
    live: Live, model: WeightFacts, outlets: Outlets, settings: RecognitionSettings, meter: Meter, complete: bool
) -> list[Path]:
    """Write the facts beside the rows; returns the names of everything written."""
    paths = [outlets.record] if outlets.record and meter.frames else []
    if outlets.rows is None or outlets.output is None:
        return paths
    meta = write_meta(
        outlets.output,
        source=describe(live),
        fps=live.info.fps,
        model=asdict(model),
        settings=asdict(settings),
        counts={**outlets.rows.counts, "dropped": live.dropped},
        complete=complete,
        overwrite=True,
    )
    return [*paths, *(writer.path for writer in outlets.rows.writers), meta]


class Screen:
    """The sink that draws each result once, for the window and for the recording; either may be absent."""

    def __init__(self, window: Window | None, stop: threading.Event, recorder: Film | None = None) -> None:
        self._window, self._stop, self._recorder, self._hud = window, stop, recorder, Hud()

    def write(self, result: FrameResult) -> None:
        """Draw, show and record one frame."""
        if self._window is None and self._recorder is None:
            return
        drawn = self._hud.draw(result)
        if self._recorder:
            self._recorder.write(drawn, result.frame.time)
        if self._window:
            self._window.show(drawn)
            self._heed(self._window)

    def idle(self) -> None:
        """Let the window react while there is nothing to show."""
        if self._window:
            self._window.pump()
            self._heed(self._window)

    def close(self, *, complete: bool = True) -> None:  # noqa: ARG002
        """Take the window away and finish the recording; however the reading ended, it is whole."""
        if self._window:
            self._window.close()
        if self._recorder:
            self._recorder.close(keep=True)

    def abort(self) -> None:
        """Take the window away and leave no recording."""
        if self._window:
            self._window.close()
        if self._recorder:
            self._recorder.abort()

    def _heed(self, window: Window) -> None:
        if window.closed:
            self._stop.set()


class Forgiving:
    """A scene that, when its detector fails, says so once and shows nothing from then on."""

    def __init__(self, scene: Scene, say: Say) -> None:
        self._scene: Scene | None = scene
        self._say = say
        self._count = 0

    def update(self, frame: Frame) -> tuple[SceneObject, ...]:
        """The objects known by now."""
        if self._scene is None:
            return ()
        # counted anew: with frames dropped, the source's own numbers could avoid every k-th for ever
        counted = replace(frame, index=self._count)
        self._count += 1
        try:
            return self._scene.update(counted)
        except StemoError as error:
            self._say(f"warning: going on without scene objects: {error}")
            self._scene = None
            return ()


def _open(source: int | str, settings: RecognitionSettings) -> Source:
    return Camera(source) if isinstance(source, int) else open_source(source, start=settings.start, end=settings.end)


def _check_rows(output: Path | None, formats: Sequence[str], overwrite: bool) -> None:
    """Raise what writing the rows would, before the models are loaded that know their columns."""
    if output:
        check_place(output_name(output, "meta.json"), overwrite)
        check_writers(output, formats, overwrite=overwrite)


def _open_rows(output: Path, settings: RecognitionSettings, model: WeightFacts, overwrite: bool) -> RowSink:
    return RowSink(output, written(settings), overwrite=overwrite, labels=model.labels)


def _open_screen(live: Live, stop: threading.Event, record: Path | None, window: bool, overwrite: bool) -> Screen:
    info = live.info
    if record:
        check_not_input(record, live)
    writer = VideoWriter(record, info.width, info.height, info.fps, overwrite=overwrite) if record else None
    return Screen(
        Window(f"stemo: {info.name}") if window else None, stop, Background(writer, WAITING) if writer else None
    )


def note_rows(output: Path | None, record: Path | None, say: Say) -> None:
    """Say that no video comes where the name of one was given for the rows."""
    if output is not None and record is None and output.suffix.lower() == ".mp4":
        say(f"note: --output names the rows here: for the annotated video as well, add --record {output}")


def _check_record(record: Path | None) -> None:
    if record is not None and record.suffix.lower() != ".mp4":
        raise ConfigError(
            f"recording {str(record)!r} is not a video name: expected a name ending in .mp4, "
            f"got {record.suffix or 'none'}. Use --record {record.stem}.mp4"
        )
