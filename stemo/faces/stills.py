"""Reading the small, tightly cropped pictures of training sets with the landmarker that reads videos."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from stemo.faces.landmarks import Landmarker
from stemo.faces.regions import moved
from stemo.records import Face, Image

READ_SIZE = 192  # a still's longer side is brought up to this before reading
BORDER = 48  # pixels repeated around it: the landmarker's detector wants air around a face
THRESHOLD = 0.15


def still_landmarker(model: Path) -> Landmarker:
    """A landmarker for single stills that accepts faces filling the whole picture."""
    return Landmarker(model, max_faces=1, threshold=THRESHOLD)


def read_still(landmarker: Landmarker, image: Image) -> Face | None:
    """The face in a tight crop (h w 3) uint8 RGB, in pixels of ``image``; ``None`` where none is found.

    The picture is enlarged and given a repeated border first; landmarks, box and pose come back for the original.
    """
    scale = max(READ_SIZE / max(image.shape[:2]), 1.0)
    large = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC) if scale > 1 else image
    framed = cv2.copyMakeBorder(large, BORDER, BORDER, BORDER, BORDER, cv2.BORDER_REPLICATE)
    faces = landmarker.read(np.asarray(framed, np.uint8))
    return moved(faces[0], 1.0 / scale, -BORDER / scale, -BORDER / scale) if faces else None
