"""Detectors of faces as boxes, behind one interface: MediaPipe's own, YuNet, and any YOLO model for faces."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

import cv2
import numpy as np

from stemo.assets import locate
from stemo.errors import ConfigError, WeightsError
from stemo.faces.boxes import BoxFinder
from stemo.faces.regions import merge, moved
from stemo.faces.yolo import Purpose, Yolo
from stemo.records import Box, Face, Image

DETECTORS = ("mediapipe", "yunet", "yolo")
FACES = Purpose("face weights", "Check --face-weights, or leave out --detector")


class Detector(Protocol):
    """Anything that finds faces as boxes with scores in [0, 1] in a picture (h w 3), RGB uint8."""

    def detect(self, image: Image) -> list[Face]: ...


class Detectors(NamedTuple):
    """A detector for the two places where one is needed: windows around a face (``near``), whole pictures (``far``)."""

    near: Detector
    far: Detector


def open_detectors(
    name: str, weights: Path | None = None, *, landmarker: Path | None = None, device: str = "cpu"
) -> Detectors:
    """The detector ``name``, one of :data:`DETECTORS`.

    ``weights`` are YuNet as ONNX (``None``: the installed copy) or a YOLO model for faces, which runs on ``device``;
    ``landmarker`` is MediaPipe's ``face_landmarker.task``, which carries its detector (``None``: the installed copy).
    Raises ConfigError as :func:`check_detector` does, and WeightsError for files that are missing or of another kind.
    """
    check_detector(name, weights)
    if name == "mediapipe":
        boxes = BoxFinder(locate("face_landmarker", landmarker))
        return Detectors(boxes, Tiled(boxes))
    if name == "yunet":
        yunet = Yunet(locate("face_detection_yunet", weights))
        return Detectors(yunet, yunet)
    assert weights is not None
    yolo = YoloFaces(weights, device=device)
    return Detectors(yolo, yolo)


def check_detector(name: str, weights: Path | None) -> None:
    """Raise ConfigError for an unknown detector, for ``yolo`` without weights, and for ``mediapipe`` with some."""
    if name not in DETECTORS:
        near = difflib.get_close_matches(name, DETECTORS, 1)
        raise ConfigError(
            f"detector {name!r} is unknown: expected one of {', '.join(DETECTORS)}, got {name!r}."
            + (f" Did you mean {near[0]}?" if near else "")
        )
    if name == "yolo" and weights is None:
        raise ConfigError(
            "detector 'yolo' lacks its weights: expected --face-weights FILE, got none. "
            "Give a YOLO model for faces, or make one: python main.py --train-detector DATA.yaml"
        )
    if name == "mediapipe" and weights is not None:
        raise ConfigError(
            f"face weights {str(weights)!r} have no use: expected them with --detector yunet or yolo, got mediapipe. "
            "Add --detector yunet (ONNX of the OpenCV zoo) or --detector yolo"
        )


class Yunet:
    """OpenCV's YuNet: finds small and turned faces in the whole picture.

    ``threshold`` is the least score, in [0, 1]; larger pictures are shrunk to ``longest`` pixels.
    Raises WeightsError when OpenCV cannot load ``model``.
    """

    def __init__(self, model: Path, *, threshold: float = 0.6, longest: int = 960) -> None:
        self._longest = longest
        level = cv2.utils.logging.getLogLevel()
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)
        try:
            self._native = cv2.FaceDetectorYN.create(str(model), "", (320, 320), threshold)
        except cv2.error as error:
            raise WeightsError(
                f"face detector {str(model)!r} cannot be loaded: expected YuNet as ONNX, got {error.err}. "
                "Get face_detection_yunet_2023mar.onnx from the OpenCV zoo, or leave it out"
            ) from error
        finally:
            cv2.utils.logging.setLogLevel(level)

    def detect(self, image: Image) -> list[Face]:
        """The faces in ``image`` (h w 3): box (forehead to chin) and score."""
        height, width = image.shape[:2]
        scale = min(self._longest / max(height, width), 1.0)
        size = (max(round(width * scale), 1), max(round(height * scale), 1))
        small = cv2.resize(image, size, interpolation=cv2.INTER_AREA) if scale < 1 else image
        self._native.setInputSize(size)
        _, found = self._native.detect(cv2.cvtColor(np.ascontiguousarray(small), cv2.COLOR_RGB2BGR))
        return [moved(_boxed(row), 1 / scale, 0.0, 0.0) for row in (found if found is not None else ())]


class YoloFaces:
    """A YOLO model with one class, or with classes named as faces; see :class:`stemo.faces.yolo.Yolo` for the rest.

    Its boxes are as those of the data that it learned from. Raises WeightsError for a model that knows no faces.
    """

    def __init__(self, weights: Path, *, threshold: float = 0.35, device: str = "cpu") -> None:
        self._model = Yolo(weights, FACES, threshold=threshold, device=device)
        self._labels = face_labels(self._model.names)
        if not self._labels:
            known = ", ".join(self._model.names[:3])
            raise WeightsError(
                f"face weights {str(weights)!r} find no faces: expected one class, or one with 'face' in its name, "
                f"got {len(self._model.names)} ({known}, ...). Make some: python main.py --train-detector DATA.yaml"
            )

    def detect(self, image: Image) -> list[Face]:
        """The faces in ``image`` (h w 3): box and score, the surest first."""
        seen = self._model.detect(image)
        return [Face(box=thing.box, score=thing.confidence) for thing in seen if thing.label in self._labels]


def face_labels(names: Iterable[str]) -> frozenset[str]:
    """Those of a detector's class names that mean a face: the only one there is, or all with "face" in them."""
    known = tuple(names)
    return frozenset(known if len(known) == 1 else [name for name in known if "face" in name.lower()])


class Tiled:
    """A short-sighted detector shown the whole picture, then its squares, then overlapping squares half as wide."""

    def __init__(self, detector: Detector) -> None:
        self._detector = detector

    def detect(self, image: Image) -> list[Face]:
        """The faces in ``image`` (h w 3), each once; smallest about a twentieth of the shorter side."""
        seen = list(self._detector.detect(image))
        for left, top, side in tiles(image.shape[1], image.shape[0]):
            seen += self._in_tile(image, left, top, side)
        return merge(seen)

    def _in_tile(self, image: Image, left: int, top: int, side: int) -> Iterator[Face]:
        for face in self._detector.detect(image[top : top + side, left : left + side]):
            # a face cut by the tile's edge is whole in a neighbour
            if not _cut(face.box, left, top, side, image):
                yield moved(face, 1.0, left, top)


def tiles(width: int, height: int) -> Iterator[tuple[int, int, int]]:
    """(left, top, side) of squares covering a picture: as high as it is, and half as high, a third overlapping."""
    shorter = min(width, height)
    for side in (shorter, shorter // 2):
        if side < 64 or (side, side) == (width, height):
            continue
        for top in _starts(height, side):
            for left in _starts(width, side):
                yield left, top, side


def _starts(length: int, side: int) -> list[int]:
    steps = int(np.ceil((length - side) / (side * 2 / 3)))
    return [round((length - side) * step / max(steps, 1)) for step in range(steps + 1)]


def _cut(box: Box, left: int, top: int, side: int, image: Image) -> bool:
    """Whether a box reaches an edge of its tile behind which the picture goes on."""
    near, far = 0.01 * side, 0.99 * side
    height, width = image.shape[:2]
    return (
        (box[0] < near and left > 0)
        or (box[1] < near and top > 0)
        or (box[2] > far and left + side < width)
        or (box[3] > far and top + side < height)
    )


def _boxed(row: np.ndarray) -> Face:
    left, top, width, height = (float(value) for value in row[:4])
    return Face(box=(left, top, left + width, top + height), score=min(float(row[14]), 1.0))
