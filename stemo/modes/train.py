"""``--train``: all stages of a training, continued where it stopped."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
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
    from stemo.training.run import result_path, train

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
        path = _copy(path, target)
    say(f"wrote {path} and {path.with_suffix('.json').name}; curves: tensorboard --logdir {RUNS / settings.name}")
    return 0


def check_target(weights: str | None, result: Path, overwrite: bool) -> Path | None:
    """Where to copy the ``result`` of the run: nowhere where ``weights`` is None, or that place itself.

    Raises :class:`OutputError` for a name of another kind, a place that is taken or cannot be written to.
    """
    if weights is None or Path(weights).resolve() == result.resolve():
        return None
    target = Path(weights)
    if target.suffix != ENDING:
        got = repr(target.suffix) if target.suffix else "no ending"
        raise OutputError(f"weights {weights!r} cannot be written: expected a name ending in {ENDING}, got {got}.")
    with said_of_weights():
        for path in _both(target):
            check_place(path, overwrite)
    return target


def _copy(result: Path, target: Path) -> Path:
    """Copy the weights and their JSON; both are complete before either gets its name."""
    files: list[Pending] = []
    with said_of_weights():
        try:
            for source, path in zip(_both(result), _both(target), strict=True):
                files.append(Pending(path, overwrite=True))
                shutil.copyfile(source, files[-1].part)
            for file in files:
                file.commit()
        except OSError as error:
            raise failed(target, error) from error
        finally:
            for file in files:
                file.discard()
    return target


def _both(weights: Path) -> tuple[Path, Path]:
    return weights, weights.with_suffix(".json")


@contextmanager
def said_of_weights() -> Iterator[None]:
    """Let errors of outputs name the flag that a training's result has."""
    try:
        yield
    except OutputError as error:
        raise OutputError(str(error).replace("--output", "--weights")) from error
