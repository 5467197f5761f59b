"""MediaPipe's short-range detector of faces, run by itself: boxes with scores, no landmarks.

MediaPipe's graph around this network takes as long again. The network is that of Bazarevsky et al., "BlazeFace:
Sub-millisecond Neural Face Detection on Mobile GPUs", arXiv 1907.05047; the steps before and after it are those of
MediaPipe's ``face_detector_graph`` (Apache 2.0).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from einops import repeat

from stemo.faces.inner_networks import inner_parts, open_network
from stemo.faces.regions import iou
from stemo.records import Array, Box, Face, Image

SIDE = 128  # pixels of the network's input
GRIDS = ((16, 2), (8, 6))  # cells along a side, and guesses from each
SAME = 0.3  # least IoU between two guesses at one face
FARTHEST = 100.0  # no logit is farther from 0

Rows = npt.NDArray[np.float64]


class BoxFinder:
    """Sees faces of more than about a tenth of the picture it is given. ``threshold`` is the least score, in [0, 1].

    Remembers nothing; one thread at a time. Raises WeightsError when ``model``, MediaPipe's ``face_landmarker.task``,
    cannot be loaded.
    """

    def __init__(self, model: Path, *, threshold: float = 0.5) -> None:
        with inner_parts(model) as parts:
            self._network = open_network(parts.read("face_detector.tflite"), convolutions=True)
        self._threshold = threshold
        self._centres = cell_centres()

    def detect(self, image: Image) -> list[Face]:
        """The faces in ``image`` (h w 3), RGB uint8: box (as around landmarks) and score, the surest first."""
        height, width = image.shape[:2]
        longest = max(height, width)
        # the whole picture in the middle of a black square
        place = (
            np.array([[longest, 0, (width - longest) / 2 * SIDE], [0, longest, (height - longest) / 2 * SIDE]]) / SIDE
        )
        small = cv2.warpAffine(image, place, (SIDE, SIDE), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
        values, logits = self._network(np.multiply(small, 2 / 255, dtype=np.float32)[None] - 1)
        scores = 1 / (1 + np.exp(-np.clip(logits[0, :, 0].astype(np.float64), -FARTHEST, FARTHEST)))
        sure = scores >= self._threshold
        found = merged(corners(values[0, sure], self._centres[sure]), scores[sure])
        return [Face(_face_box(box * longest + np.tile(place[:, 2], 2)), score) for box, score in found]


def cell_centres() -> Rows:
    """(896 2): x and y in [0, 1] of the cell that each of the network's guesses starts from, in their order."""
    parts = []
    for cells, guesses in GRIDS:
        middles = (np.arange(cells) + 0.5) / cells
        grid = np.stack(np.meshgrid(middles, middles), axis=-1)  # (h w 2)
        parts.append(repeat(grid, "h w c -> (h w n) c", n=guesses))
    return np.concatenate(parts)


def corners(values: Array, centres: Rows) -> Rows:
    """The network's ``values`` (n 16) of guesses from ``centres`` (n 2) -> left, top, right, bottom (n 4) in [0, 1]."""
    middles, sizes = values[:, :2] / SIDE + centres, values[:, 2:4] / SIDE
    return np.concatenate([middles - sizes / 2, middles + sizes / 2], axis=1)


def merged(boxes: Rows, scores: Rows) -> Iterator[tuple[Rows, float]]:
    """One box (4) for each face, with its best score: the mean of the guesses at it, weighted by their scores."""
    left = np.argsort(-scores, kind="stable")
    while left.size:
        best, *others = boxes[left].tolist()
        same = np.array([True, *(iou(best, other) > SAME for other in others)])
        alike = left[same]
        yield np.average(boxes[alike], axis=0, weights=scores[alike]), float(scores[left[0]])
        left = left[~same]


def _face_box(box: Rows) -> Box:
    """The detector's square goes from brows to chin: made the box that the same face's landmarks would have.

    By factors that are means over frontal faces in four videos.
    """
    left, top, right, bottom = box.tolist()
    x, y, width, height = (left + right) / 2, (top + bottom) / 2, right - left, bottom - top
    return x - 0.45 * width, y - 0.59 * height, x + 0.45 * width, y + 0.50 * height
