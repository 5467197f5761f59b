"""Looking through whole pictures for faces that nobody follows: at intervals, and beside the search for known ones."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from stemo.faces.detection import Detector
from stemo.records import Face, Image, State

MISSING_EVERY, CALM_EVERY, CALM_MOST = 0.5, 1.0, 2.0  # seconds between surveys
LATER, LATEST = 8, 0.3  # frames and seconds that a survey beside the search is given: the first to pass


class Agenda:
    """When to survey the whole picture, by the stream's clock: often while faces are missing, rarely otherwise."""

    def __init__(self) -> None:
        self._last: float | None = None
        self._calm = CALM_EVERY / 2  # doubled by the first survey, should it gain nothing
        self._best = 0  # faces after the last survey, with those whose return was awaited

    def due(self, time: float, found: int, cut: bool) -> bool:
        """Whether to survey now, ``found`` faces having been seen at ``time``."""
        if self._last is None or cut or time < self._last:
            return True
        wait = MISSING_EVERY if found == 0 or found < self._best else self._calm
        return time - self._last >= wait

    def begun(self, time: float) -> None:
        """Notes a survey at ``time``."""
        self._last = time

    def ended(self, found: int, *, gained: bool) -> None:
        """Notes that it left ``found`` faces, those included that are away for a moment; surveys that gain nothing
        become rarer.
        """
        self._best = found
        self._calm = CALM_EVERY if gained else min(self._calm * 2, CALM_MOST)

    def state(self) -> State:
        """The last survey, what it found, and the time to the next."""
        return {"last": self._last, "calm": self._calm, "best": self._best}

    def restore(self, state: State) -> None:
        """Go on from :meth:`state`."""
        self._last, self._calm, self._best = state["last"], state["calm"], state["best"]


class Survey:
    """A look through one picture on a thread of its own, which is asked :data:`LATER` frames after it began, or sooner
    where :data:`LATEST` seconds have passed by the stream's clock: nobody is then far from where he was seen.

    Always then, whether it was quicker or not: results do not depend on the machine's pace.
    """

    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        self._thread = ThreadPoolExecutor(1, "stemo-survey")
        self._seen: Future[list[Face]] | None = None
        self._left, self._begun = 0, 0.0

    @property
    def under_way(self) -> bool:
        """Whether one has begun whose time has not come."""
        return self._seen is not None

    def begin(self, image: Image, time: float) -> None:
        """Look through ``image`` (h w 3), RGB uint8, of ``time`` s; what was looked through before is forgotten."""
        self._seen, self._left, self._begun = self._thread.submit(self._detector.detect, image), LATER, time

    def now(self, image: Image, time: float) -> Sequence[Face]:
        """The faces in ``image``, which is waited for; what was looked through before is forgotten."""
        self.begin(image, time)
        return self._taken()

    def frame(self, time: float, cut: bool) -> Sequence[Face] | None:
        """Counts a frame at ``time``: the faces of the survey that is due by now, ``None`` where there is none.

        A ``cut`` makes what was seen before it worthless.
        """
        if cut:
            self.wait()  # or the search would ask the same detector meanwhile
            self._seen = None
        if self._seen is None:
            return None
        self._left -= 1
        return self._taken() if self._left <= 0 or time - self._begun >= LATEST else None

    def wait(self) -> None:
        """Returns when no detector is at work."""
        if self._seen is not None:
            self._seen.exception()

    def state(self) -> State:
        """Its beginning, the frames left, and the faces that will have been found; waits for them."""
        seen = self._seen and [(face.box, face.score) for face in self._seen.result()]
        return {"begun": self._begun, "left": self._left, "seen": seen}

    def restore(self, state: State) -> None:
        """Go on from :meth:`state`."""
        self._begun, self._left, self._seen = state["begun"], state["left"], None
        if state["seen"] is not None:
            self._seen = Future()
            self._seen.set_result([Face(box, score) for box, score in state["seen"]])

    def close(self) -> None:
        """Ends the thread."""
        self._thread.shutdown()

    def _taken(self) -> list[Face]:
        assert self._seen is not None
        seen, self._seen = self._seen, None
        return seen.result()
