"""``--train-detector DATA.yaml``: a YOLOv8n face detector, fine-tuned below ``runs/``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from stemo import assets
from stemo.config import Settings
from stemo.errors import ConfigError, OutputError
from stemo.modes.train import ENDING, RUNS, check_copy, copy

NAME = "face_detector"
PUBLISHED = "yolov8n"  # what a detector starts from where nothing is given
EVENTS = "events.out.tfevents.*"


def run_train_detector(
    data: Path, settings: Settings, name: str | None, weights: str | None, overwrite: bool, say: Callable[[str], None]
) -> int:
    """Train on ``data`` in ``runs/<name>``; with ``weights``, copy the best ones there. Returns 0.

    Starts from ``settings.recognition.face_weights`` where given, else from YOLOv8n as published where it is found,
    else from fresh weights, and says so. Raises :class:`StemoError` otherwise, before anything is written where data,
    names or device are wrong.
    """
    from stemo.recognizer import choose_device
    from stemo.training.detector import DetectorSettings, train_detector
    from stemo.training.face_boxes import load_face_boxes

    if not settings.training.epochs:
        raise ConfigError("epochs 0 is out of range: expected 1 or more for a detector, got 0. Pass --epochs 1")
    start, words = find_start(settings.recognition.face_weights)
    target = check_target(weights, overwrite)
    device = choose_device(settings.recognition.device)
    boxes = load_face_boxes(data)
    folder = make_folder(RUNS / (name or NAME), overwrite)
    faces = sum(len(picture.boxes) for picture in boxes.train)
    say(f"data: {len(boxes.train)} pictures with {faces} faces to train on, {len(boxes.valid)} to choose by")
    say(f"start: {words}")
    chosen = DetectorSettings(settings.training.epochs, str(device), seed=settings.training.seed, start=start)
    best, figures = train_detector(boxes, chosen, folder, say)
    say(
        f"valid: mAP50 {figures['detector/mAP50']:.3f}, mAP50-95 {figures['detector/mAP50-95']:.3f}, "
        f"precision {figures['detector/precision']:.3f}, recall {figures['detector/recall']:.3f}, n {len(boxes.valid)}"
    )
    if target is not None:
        best = copy([best], [target])
    say(f"wrote {best}; curves: tensorboard --logdir {folder}")
    say(f"use it: python main.py --video IN --detector yolo --face-weights {best}")
    return 0


def find_start(weights: str | None) -> tuple[Path | None, str]:
    """The weights to start from (``None``: fresh ones), and what they are in words.

    Raises :class:`ConfigError` for what cannot be trained any further, and :class:`WeightsError` where YOLOv8n as
    published has been changed.
    """
    if weights is not None:
        return check_start(weights), weights
    if (path := assets.found(PUBLISHED)) is not None:
        return assets.verify(PUBLISHED, path), f"{path}, as published"
    return None, f"fresh weights, which need many more epochs: {PUBLISHED}.pt was not found. {assets.remedy(PUBLISHED)}"


def check_start(weights: str) -> Path:
    """The weights to start from. Raises :class:`ConfigError` for what cannot be trained any further."""
    path = Path(weights)
    if path.suffix != ".pt" or not path.is_file():
        got = "no such file" if path.suffix == ".pt" else f"{path.suffix or 'no ending'!r}"
        raise ConfigError(
            f"face weights {weights!r} cannot be trained: expected a .pt file of YOLOv8n, got {got}. "
            "Leave out --face-weights to start from YOLOv8n as published, or from fresh weights."
        )
    return path


def check_target(weights: str | None, overwrite: bool) -> Path | None:
    """Where to copy the result.

    Raises :class:`OutputError` for a name of another kind, and a place that is taken or cannot be written to.
    """
    if weights is None:
        return None
    check_copy([Path(weights)], ".pt", overwrite)
    return Path(weights)


def make_folder(folder: Path, overwrite: bool) -> Path:
    """The run's folder, without an older run's curves.

    Raises :class:`OutputError` where an earlier training is there, which ``overwrite`` replaces if it was a detector's,
    and where the folder takes no files.
    """
    from stemo.training.keeping import make_place

    if (folder / "weights").exists():
        if not overwrite:
            raise OutputError(
                f"run {str(folder)!r} exists: expected a new name, got an earlier training. "
                "Choose another --name or add --overwrite."
            )
    elif any(any(folder.glob(pattern)) for pattern in (EVENTS, f"*{ENDING}")):
        raise OutputError(
            f"run {str(folder)!r} is no detector's: expected a new name, got curves or weights of another training. "
            "Choose another --name."
        )
    make_place(folder)
    for events in folder.glob(EVENTS):
        events.unlink()
    return folder
