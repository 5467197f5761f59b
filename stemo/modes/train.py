"""``--train``: all stages of a training, continued where it stopped."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from stemo.config import TrainingSettings
from stemo.errors import ConfigError

RUNS = Path("runs")


def run_train(settings: TrainingSettings, device: str, weights: str | None, say: Callable[[str], None]) -> int:
    """Train below ``runs/<name>``; with ``weights``, copy the result there. Returns 0."""
    from stemo.recognizer import choose_device
    from stemo.training.run import train

    if not settings.data:
        raise ConfigError("data set is not given: expected --data PATH, got none. See: python main.py --help")
    result = train(settings, RUNS, choose_device(device), say)
    if result is None:
        return 0  # one of several processes, and not the first
    path, metrics = result
    say(
        f"valid: accuracy {metrics['accuracy']:.2%}, macro recall {metrics['macro_recall']:.2%}, n {metrics['n']} "
        f"({metrics['rule']})"
    )
    if weights:
        for ending in (".safetensors", ".json"):
            shutil.copyfile(path.with_suffix(ending), Path(weights).with_suffix(ending))
        path = Path(weights)
    say(f"wrote {path} and {path.with_suffix('.json').name}; curves: tensorboard --logdir {RUNS / settings.name}")
    return 0
