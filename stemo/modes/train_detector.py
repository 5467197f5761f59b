"""``--train-detector DATA.yaml``: a YOLOv8n face detector, fine-tuned below ``runs/``."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from stemo.config import Settings
from stemo.errors import ConfigError, OutputError
from stemo.modes.train import RUNS

NAME = "face_detector"


def run_train_detector(
    data: Path, settings: Settings, name: str | None, weights: str | None, overwrite: bool, say: Callable[[str], None]
) -> int:
    """Train on ``data`` in ``runs/<name>``; with ``weights``, copy the best ones there. Returns 0.

    Starts from ``settings.recognition.face_weights`` where given, else from fresh weights. Raises
    :class:`StemoError` otherwise, before anything is written where data, names or device are wrong.
    """
    from stemo.recognizer import choose_device
    from stemo.training.detector import DetectorSettings, train_detector
    from stemo.training.face_boxes import load_face_boxes

    start = check_start(settings.recognition.face_weights)
    target = check_target(weights, overwrite)
    device = choose_device(settings.recognition.device)
    boxes = load_face_boxes(data)
    folder = make_folder(RUNS / (name or NAME), overwrite)
    faces = sum(len(picture.boxes) for picture in boxes.train)
    say(f"data: {len(boxes.train)} pictures with {faces} faces to train on, {len(boxes.valid)} to choose by")
    chosen = DetectorSettings(settings.training.epochs, str(device), seed=settings.training.seed, start=start)
    best, figures = train_detector(boxes, chosen, folder, say)
    say(
        f"valid: mAP50 {figures['detector/mAP50']:.3f}, mAP50-95 {figures['detector/mAP50-95']:.3f}, "
        f"precision {figures['detector/precision']:.3f}, recall {figures['detector/recall']:.3f}, n {len(boxes.valid)}"
    )
    if target is not None:
        shutil.copyfile(best, target)
        best = target
    say(f"wrote {best}; curves: tensorboard --logdir {folder}")
    say(f"use it: python main.py --video IN --detector yolo --face-weights {best}")
    return 0


def check_start(weights: str | None) -> Path | None:
    """The weights to start from. Raises :class:`ConfigError` for what cannot be trained any further."""
    if weights is None:
        return None
    path = Path(weights)
    if path.suffix != ".pt" or not path.is_file():
        got = "no such file" if path.suffix == ".pt" else f"{path.suffix or 'no ending'!r}"
        raise ConfigError(
            f"face weights {weights!r} cannot be trained: expected a .pt file of YOLOv8n, got {got}. "
            "Leave out --face-weights to start from fresh weights."
        )
    return path


def check_target(weights: str | None, overwrite: bool) -> Path | None:
    """Where to copy the result. Raises :class:`OutputError` for a name of another kind, or one that is taken."""
    if weights is None:
        return None
    path = Path(weights)
    if path.suffix != ".pt" or not path.parent.is_dir():
        got = f"{path.suffix!r}" if path.suffix != ".pt" else f"no folder {str(path.parent)!r}"
        raise OutputError(
            f"weights {weights!r} cannot be written: expected a name ending in .pt in an existing folder, got {got}."
        )
    if path.exists() and not overwrite:
        raise OutputError(f"weights {weights!r} exist: expected a new name, got an existing file. Add --overwrite.")
    return path


def make_folder(folder: Path, overwrite: bool) -> Path:
    """The run's folder, without an older run's curves. Raises :class:`OutputError` where one is there already."""
    if (folder / "weights").exists() and not overwrite:
        raise OutputError(
            f"run {str(folder)!r} exists: expected a new name, got an earlier training. "
            "Choose another --name or add --overwrite."
        )
    folder.mkdir(parents=True, exist_ok=True)
    for events in folder.glob("events.out.tfevents.*"):
        events.unlink()
    return folder
