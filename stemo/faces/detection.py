"""Detectors of faces as boxes: YuNet where its file is given, and any detector repeated over tiles."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from stemo.errors import WeightsError
from stemo.faces.regions import merge, moved
from stemo.records import Box, Face, Image


class Detector(Protocol):
    """Anything that finds faces as boxes with scores in a picture (h w 3), RGB uint8."""

    def detect(self, image: Image) -> list[Face]: ...


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
