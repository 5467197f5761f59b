"""Stage 2 as one object: a frame in, its faces out, tracked and aligned."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from stemo.assets import locate
from stemo.errors import ConfigError, MissingError
from stemo.faces.alignment import align
from stemo.faces.cuts import CutDetector
from stemo.faces.describing import Describer
from stemo.faces.detection import Detectors, check_detector, open_detectors
from stemo.faces.finding import FaceFinder
from stemo.faces.following import Follower
from stemo.faces.landmarks import Landmarker
from stemo.faces.tracking import LOOK, Tracker
from stemo.records import Face, Frame, Image, State

CLOSE_UP_THRESHOLD = 0.3
Kept = TypeVar("Kept", Landmarker, FaceFinder)
LOG = logging.getLogger(__name__)


class FaceAnalyzer:
    """Finds, reads, tracks and aligns up to ``max_faces`` faces in the frames of one stream.

    ``landmarker`` is MediaPipe's ``face_landmarker.task`` (``None``: the installed copy), ``detector`` one of
    mediapipe, yunet and yolo, with its ``face_weights`` on ``device`` as
    :func:`stemo.faces.detection.open_detectors` takes them. With ``video=False`` pictures have nothing to do with each
    other: each is searched as the first frame of a stream is, and ids mean nothing from one to the next. Following
    runs on so many ``threads``. Where the landmarker is nowhere to be found but another detector is chosen, faces have
    no landmarks, and a warning is logged. Raises ConfigError for ``max_faces`` below 1 and for detectors that cannot
    be, and WeightsError for files that are missing or tampered with. Use it as a context manager, or :meth:`close` it.
    """

    def __init__(
        self,
        max_faces: int = 4,
        *,
        landmarker: Path | None = None,
        detector: str = "mediapipe",
        face_weights: Path | None = None,
        device: str = "cpu",
        video: bool = True,
        threads: int = 1,
    ) -> None:
        if max_faces < 1:
            raise ConfigError(
                f"number of faces {max_faces!r} is out of range: expected 1 or more, got {max_faces}. Pass --faces 1"
            )
        check_detector(detector, face_weights)
        self._closing = ExitStack()
        self._video, self._threads = video, threads
        try:
            model = _landmarker(landmarker, detector)
            found = open_detectors(detector, face_weights, landmarker=model, device=device)
            self._finder = self._build(max_faces, model, found)
            self._describer = Describer(model) if model and video else Blind()
        except BaseException:
            self._closing.close()
            raise
        self._tracker = Tracker()
        self._cuts = CutDetector()

    def analyze(self, frame: Frame) -> list[Face]:
        """The faces of ``frame`` in order of their ``track_id``, with all that is said of each; in order of frames."""
        return self.describe(frame, self.find(frame))

    def find(self, frame: Frame) -> list[Face]:
        """The faces of ``frame`` in order of their ``track_id``, with box, score, landmarks where they were read, and a
        tiny crop to know each again by; frames must come in order.
        """
        if not self._video:
            self._tracker = Tracker()
        cut = self._cuts.update(frame.image) or not self._video
        known, missing = self._tracker.expected(frame.time), self._tracker.missing(frame.time)
        found = self._finder.find(frame, known, missing=missing, cut=cut)
        # by the box alone, so that a face looks the same whether its landmarks were read or not
        seen = [replace(face, crop=align(frame.image, None, face.box, LOOK)) for face in found]
        return self._tracker.update(seen, frame.time, cut=cut)

    def describe(self, frame: Frame, faces: Sequence[Face]) -> list[Face]:
        """What :meth:`find` found in ``frame``, with crop, blendshapes and pose too. Remembers nothing, so a thread may
        describe the faces of one frame while another finds those of the next.
        """
        return [
            replace(self._describer.describe(frame.image, face), crop=align(frame.image, face.landmarks, face.box))
            for face in faces
        ]

    def state(self) -> State:
        """Everything remembered of the stream."""
        return {"finder": self._finder.state(), "tracker": self._tracker.state(), "cuts": self._cuts.state()}

    def restore(self, state: State) -> None:
        """Go on from :meth:`state`; for an analyzer with the same settings that has seen no frame yet."""
        self._finder.restore(state["finder"])
        self._tracker.restore(state["tracker"])
        self._cuts.restore(state["cuts"])

    def close(self) -> None:
        """Frees the native models. Closing twice is fine."""
        self._closing.close()

    def __enter__(self) -> FaceAnalyzer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _build(self, max_faces: int, model: Path | None, detectors: Detectors) -> FaceFinder:
        if model is None:
            return self._kept(FaceFinder(Blind(), Blind(), Blind(), *detectors, max_faces))
        close_up = self._kept(Landmarker(model, threshold=CLOSE_UP_THRESHOLD))
        whole = self._kept(Landmarker(model, max_faces=max_faces))
        follower = Follower(model, self._threads) if self._video else Blind()  # single pictures have nobody to follow
        return self._kept(FaceFinder(follower, whole, close_up, *detectors, max_faces))

    def _kept(self, made: Kept) -> Kept:
        self._closing.callback(made.close)
        return made


class Blind:
    """Stands for a landmarker that is not there: reads nothing, so that faces are boxes only."""

    def read(self, image: Image) -> list[Face]:  # noqa: ARG002
        """No face, whatever the picture."""
        return []

    def follow(self, image: Image, face: Face) -> Face | None:  # noqa: ARG002
        """Not found again, whatever the picture."""
        return None

    def describe(self, image: Image, face: Face) -> Face:  # noqa: ARG002
        """The face, with nothing more known of it."""
        return face


def _landmarker(given: Path | None, detector: str) -> Path | None:
    """The landmarker's file; ``None`` after one warning where it is nowhere and ``detector`` can do without."""
    try:
        return locate("face_landmarker", given)
    except MissingError as error:
        if detector == "mediapipe":
            raise
        LOG.warning("warning: going on without landmarks, which makes readings less sure: %s", error)
        return None
