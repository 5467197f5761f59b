"""Labelled pictures read as a user's photos are: stemo finds the face, its landmarks and the crop by itself.

A picture goes to the detector as it is, without a border. A repeated border would give the detector air around a tight
face, but it is nothing that a photo has, and it hardly counts: of the 202 held-back faces of ``faces_highres.zip``
(tight crops up to 224 pixels) 187 were found without one, 189 with a quarter of the longer side around them and 190
with a half; those still missed are dark or turned down. Landmarks for small training stills keep theirs
(:mod:`stemo.faces.stills`). Where the aligned crop reaches beyond a tight picture, the picture's edge is repeated, as
for any photo.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from stemo.faces.regions import area, centre
from stemo.network.clips import ClipReader
from stemo.network.streaming import stack_landmarks
from stemo.recognizer import observe
from stemo.records import EMOTIONS, Face, Frame, Image
from stemo.training.datasets import Still
from stemo.training.evaluation import figures_of, read_stills
from stemo.training.metrics import UNREAD, score

Classes = npt.NDArray[np.int64]
BATCH = 64
OFF_CENTRE = 2.0  # weighs squared pixels off the centre against square pixels of the face


class Finder(Protocol):
    """Finds and aligns the faces of pictures that have nothing to do with each other."""

    def analyze(self, frame: Frame) -> list[Face]: ...


def read_photos(reader: ClipReader, stills: Sequence[Still], finder: Finder) -> Classes:
    """The class (n,) that is read of each picture's main face, as ``Recognizer.image`` reads it.

    :data:`stemo.training.metrics.UNREAD` where no face is found.
    """
    classes = np.full(len(stills), UNREAD, np.int64)
    for start in tqdm(range(0, len(stills), BATCH), "photos", disable=None):
        seen = {place: find(finder, still.image) for place, still in enumerate(stills[start : start + BATCH], start)}
        faces = {place: face for place, face in seen.items() if face is not None}
        if faces:
            known = stack_landmarks([observe(face) for face in faces.values()]).numpy()
            crops = [replace(stills[place], picture=face.crop) for place, face in faces.items()]
            logits = read_stills(reader, crops, known).logits
            classes[list(faces)] = logits.argmax(-1).cpu().numpy()
    return classes


def find(finder: Finder, image: Image) -> Face | None:
    """The main face of a picture (h w 3) with its crop; ``None`` where no face is found."""
    return main_face(finder.analyze(Frame(0, 0.0, np.ascontiguousarray(image))), image)


def main_face(faces: Sequence[Face], image: Image) -> Face | None:
    """The largest face near the centre: its area less twice the squared distance to the centre is greatest.

    As FaceNet's alignment chooses among several (Sandberg, github.com/davidsandberg/facenet).
    """
    middle = image.shape[1] / 2, image.shape[0] / 2

    def rank(face: Face) -> float:
        x, y = centre(face.box)
        return area(face.box) - OFF_CENTRE * ((x - middle[0]) ** 2 + (y - middle[1]) ** 2)

    return max(faces, key=rank, default=None)


def compare(
    truth: npt.ArrayLike, photos: npt.ArrayLike, crops: npt.ArrayLike, labels: tuple[str, ...] = EMOTIONS
) -> dict[str, Any]:
    """True classes (n,), those read of whole ``photos`` and of ``crops`` -> figures as ``metrics.json`` holds them.

    Faces that were not found count as wrong. ``found_only`` leaves them out, and ``crops_found_only`` are the crops'
    figures on the same faces.
    """
    true, read, cropped = (np.asarray(part, np.int64) for part in (truth, photos, crops))
    found = read != UNREAD
    return {
        **figures_of(score(true, read, labels)),
        "found": int(found.sum()),
        "found_only": figures_of(score(true[found], read[found], labels)),
        "crops_found_only": figures_of(score(true[found], cropped[found], labels)),
    }
