"""The command line: flags -> a mode. A mode, and what it needs, is imported only when it is chosen."""

from __future__ import annotations

import argparse
import errno
import io
import os
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, TextIO

from stemo.arguments import build_parser
from stemo.config import RecognitionSettings, Settings, TrainingSettings, did_you_mean, load_settings
from stemo.errors import ConfigError, StemoError
from stemo.modes.flags import check_one_video, check_together, check_values, live_formats


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code. Errors are one line on stderr."""
    _write_anything(sys.stdout)
    try:
        return _run(list(sys.argv[1:] if arguments is None else arguments))
    except StemoError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted: what was computed has been kept.", file=sys.stderr)
        return 130
    except BrokenPipeError:
        return 141
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        name = os.fspath(error.filename or "")
        print(
            f"error: name {name!r} is too long: expected at most about 255 bytes between slashes, got "
            f"{len(os.fsencode(name))} in all. Shorten it.",
            file=sys.stderr,
        )
        return ConfigError.exit_code


def _write_anything(stream: TextIO) -> None:
    """Let names that the terminal's encoding lacks be written as escapes, as stderr does by itself."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")


def _run(arguments: list[str]) -> int:
    parser = build_parser()
    check_values(arguments)
    options, unknown = parser.parse_known_args(arguments)
    if unknown:
        known = [flag for action in parser._actions for flag in action.option_strings]
        raise ConfigError(
            f"flag {unknown[0]!r} is unknown.{did_you_mean(unknown[0], known)} See: python main.py --help"
        )
    check_together(options, parser.parse_args([]))
    settings = load_settings(options.config, _flags(options))
    return _mode(options, settings)


def _mode(options: argparse.Namespace, settings: Settings) -> int:
    started = time.monotonic()
    if options.video is not None:
        return _video(options, settings, started)
    if options.resume:
        raise ConfigError(
            "--resume belongs to --video: expected a file or a folder, which can be read again, got "
            f"{'a live source' if options.realtime else 'another mode'}. Leave --resume out."
        )
    if options.realtime:
        from stemo.modes.realtime import run_realtime

        return run_realtime(
            options.camera if options.source is None else options.source,
            settings.recognition,
            print,
            output=options.output,
            record=options.record,
            window=not options.no_window,
            overwrite=options.overwrite,
            formats=live_formats(options.format, options.config),
        )
    if options.demo:
        from stemo.modes.demo import run_demo

        return run_demo(options.output or Path("demo"), settings.recognition, print)
    if options.doctor:
        from stemo.modes.doctor import run_doctor

        return run_doctor(print)
    if options.train:
        from stemo.modes.train import run_train

        return run_train(
            settings.training, settings.recognition.device, options.weights, print, overwrite=options.overwrite
        )
    if options.prepare is not None:
        from stemo.modes.prepare import run_prepare

        return run_prepare(
            Path(options.prepare), options.output, settings.training, options.split, options.overwrite, print
        )
    if options.evaluate is not None:
        return _evaluate(options, settings)
    if options.benchmark is not None:
        from stemo.modes.benchmark.choice import Wish, run_chosen

        record = str(options.record) if options.record else None
        more = options.peers or (), options.split, options.frames, options.workers, record, options.overwrite
        return run_chosen(Wish(options.benchmark, options.output, *more), settings)
    if options.export is not None:
        return _export(options, settings)
    if options.card is not None:
        from stemo.modes.card import run_card

        return run_card(options.card, print)
    if options.explain is not None:
        from stemo.modes.explain import run_explain

        return run_explain(
            options.explain, options.output, settings.recognition, options.emotion, options.overwrite, print
        )
    if options.train_detector is not None or options.compare_detectors is not None:
        return _detector_mode(options, settings)
    from stemo.modes.summary import run_summary

    network = settings.training
    return run_summary(network.architecture, network.size, options.weights, options.overwrite, print)


def _video(options: argparse.Namespace, settings: Settings, started: float) -> int:
    """One source, or many."""
    from stemo.modes.batch.inputs import find_batch

    chosen, no_video, overwrite = settings.recognition, options.no_video, options.overwrite
    batch = find_batch(options.video, options.output)
    if batch is None:
        from stemo.modes.video import run_video

        check_one_video(options.engine, options.workers)
        return run_video(
            options.video, options.output, chosen, no_video, overwrite, print, resume=options.resume, started=started
        )
    from stemo.modes.batch.engines import choose_engine
    from stemo.modes.batch.run import run_batch

    engine = choose_engine(options.engine, options.workers)
    say = partial(print, flush=True)  # a long run is followed through a pipe as well
    return run_batch(batch, chosen, engine, say, no_video=no_video, overwrite=overwrite, resume=options.resume)


def _evaluate(options: argparse.Namespace, settings: Settings) -> int:
    from stemo.modes.evaluate import Request, run_evaluate

    request = Request(
        Path(options.evaluate),
        options.output,
        options.split,
        run=options.run,
        groups=options.groups,
        held_back=options.held_back_only,
        end_to_end=options.end_to_end,
        record=str(options.record) if options.record else None,
        overwrite=options.overwrite,
    )
    return run_evaluate(request, settings.recognition, print)


def _export(options: argparse.Namespace, settings: Settings) -> int:
    if options.export == "int8":
        from stemo.modes.export_int8 import run_int8

        return run_int8(settings.recognition, settings.training.data, Path("runs") / "cache", print)
    from stemo.modes.export import Wanted, run_export

    wanted = Wanted(options.export, options.precision, options.output, options.source, options.overwrite)
    return run_export(wanted, settings.recognition, settings.training, print)


def _detector_mode(options: argparse.Namespace, settings: Settings) -> int:
    if options.compare_detectors is not None:
        from stemo.modes.compare_detectors import run_compare_detectors

        return run_compare_detectors(options.compare_detectors, settings.recognition, print)
    from stemo.modes.train_detector import run_train_detector

    path = Path(options.train_detector)
    return run_train_detector(path, settings, options.name, options.weights, options.overwrite, print)


def _flags(options: argparse.Namespace) -> dict[str, dict[str, Any]]:
    given = vars(options)
    return {
        "recognition": {key: given.get(key) for key in RecognitionSettings.__dataclass_fields__},
        "training": {key: given.get(key) for key in TrainingSettings.__dataclass_fields__},
    }
