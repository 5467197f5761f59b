"""Finding every face of a frame: known ones where they were, the whole picture where there are none, surveys at times.

Following a face costs less than finding it. One that is not found again where it was gets a zoomed look of its own,
and while it is missing its surroundings are looked through several times a second: people pass behind each other, and
turn round. As MediaPipe's landmarker overlooks faces below about a tenth of the picture, a survey by a box detector
runs on the first frame, after a cut, and at intervals on the stream's own clock. While known faces are followed it runs
beside the search, and what it found is looked for some frames later.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from stemo.faces.detection import Detector
from stemo.faces.regions import Window, closest, iou, merge, nearest, same_face, zoom
from stemo.faces.surveying import LATEST, Agenda, Survey
from stemo.records import Face, Frame, Image, State

SAME = 0.3  # least IoU between a known face and its next sight
NEW = 0.6  # least score of a new face with landmarks
BOX_ONLY = 0.8  # least score of a detection without landmarks to become a face
STILL_THERE = 0.6  # the same for a face that is already known
AROUND = 5.0  # side of a face's surroundings, in sides of the face: as far as people get in half a second
LOOK_EVERY = 0.06  # seconds between looks around a missing face


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
        self._last: float | None = None  # the time of the last frame
        self._looked: float | None = None  # the time of the last look around missing faces

    def find(
        self, frame: Frame, known: Sequence[Face] = (), *, missing: Sequence[Face] = (), cut: bool = False
    ) -> list[Face]:
        """The faces of ``frame`` before tracking: box, score, and landmarks, blendshapes and pose where they were read.

        ``known`` are the faces expected from the frames before, moved to where they should be now, ``missing`` those
        away for longer whose return is awaited; ``cut`` says that the scene has changed.
        """
        faces = [] if cut else self._followed(frame.image, known)
        if not faces:
            seen = self._whole.read(frame.image)
            faces = merge([scored for face in seen for scored in self._scored(frame.image, face, known)])
        awaited = 0 if cut else len(known) + len(missing)
        if not cut:
            faces = self._looked_for(frame.image, faces, known)
            if len(faces) < min(awaited, self._max_faces):
                away = [face for face in known if not _there(face, faces)]
                faces = self._looked_around(frame, faces, [*away, *missing])
        faces = self._surveyed(frame, merge(faces), awaited, beside=bool(known), cut=cut)
        self._last = frame.time
        return _most_important(faces, known, self._max_faces)

    def state(self) -> State:
        """When the next survey and the next look are due, and the survey that has begun."""
        times = {"last": self._last, "looked": self._looked}
        return {"agenda": self._agenda.state(), "survey": self._survey.state(), **times}

    def restore(self, state: State) -> None:
        """Go on from :meth:`state`."""
        self._agenda.restore(state["agenda"])
        self._survey.restore(state["survey"])
        self._last, self._looked = state["last"], state["looked"]

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

    def _looked_for(self, image: Image, faces: list[Face], known: Sequence[Face]) -> list[Face]:
        """The faces, and those known ones besides that a zoomed look still shows where they should be."""
        for face in known:
            if not _there(face, faces):
                faces = faces + self._look_again(image, face)
        return merge(faces)

    def _looked_around(self, frame: Frame, faces: list[Face], missing: Sequence[Face]) -> list[Face]:
        """The faces, and those near the ``missing`` ones' places, where the time for a look has come."""
        if self._looked is not None and 0 <= frame.time - self._looked < LOOK_EVERY:
            return faces
        self._looked = frame.time
        for face in missing:
            near = self._nearby(frame.image, face, faces)
            if near is not None:
                faces = faces + self._confirmed(frame.image, near)
        return faces

    def _nearby(self, image: Image, face: Face, faces: Sequence[Face]) -> Face | None:
        """A face like ``face`` in its surroundings that is none of ``faces``."""
        seen = self._boxes(zoom(image, face.box, factor=AROUND))
        return nearest([one for one in seen if not any(same_face(one.box, other.box) for other in faces)], face.box)

    def _look_again(self, image: Image, face: Face) -> list[Face]:
        """A zoomed look at a known face that the whole picture no longer shows: read, or as a box, or nothing."""
        window = zoom(image, face.box)
        read = self._read(window, face)
        if read is not None:
            return [replace(read, score=face.score)]
        seen = closest(self._boxes(window), face.box, least=SAME)
        return [seen] if seen is not None and seen.score >= STILL_THERE else []

    def _confirmed_late(self, image: Image, face: Face, faces: Sequence[Face]) -> list[Face]:
        """A look at a detection in a picture some frames ago, which must be seen in this one too.

        It may have moved since, but is none of ``faces``.
        """
        here = closest(self._boxes(zoom(image, face.box)), face.box, least=SAME) or self._nearby(image, face, faces)
        return [] if here is None else self._confirmed(image, replace(here, score=max(here.score, face.score)))

    def _confirmed(self, image: Image, face: Face) -> list[Face]:
        """A zoomed look at a new detection: read, or as a box if it scores well, or nothing."""
        window = zoom(image, face.box)
        seen = closest(self._boxes(window), face.box, least=SAME)
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

    def _surveyed(self, frame: Frame, faces: list[Face], awaited: int, *, beside: bool, cut: bool) -> list[Face]:
        """The faces with those of a survey, where there is one to look at; begins one where it is due.

        ``beside`` the search where known faces are followed, else at once, as where frames come so rarely that who
        was seen in one is elsewhere in the next.
        """
        rare = self._last is not None and frame.time - self._last >= LATEST
        beside = beside and bool(faces) and not cut and not rare
        free = not beside or not self._survey.under_way
        if len(faces) < self._max_faces and free and self._agenda.due(frame.time, len(faces), cut):
            self._agenda.begun(frame.time)
            if not beside:
                return self._with(frame, faces, self._survey.now(frame.image, frame.time), awaited, late=False)
            self._survey.begin(frame.image, frame.time)
        seen = self._survey.frame(frame.time, cut)
        return faces if seen is None else self._with(frame, faces, seen, awaited, late=True)

    def _with(self, frame: Frame, faces: list[Face], seen: Sequence[Face], awaited: int, *, late: bool) -> list[Face]:
        """The faces, scored anew, and those that a survey has ``seen`` besides and a closer look confirms."""
        all_faces = [_rescored(face, seen) for face in faces]
        for face in seen:
            if not any(same_face(face.box, other.box) for other in faces):
                image = frame.image
                all_faces += self._confirmed_late(image, face, all_faces) if late else self._confirmed(image, face)
        merged = merge(all_faces)
        # while somebody is away, surveys go on as if he were overlooked
        self._agenda.ended(max(len(merged), awaited), gained=len(merged) > len(faces))
        return merged


def _there(face: Face, faces: Sequence[Face]) -> bool:
    return any(iou(face.box, other.box) > SAME or same_face(face.box, other.box) for other in faces)


def _rescored(face: Face, seen: Sequence[Face]) -> Face:
    match = closest(seen, face.box, least=0.2)
    return replace(face, score=match.score) if match is not None else face


def _most_important(faces: list[Face], known: Sequence[Face], most: int) -> list[Face]:
    if len(faces) <= most:
        return faces

    def rank(face: Face) -> tuple[bool, float]:
        return closest(known, face.box, least=SAME) is not None, (face.box[2] - face.box[0]) * face.score

    return sorted(faces, key=rank, reverse=True)[:most]
