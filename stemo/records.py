"""The vocabulary of stemo: the records that cross every wall between its stages.

Conventions, stated once and kept everywhere:

- images are RGB ``uint8`` arrays of shape ``(h, w, 3)``, C-contiguous
- boxes are ``(x1, y1, x2, y2)`` in pixels of the original frame
- landmarks are ``(n, 3)`` float32: x right and y down in pixels of the original frame, z in the same unit
- time is float seconds on the stream's own clock (presentation timestamps), never ``index / fps``
- probabilities sum to 1, in the order of :data:`EMOTIONS`
- valence is in [-1, 1] (unpleasant to pleasant), arousal in [0, 1] (calm to excited)
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

EMOTIONS: tuple[str, ...] = ("Angry", "Disgust", "Fear", "Happy", "Neutral", "Sad", "Surprise")

Image: TypeAlias = npt.NDArray[np.uint8]  # (h w 3), RGB
Box: TypeAlias = tuple[float, float, float, float]  # x1 y1 x2 y2, pixels
Array: TypeAlias = npt.NDArray[np.float32]
State: TypeAlias = dict[str, Any]  # what a stage remembers: plain values, lists, dicts by name, numpy arrays


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One decoded picture: ``index`` counts decoded frames from 0, ``time`` is its PTS in seconds."""

    index: int
    time: float
    image: Image  # (h w 3)


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """One face in one frame.

    ``landmarks`` (478, 3) pixels, ``blendshapes`` (52,) in [0, 1] and ``pose`` (yaw, pitch, roll) in degrees are
    ``None`` where the landmarker did not see the face. ``crop`` is the aligned picture (224, 224, 3) that the network
    reads. ``track_id`` counts from 1 and stays with a person; it is 0 before tracking.
    """

    box: Box
    score: float
    track_id: int = 0
    landmarks: Array | None = None  # (478 3)
    blendshapes: Array | None = None  # (52,)
    pose: tuple[float, float, float] | None = None
    crop: Image | None = None  # (224 224 3)


@dataclass(frozen=True, slots=True)
class SceneObject:
    """Something else in the picture: a label of the object detector, its confidence in [0, 1] and its box."""

    label: str
    confidence: float
    box: Box


@dataclass(frozen=True, slots=True)
class Affect:
    """What the network reads off a face: ``probabilities`` in the order of ``labels``, valence and arousal."""

    probabilities: tuple[float, ...]
    valence: float
    arousal: float
    labels: tuple[str, ...] = EMOTIONS

    @property
    def emotion(self) -> str:
        """The most probable category."""
        return self.labels[max(range(len(self.labels)), key=self.probabilities.__getitem__)]

    @property
    def confidence(self) -> float:
        """The probability of :attr:`emotion`, in [0, 1]."""
        return max(self.probabilities)


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """One face at one moment. A frame without a face has one reading whose ``face`` and affects are ``None``."""

    frame: int
    time: float
    face: Face | None = None
    raw: Affect | None = None
    smoothed: Affect | None = None


@dataclass(frozen=True, slots=True, eq=False)
class FrameResult:
    """Everything known about one frame: at least one reading, and the scene objects seen in it.

    ``fps`` is the processing rate at that moment in frames per second, for display only. ``state`` is what the stages
    remembered before this frame, where the run can be resumed with it.
    """

    frame: Frame
    readings: tuple[Reading, ...]
    objects: tuple[SceneObject, ...] = field(default=())
    fps: float = 0.0
    state: State | None = None

    @property
    def faces(self) -> tuple[Reading, ...]:
        """The readings that have a face."""
        return tuple(reading for reading in self.readings if reading.face is not None)
