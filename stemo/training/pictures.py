"""Sizing of face pictures for training and evaluation."""

from __future__ import annotations

import cv2
import numpy as np

from stemo.records import Image


def fit(image: Image, size: int) -> Image:
    """(h w 3) -> (size size 3), averaged when shrinking and bilinear when growing."""
    shrinking = max(image.shape[:2]) > size
    method = cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (size, size), interpolation=method), np.uint8)
