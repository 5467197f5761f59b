"""Typed settings: built-in values <- ``configs/*.yaml`` <- flags. All faults are reported at once."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, TypeAlias, TypeVar, get_args, get_origin, get_type_hints

from stemo.errors import ConfigError


@dataclass(frozen=True, slots=True)
class RecognitionSettings:
    """How videos are read. ``ema`` replaces the moving average; times are seconds; ``objects`` None: as the mode."""

    weights: str | None = None
    device: str = "auto"
    backend: str = "auto"
    faces: int = 4
    smoothing: int = 5
    ema: float | None = None
    format: str = "json"
    start: float | None = None
    end: float | None = None
    objects: bool | None = None
    object_weights: str | None = None
    object_every: int = 5
    landmarker: str | None = None
    detector: str = "mediapipe"
    face_weights: str | None = None
    batch: int = 4


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """How the network is trained; ``epochs`` are those of the spatial stage, the longest.

    ``schedule``, ``optimiser`` and ``patience``, the epochs without gain before stopping, hold for every stage. ``lr``
    and ``weight_decay`` are those of the spatial stage; the joint one has a tenth of the rate, the clip stage its own.
    ``start_from`` names weights to go on from, or "face_identity"; ``frozen`` blocks of the spatial stream stay as they
    are; readings of the ``teachers`` replace ``teacher_share`` of the votes, and in the clip stage those of the spatial
    stream itself replace ``clip_teacher_share`` of what is then left.
    ``prior_strength`` from 0 to 1 asks more of rare classes in training, ``logit_adjustment`` of the weights made,
    where it adds to that of weights started from.
    """

    data: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    name: str = "emotion_recognition"
    architecture: str = "stemo"
    size: str = "base"
    epochs: int = 24
    clip_epochs: int = 3
    joint_epochs: int = 1
    batch: int = 128
    lr: float = 1e-3
    schedule: str = "cosine"
    optimiser: str = "adamw"
    weight_decay: float = 1e-4
    mixup: float = 0.2
    small_size: int = 96
    full_size: int = 128
    small_share: float = 0.8
    views: int = 3
    category_weight: float = 0.5
    valence_weight: float = 1.0
    arousal_weight: float = 1.0
    patience: int = 10
    landmarks: bool = True
    start_from: str | None = None
    frozen: int = 0
    teachers: tuple[str, ...] = ()
    teacher_share: float = 0.5
    clip_teacher_share: float = 0.3
    prior_strength: float = 0.0
    logit_adjustment: float = 0.0
    held_back: float = 0.2
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be set."""

    recognition: RecognitionSettings = RecognitionSettings()
    training: TrainingSettings = TrainingSettings()


Range: TypeAlias = tuple[str, Callable[[float], bool]]  # in words, and whether a number lies in it

COUNT: Range = ("1 or more", lambda value: value >= 1)
AMOUNT: Range = ("0 or more", lambda value: 0 <= value < math.inf)
RATE: Range = ("a number above 0", lambda value: 0 < value < math.inf)
SHARE: Range = ("0 to 1", lambda value: 0 <= value <= 1)
PIXELS: Range = ("32 or more", lambda value: value >= 32)  # at 16 nothing is left to normalise a batch of one by
TRAINING_RANGES: dict[str, Range] = {
    **dict.fromkeys(("batch", "views"), COUNT),
    **dict.fromkeys(("epochs", "clip_epochs", "joint_epochs", "patience", "frozen"), AMOUNT),  # no epoch: no stage
    **dict.fromkeys(("weight_decay", "mixup", "category_weight", "valence_weight", "arousal_weight"), AMOUNT),
    **dict.fromkeys(("small_share", "teacher_share", "clip_teacher_share"), SHARE),
    **dict.fromkeys(("prior_strength", "logit_adjustment"), SHARE),
    **dict.fromkeys(("small_size", "full_size"), PIXELS),
    "lr": RATE,
    "held_back": ("0 to less than 1", lambda value: 0 <= value < 1),
    "seed": ("0 to 4294967295", lambda value: 0 <= value < 2**32),  # what NumPy's older generator takes
}

Section = TypeVar("Section", RecognitionSettings, TrainingSettings)


def load_settings(path: Path | None = None, flags: Mapping[str, Mapping[str, Any]] | None = None) -> Settings:
    """Settings from a YAML file with the sections ``recognition`` and ``training``, overridden by ``flags``.

    Raises :class:`ConfigError` naming every unknown key (with a did-you-mean), every value of a wrong type and every
    number of the training that is out of range.
    """
    faults: list[str] = []
    raw = read_sections(path) if path else {}
    names = {field.name for field in fields(Settings)}
    faults += [_unknown("section", str(name), names) for name in raw if name not in names]
    flags = flags or {}
    recognition = _section(RecognitionSettings, raw.get("recognition"), flags.get("recognition", {}), faults)
    training = _section(TrainingSettings, raw.get("training"), flags.get("training", {}), faults)
    faults += _out_of_range(training)
    if faults:
        where = f"config {str(path)!r}" if path else "settings"
        raise ConfigError(f"{where}: " + "; ".join(faults))
    return Settings(recognition, training)


def check_training(key: str, value: float) -> None:
    """Raise :class:`ConfigError` for a ``value`` out of the range of the training's setting ``key``."""
    if fault := _fault(key, value):
        raise ConfigError(f"{fault}.")


def did_you_mean(name: str, known: Sequence[str]) -> str:
    """`` Did you mean X?``, or nothing where no known name is near."""
    near = difflib.get_close_matches(name, known, 1)
    return f" Did you mean {near[0]}?" if near else ""


def read_sections(path: Path) -> dict[str, Any]:
    """What a YAML file says, section by section; raises :class:`ConfigError` for one that cannot be read."""
    import yaml

    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"config {str(path)!r} cannot be read: {error.strerror}. See configs/ for examples."
        ) from error
    except (yaml.YAMLError, ValueError, LookupError, AttributeError, TypeError, RecursionError) as error:
        # all of these escape PyYAML for values that are tagged or nested wrongly, such as a 45th of May
        reason = " ".join(str(error).split())
        raise ConfigError(f"config {str(path)!r} is not YAML: {reason}.") from error
    if raw is None:
        return {}
    if not isinstance(raw, dict):
        raise ConfigError(f"config {str(path)!r} has no sections: expected recognition: and training:, got {raw!r}.")
    return raw


def _section(kind: type[Section], raw: Any, flags: Mapping[str, Any], faults: list[str]) -> Section:
    if raw is not None and not isinstance(raw, dict):
        faults.append(f"section of {kind.__name__} must hold keys, got {raw!r}")
        raw = {}
    values = {**(raw or {}), **{key: value for key, value in flags.items() if value is not None}}
    types = get_type_hints(kind)
    accepted = {}
    for key, value in values.items():
        if key not in types:
            faults.append(_unknown("key", str(key), set(types)))
        elif (fitted := _fit(value, types[key])) is _MISFIT:
            faults.append(f"{key} {value!r} has a wrong type: expected {_names(types[key])}")
        else:
            accepted[key] = fitted
    return kind(**accepted)


def _out_of_range(training: TrainingSettings) -> list[str]:
    """What is wrong with numbers that would stop a training, perhaps only after hours."""
    return [fault for key in TRAINING_RANGES if (fault := _fault(key, getattr(training, key)))]


def _fault(key: str, value: float) -> str:
    """What is wrong with the training's number ``key``; empty where nothing is."""
    words, fits = TRAINING_RANGES[key]
    return "" if fits(value) else f"{key} {value!r} is out of range: expected {words}, got {value!r}"


_MISFIT = object()


def _fit(value: Any, kind: Any) -> Any:
    options = get_args(kind) if isinstance(kind, UnionType) else (kind,)
    if get_origin(kind) is tuple:
        listed = [value] if isinstance(value, str) else value
        fits = isinstance(listed, list | tuple) and all(isinstance(item, str) for item in listed)
        return tuple(listed) if fits else _MISFIT
    if value is None:
        return None if NoneType in options else _MISFIT
    if isinstance(value, bool):
        return value if bool in options else _MISFIT
    if isinstance(value, int) and float in options and int not in options:
        return float(value)
    return value if type(value) in options else _MISFIT


def _names(kind: Any) -> str:
    options = get_args(kind) if isinstance(kind, UnionType) else (kind,)
    return " or ".join(
        "nothing" if option is NoneType else getattr(option, "__name__", str(option)) for option in options
    )


def _unknown(what: str, name: str, known: set[str]) -> str:
    return f"{what} {name!r} is unknown.{did_you_mean(name, sorted(known))}"
