"""AFEW-VA (Kossaifi et al., Image and Vision Computing 2017): film clips, every frame rated."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from stemo.errors import DataError
from stemo.records import Box
from stemo.training.archives import Archive, is_picture, read_text, stored_picture
from stemo.training.datasets import LabelledFace

SCALE = 10.0  # ratings are from -10 to 10
MARGIN = 0.15  # of the landmarks' longer side, around them: they end at the brows and the chin
RULE = "AFEW-VA: no categories, only valence and arousal as rated"


def is_afew_va(archive: Archive) -> bool:
    """Whether there are folders of pictures with a JSON of their own name: ``001/001.json``."""
    return bool(_annotations(archive))


def clip_faces(archive: Archive) -> Iterator[LabelledFace]:
    """Every rated frame, cut to its landmarks. Raises :class:`DataError` for a damaged JSON or a missing frame."""
    frames = {str(PurePosixPath(name).with_suffix("")): name for name in archive.names() if is_picture(name)}
    for annotation in _annotations(archive):
        folder = PurePosixPath(annotation).parent
        try:
            clip = json.loads(read_text(archive, annotation))
            actor = str(clip.get("actor") or folder.name)
            rated = [(number, *_rating(frame)) for number, frame in sorted(clip["frames"].items())]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(
                f"annotation {annotation!r} cannot be read: expected frames with landmarks, valence and arousal, "
                f"got {type(error).__name__} {error}."
            ) from error
        for number, valence, arousal, box in rated:
            name = frames.get(str(folder / number))
            if name is None:
                raise DataError(f"image {str(folder / number)!r} is missing: {annotation!r} describes it.")
            rating = (valence, (arousal + 1) / 2)
            yield LabelledFace(name, stored_picture(archive, name, box), {}, None, subject=actor, rating=rating)


def _annotations(archive: Archive) -> list[str]:
    found = [PurePosixPath(name) for name in archive.names() if name.endswith(".json")]
    return [str(path) for path in found if path.stem == path.parent.name and path.stem.isdigit()]


def _rating(frame: Any) -> tuple[float, float, Box | None]:
    valence, arousal = float(frame["valence"]) / SCALE, float(frame["arousal"]) / SCALE
    if not (-1 <= valence <= 1 and -1 <= arousal <= 1):
        raise ValueError(f"a rating outside -10 to 10 ({frame['valence']}, {frame['arousal']})")
    points = np.array(frame.get("landmarks") or np.empty((0, 2)), np.float64)
    return valence, arousal, _around(points) if len(points) else None


def _around(points: np.ndarray) -> Box:
    """A square with a margin around landmarks (n 2)."""
    low, high = points.min(0), points.max(0)
    centre, half = (low + high) / 2, float((high - low).max()) * (0.5 + MARGIN)
    return (
        float(centre[0] - half),
        float(centre[1] - half),
        float(centre[0] + half),
        float(centre[1] + half),
    )
