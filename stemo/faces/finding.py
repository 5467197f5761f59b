"""Finding every face of a frame: known ones where they were, the whole picture where there are none, surveys at times.

Following a face costs less than finding it. One that is not found again where it was gets a zoomed look of its own,
and as MediaPipe's landmarker overlooks faces below about a tenth of the picture, a survey by a box detector runs on the
first frame, after a cut, and at intervals on the stream's own clock. While known faces are followed it runs beside the
search, and what it found is looked at some frames later.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from stemo.faces.detection import Detector
from stemo.faces.regions import Window, closest, iou, merge, same_face, zoom
from stemo.faces.surveying import Agenda, Survey
from stemo.records import Face, Frame, Image, State

SAME = 0.3  # least IoU between a known face and its next sight
NEW = 0.6  # least score of a new face with landmarks
BOX_ONLY = 0.8  # least score of a detection without landmarks to become a face
STILL_THERE = 0.6  # the same for a face that is already known


class Reader(Protocol):
    """Anything that reads faces with landmarks from a picture."""

    def read(self, image: Image) -> list[Face]: ...


class Follows(Protocol):
    """Anything that reads a face of the frame before, which has landmarks, where it was."""

    def follow(self, image: Image, face: Face) -> Face | None: ...


class FaceFinder:
    """Finds up to ``max_faces`` faces in one frame after the other.

    ``follower`` reads known faces where they were, ``whole`` reads whole pictures, ``close_up`` zoomed windows,
    ``detector`` finds boxes in windows and ``surveyor`` in whole pictures. :meth:`close` it in the end.
    """

    def __init__(
        self,
        follower: Follows,
        whole: Reader,
        close_up: Reader,
        detector: Detector,
        surveyor: Detector,
        max_faces: int = 4,
    ) -> None:
        self._follower, self._whole = follower, whole
        self._close_up, self._detector = close_up, detector
        self._max_faces = max_faces
        self._agenda, self._survey = Agenda(), Survey(surveyor)

    def find(self, frame: Frame, known: Sequence[Face] = (), *, cut: bool = False) -> list[Face]:
        """The faces of ``frame`` before tracking: box, score, and landmarks, blendshapes and pose where they were read.

        ``known`` are the faces expected from the frames before, moved to where they should be now; ``cut`` says that
        the scene has changed.
        """
        faces = [] if cut else self._followed(frame.image, known)
        if not faces:
            seen = self._whole.read(frame.image)
            faces = merge([scored for face in seen for scored in self._scored(frame.image, face, known)])
        for face in known if not cut else ():
            if not any(iou(face.box, other.box) > SAME or same_face(face.box, other.box) for other in faces):
                faces += self._look_again(frame.image, face)
        faces = self._surveyed(frame, merge(faces), beside=bool(known), cut=cut)
        return _most_important(faces, known, self._max_faces)

    def state(self) -> State:
        """When the next survey is due, and the one that has begun."""
        return {"agenda": self._agenda.state(), "survey": self._survey.state()}

    def restore(self, state: State) -> None:
        """Go on from :meth:`state`."""
        self._agenda.restore(state["agenda"])
        self._survey.restore(state["survey"])

    def close(self) -> None:
        """Ends the thread of the surveys."""
        self._survey.close()

    def _followed(self, image: Image, known: Sequence[Face]) -> list[Face]:
        """The known faces that are still where they were; one that slipped onto another is not."""
        found = [self._follower.follow(image, face) for face in known if face.landmarks is not None]
        return merge([face for face in found if face is not None])

    def _scored(self, image: Image, face: Face, known: Sequence[Face]) -> list[Face]:
        """The landmarker gives no score: a known face keeps its own, a new one gets the detector's or is dropped."""
        before = closest(known, face.box, least=SAME)
        if before is not None:
            return [replace(face, score=before.score)]
        seen = closest(self._boxes(zoom(image, face.box)), face.box, least=0.2)
        return [replace(face, score=seen.score)] if seen is not None and seen.score >= NEW else []

    def _look_again(self, image: Image, face: Face) -> list[Face]:
        """A zoomed look at a known face that the whole picture no longer shows: read, or as a box, or nothing."""
        window = zoom(image, face.box)
        read = self._read(window, face)
        if read is not None:
            return [replace(read, score=face.score)]
        seen = closest(self._boxes(window), face.box, least=SAME)
        return [seen] if seen is not None and seen.score >= STILL_THERE else []

    def _confirmed(self, image: Image, face: Face, *, late: bool) -> list[Face]:
        """A zoomed look at a new detection: read, or as a box if it scores well, or nothing.

        One that comes ``late``, from a picture some frames ago, must be seen in this one too.
        """
        window = zoom(image, face.box)
        seen = closest(self._boxes(window), face.box, least=SAME)
        if late:
            if seen is None:
                return []
            face = replace(seen, score=face.score)
        score = max(face.score, seen.score if seen is not None else 0.0)
        read = self._read(window, face)
        if read is not None:
            return [replace(read, score=score)] if seen is not None and score >= NEW else []
        return [replace(face, score=score)] if score >= BOX_ONLY else []

    def _read(self, window: Window, face: Face) -> Face | None:
        return closest([window.back(seen) for seen in self._close_up.read(window.image)], face.box, least=0.2)

    def _boxes(self, window: Window) -> list[Face]:
        # the surveyor may be the same detector, and none is asked by two threads at once
        self._survey.wait()
        return [window.back(seen) for seen in self._detector.detect(window.image)]

    def _surveyed(self, frame: Frame, faces: list[Face], *, beside: bool, cut: bool) -> list[Face]:
        """The faces with those of a survey, where there is one to look at; begins one where it is due.

        ``beside`` the search where known faces are followed, else at once.
        """
        beside = beside and bool(faces) and not cut
        free = not beside or not self._survey.under_way
        if len(faces) < self._max_faces and free and self._agenda.due(frame.time, len(faces), cut):
            self._agenda.begun(frame.time)
            if not beside:
                return self._with(frame, faces, self._survey.now(frame.image), late=False)
            self._survey.begin(frame.image)
        seen = self._survey.frame(cut)
        return faces if seen is None else self._with(frame, faces, seen, late=True)

    def _with(self, frame: Frame, faces: list[Face], seen: Sequence[Face], *, late: bool) -> list[Face]:
        """The faces, scored anew, and those that a survey has ``seen`` besides and a closer look confirms."""
        rescored = [_rescored(face, seen) for face in faces]
        new = [face for face in seen if not any(same_face(face.box, other.box) for other in faces)]
        looked = [found for face in new for found in self._confirmed(frame.image, face, late=late)]
        merged = merge(rescored + looked)
        self._agenda.ended(len(merged), gained=len(merged) > len(faces))
        return merged


def _rescored(face: Face, seen: Sequence[Face]) -> Face:
    match = closest(seen, face.box, least=0.2)
    return replace(face, score=match.score) if match is not None else face


def _most_important(faces: list[Face], known: Sequence[Face], most: int) -> list[Face]:
    if len(faces) <= most:
        return faces

    def rank(face: Face) -> tuple[bool, float]:
        return closest(known, face.box, least=SAME) is not None, (face.box[2] - face.box[0]) * face.score

    return sorted(faces, key=rank, reverse=True)[:most]
