"""Landmark features of training pictures: computed once with the run-time code, then kept on disk."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from stemo import assets
from stemo.faces.geometry import FEATURE_SIZE, landmark_features
from stemo.faces.landmarks import Landmarker
from stemo.faces.stills import read_still, still_landmarker
from stemo.records import Image
from stemo.training.keeping import make_place, writing
from stemo.training.labels import FloatArray

SAVE_EVERY = 2000  # pictures; a stopped run loses at most so many


def landmark_cache(images: Sequence[Image], folder: Path, name: str) -> FloatArray:
    """Landmark features (n, 205) of face pictures, NaN where no landmarks were found.

    Kept as ``folder/name-<hash of the pictures>.npy`` and continued where an earlier run stopped. Raises
    :class:`OutputError` where they cannot be.
    """
    path = folder / f"{name}-{fingerprint(images)}.npy"
    done = np.load(path, allow_pickle=False) if path.exists() else np.empty((0, FEATURE_SIZE), np.float32)
    if len(done) == len(images):
        return done
    make_place(folder)
    rows = list(done)
    with still_landmarker(assets.locate("face_landmarker")) as landmarker:
        for image in tqdm(images[len(rows) :], f"landmarks of {name}", disable=None):
            rows.append(still_features(landmarker, image))
            if len(rows) % SAVE_EVERY == 0:
                save_array(path, np.stack(rows))
    save_array(path, np.stack(rows))
    return np.stack(rows)


def still_features(landmarker: Landmarker, image: Image) -> FloatArray:
    """Landmark features (205,) of one tight face picture, NaN where no landmarks are found."""
    face = read_still(landmarker, image)
    if face is None or face.landmarks is None or face.blendshapes is None or face.pose is None:
        return np.full(FEATURE_SIZE, np.nan, np.float32)
    try:
        return landmark_features(face.landmarks, face.blendshapes, face.pose)
    except ValueError:  # not finite: the mesh collapsed
        return np.full(FEATURE_SIZE, np.nan, np.float32)


def save_array(path: Path, rows: FloatArray) -> None:
    """Write ``rows`` to ``path``, complete or not at all. Raises :class:`OutputError` where it cannot be written."""
    part = path.with_name(path.name + ".part")
    with writing(path):
        with part.open("wb") as file:
            np.save(file, rows, allow_pickle=False)
        os.replace(part, path)


def fingerprint(images: Sequence[Image]) -> str:
    """Twelve digits that tell these pictures, in this order, from others."""
    digest = hashlib.sha256()
    for image in images:
        digest.update(repr(image.shape).encode())
        digest.update(image[::5, ::5].tobytes())
    return digest.hexdigest()[:12]
