"""``--train``: all stages of a training, continued where it stopped."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from stemo.config import TrainingSettings
from stemo.errors import ConfigError, OutputError
from stemo.output.pending import Pending, check_place, failed

RUNS = Path("runs")
ENDING = ".safetensors"


def run_train(
    settings: TrainingSettings, device: str, weights: str | None, say: Callable[[str], None], *, overwrite: bool = False
) -> int:
    """Train below ``runs/<name>``; with ``weights``, copy the result there. Returns 0.

    Raises :class:`ConfigError` without data or for the name of another run, and :class:`OutputError` where the result
    could not be written, before anything is trained; what lies at ``weights`` is replaced only with ``overwrite``.
    """
    from stemo.recognizer import choose_device
    from stemo.training.result import result_path
    from stemo.training.run import train

    if not settings.data:
        raise ConfigError("data set is not given: expected --data PATH, got none. See: python main.py --help")
    target = check_target(weights, result_path(settings, RUNS), overwrite)
    result = train(settings, RUNS, choose_device(device), say)
    if result is None:
        return 0  # one of several processes, and not the first
    path, metrics = result
    say(
        f"valid: accuracy {metrics['accuracy']:.2%}, macro recall {metrics['macro_recall']:.2%}, n {metrics['n']} "
        f"({metrics['rule']})"
    )
    if target is not None:
        path = copy(_both(path), _both(target))
    say(f"wrote {path} and {path.with_suffix('.json').name}; curves: tensorboard --logdir {RUNS / settings.name}")
    return 0


def check_target(weights: str | None, result: Path, overwrite: bool) -> Path | None:
    """Where to copy the ``result`` of the run: nowhere where ``weights`` is None, or that place itself.

    Raises :class:`OutputError` for a name of another kind, a place that is taken or cannot be written to.
    """
    if weights is None or Path(weights).resolve() == result.resolve():
        return None
    check_copy(_both(Path(weights)), ENDING, overwrite)
    return Path(weights)


def check_copy(files: Sequence[Path], ending: str, overwrite: bool) -> None:
    """Raise :class:`OutputError` where the first of ``files``, the weights, has not that ``ending``, or one of them is
    taken or cannot be written to.
    """
    weights = files[0]
    if weights.suffix != ending:
        got = repr(weights.suffix) if weights.suffix else "no ending"
        raise OutputError(f"weights {str(weights)!r} cannot be written: expected a name ending in {ending}, got {got}.")
    with _said_of_weights():
        for path in files:
            check_place(path, overwrite)


def copy(results: Sequence[Path], files: Sequence[Path]) -> Path:
    """Copy ``results`` to ``files`` and return the first; all are complete before one gets its name."""
    pending: list[Pending] = []
    with _said_of_weights():
        try:
            for source, path in zip(results, files, strict=True):
                pending.append(Pending(path, overwrite=True))
                shutil.copyfile(source, pending[-1].part)
            for file in pending:
                file.commit()
        except OSError as error:
            raise failed(files[0], error) from error
        finally:
            for file in pending:
                file.discard()
    return files[0]


def _both(weights: Path) -> tuple[Path, Path]:
    return weights, weights.with_suffix(".json")


@contextmanager
def _said_of_weights() -> Iterator[None]:
    """Let errors of outputs name the flag that a training's result has."""
    try:
        yield
    except OutputError as error:
        raise OutputError(str(error).replace("--output", "--weights")) from error
