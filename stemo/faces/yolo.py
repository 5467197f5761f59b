"""The door to ultralytics' detectors: weights in, labelled boxes out; nothing is fetched, installed or printed."""

from __future__ import annotations

import atexit
import logging
import os
import shutil
import tempfile
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stemo.chatter import silence_openvino
from stemo.errors import WeightsError
from stemo.records import Image, SceneObject

LOADING_FAULTS = (RuntimeError, ValueError, OSError, TypeError, AttributeError, KeyError, ImportError, SyntaxError)


@dataclass(frozen=True, slots=True)
class Purpose:
    """What weights are for, as errors say it: their name (``object weights``) and what to do when they fail."""

    name: str
    remedy: str


class Yolo:
    """A detection model through ultralytics; ``threshold`` is the least confidence, in [0, 1].

    ``weights`` are anything that ultralytics loads and must exist; a ``.pt`` file runs on ``device``, exported models
    on the CPU. Raises WeightsError for anything else. Where ultralytics and torch can, a ``.pt`` is opened without
    running code from inside it.
    """

    def __init__(self, weights: Path, purpose: Purpose, *, threshold: float = 0.35, device: str = "cpu") -> None:
        if not Path(weights).exists():
            raise WeightsError(
                f"{purpose.name} {str(weights)!r} do not exist: expected a file or folder that ultralytics loads, "
                f"got nothing. {purpose.remedy}"
            )
        self._options = {"conf": threshold, "device": device if Path(weights).suffix == ".pt" else "cpu"}
        self._native = self._load(Path(weights), purpose)

    @property
    def names(self) -> tuple[str, ...]:
        """The labels of the model's classes."""
        return tuple(str(name) for name in self._native.names.values())

    def detect(self, image: Image) -> tuple[SceneObject, ...]:
        """What is seen in ``image`` (h w 3), RGB uint8, the surest first."""
        bgr = np.ascontiguousarray(image[..., ::-1])
        result = self._native.predict(bgr, verbose=False, **self._options)[0]
        boxes, confidences, labels = result.boxes.xyxy.tolist(), result.boxes.conf.tolist(), result.boxes.cls.tolist()
        found = [
            SceneObject(str(result.names[int(label)]), float(confidence), (left, top, right, bottom))
            for (left, top, right, bottom), confidence, label in zip(boxes, confidences, labels, strict=True)
        ]
        return tuple(sorted(found, key=lambda thing: -thing.confidence))

    def _load(self, weights: Path, purpose: Purpose) -> Any:
        silence_ultralytics()
        from ultralytics.models import YOLO
        from ultralytics.nn import tasks

        # it reads the environment when imported, which somebody may have done before
        safe = os.environ["ULTRALYTICS_SAFE_LOAD"].lower() == "true"
        tasks.SAFE_LOAD = safe  # pyright: ignore[reportPrivateImportUsage]
        try:
            native = YOLO(str(weights), task="detect", verbose=False)
            # the first prediction is the one that opens the weights
            native.predict(np.zeros((64, 64, 3), np.uint8), verbose=False, **self._options)
            return native
        except LOADING_FAULTS as error:
            reason = textwrap.shorten(str(error) or type(error).__name__, 120)
            raise WeightsError(
                f"{purpose.name} {str(weights)!r} cannot be loaded: expected a detection model of ultralytics, "
                f"got {reason}. {purpose.remedy}"
            ) from error


def silence_ultralytics() -> None:
    """Keep ultralytics, and what it loads, offline, quiet and out of the user's home; call before its first import.

    Its settings file goes into a folder that lasts as long as the process, unless ``YOLO_CONFIG_DIR`` names another.
    """
    os.environ.update(YOLO_AUTOINSTALL="false", YOLO_OFFLINE="true", YOLO_VERBOSE="false")
    os.environ.setdefault("ULTRALYTICS_SAFE_LOAD", "true")
    silence_openvino()
    if "YOLO_CONFIG_DIR" not in os.environ:
        folder = tempfile.mkdtemp(prefix="stemo-ultralytics-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        os.environ["YOLO_CONFIG_DIR"] = folder
    from PIL import Image
    from ultralytics.utils import patches

    # it replaces Pillow's own, for everybody, with one that answers an unreadable picture by installing a package
    Image.open = getattr(patches, "_image_open", Image.open)
    logging.getLogger("ultralytics").setLevel(logging.ERROR)
