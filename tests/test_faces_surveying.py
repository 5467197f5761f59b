"""A survey beside the search for known faces gives what it found at its frame, however long it took."""

from __future__ import annotations

import math
import threading

import numpy as np
import pytest

from stemo.faces.finding import FaceFinder
from stemo.faces.surveying import LATER, LATEST, Agenda, Survey
from stemo.output.saved import packed, unpacked
from stemo.records import Face, Frame, Image

KNOWN = Face((20.0, 20.0, 80.0, 80.0), 0.9, landmarks=np.zeros((478, 3), np.float32))
OTHER = Face((200.0, 200.0, 240.0, 240.0), 0.85)
IMAGE = np.zeros((300, 400, 3), np.uint8)


class Nobody:
    """Reads and finds nothing."""

    def read(self, image: Image) -> list[Face]:  # noqa: ARG002
        return []

    def detect(self, image: Image) -> list[Face]:  # noqa: ARG002
        return []


class Keeps(Nobody):
    """Finds every known face where it was, but for those of score ``lost``."""

    def __init__(self, lost: float | None = None) -> None:
        self.lost = lost

    def follow(self, image: Image, face: Face) -> Face | None:  # noqa: ARG002
        return None if face.score == self.lost else face


class Surveyor:
    """Sees the other face; waits for ``gate`` before it says so."""

    def __init__(self, gate: threading.Event | None = None) -> None:
        self.gate, self.busy = gate, threading.Event()

    def detect(self, image: Image) -> list[Face]:  # noqa: ARG002
        self.busy.set()
        if self.gate is not None:
            assert self.gate.wait(20)
        self.busy.clear()
        return [OTHER]


class Near(Nobody):
    """Sees a face in the middle of every window."""

    def detect(self, image: Image) -> list[Face]:
        side = float(image.shape[0])
        return [Face((side / 4, side / 4, side * 3 / 4, side * 3 / 4), 0.85)]


def finder(surveyor: Surveyor) -> FaceFinder:
    return FaceFinder(Keeps(), Nobody(), Nobody(), Near(), surveyor)


def look(one: FaceFinder, step: int, *, cut: bool = False, rate: float = 25) -> int:
    return len(one.find(Frame(step, step / rate, IMAGE), [KNOWN], cut=cut))


def test_a_new_face_appears_some_frames_after_the_survey_that_saw_it() -> None:
    one = finder(Surveyor())
    assert [look(one, step) for step in range(LATER + 2)] == [1] * (LATER - 1) + [2, 1, 1]
    one.close()


def test_a_survey_that_takes_long_is_waited_for() -> None:
    gate = threading.Event()
    one = finder(Surveyor(gate))
    assert [look(one, step) for step in range(LATER - 1)] == [1] * (LATER - 1)
    threading.Timer(0.05, gate.set).start()
    assert look(one, LATER - 1) == 2
    one.close()


@pytest.mark.parametrize("rate", [2, 5, 10, 14, 60])
def test_at_any_rate_a_survey_is_looked_at_before_the_next_begins(rate: float) -> None:
    one = finder(Surveyor())
    counts = [look(one, step, rate=rate) for step in range(LATER * 4)]
    later = min(LATER - 1, math.ceil(LATEST * rate))
    assert counts[:later] == [1] * later
    assert counts[later] == 2
    one.close()


def test_who_was_there_some_frames_ago_only_is_no_face() -> None:
    one = FaceFinder(Keeps(), Nobody(), Nobody(), Nobody(), Surveyor())
    assert [look(one, step) for step in range(60)] == [1] * 60
    one.close()


def test_where_nobody_is_known_the_survey_is_awaited() -> None:
    class Large(Nobody):
        def read(self, image: Image) -> list[Face]:  # noqa: ARG002
            return [KNOWN]

    one = FaceFinder(Keeps(), Large(), Nobody(), Near(), Surveyor())
    # the window around the large face shows one in its middle, which gives it a score
    assert len(one.find(Frame(0, 0.0, IMAGE))) == 2
    one.close()


def test_a_cut_waits_for_the_survey_that_it_makes_worthless() -> None:
    gate = threading.Event()
    surveyor = Surveyor(gate)
    survey = Survey(surveyor)
    survey.begin(IMAGE, 0.0)
    assert surveyor.busy.wait(20)
    threading.Timer(0.05, gate.set).start()
    assert survey.frame(0.0, cut=True) is None
    assert not surveyor.busy.is_set()
    survey.close()


@pytest.mark.parametrize("split", range(1, LATER + 1))
def test_another_goes_on_with_a_survey_that_has_begun(split: int) -> None:
    one, other = finder(Surveyor()), finder(Surveyor())
    for step in range(split):
        look(one, step)
    other.restore(unpacked(packed(one.state())))
    steps = range(split, 40)
    assert [look(other, step) for step in steps] == [look(one, step) for step in steps]
    one.close()
    other.close()


def test_what_was_seen_before_a_cut_counts_no_more() -> None:
    survey = Survey(Surveyor())
    survey.begin(IMAGE, 0.0)
    assert [survey.frame(0.0, cut=step == 1) for step in range(LATER + 1)] == [None] * (LATER + 1)
    survey.close()


def test_no_two_threads_ask_a_detector_at_once() -> None:
    gate = threading.Event()
    surveyor = Surveyor(gate)

    class Alone(Nobody):
        def detect(self, image: Image) -> list[Face]:  # noqa: ARG002
            assert not surveyor.busy.is_set()
            return []

    one = FaceFinder(Keeps(lost=0.8), Nobody(), Nobody(), Alone(), surveyor)
    look(one, 0)
    assert surveyor.busy.wait(20)
    threading.Timer(0.05, gate.set).start()
    one.find(Frame(1, 0.04, IMAGE), [KNOWN, Face(OTHER.box, 0.8)])
    one.close()


def test_what_breaks_a_survey_comes_out_at_its_frame() -> None:
    class Broken:
        def detect(self, image: Image) -> list[Face]:
            raise RuntimeError(f"broken on purpose, {image.shape}")

    survey = Survey(Broken())
    survey.begin(IMAGE, 0.0)
    survey.wait()
    assert [survey.frame(0.0, cut=False) for _ in range(LATER - 1)] == [None] * (LATER - 1)
    with pytest.raises(RuntimeError, match="on purpose"):
        survey.frame(0.0, cut=False)
    survey.close()


def test_surveys_are_hurried_while_somebody_is_away() -> None:
    agenda = Agenda()
    agenda.begun(0.0)
    agenda.ended(2, gained=False)  # one seen, and one awaited
    assert agenda.due(0.5, 1, False)
    agenda.begun(0.5)
    agenda.ended(1, gained=False)  # given up
    assert not agenda.due(1.0, 1, False)


def test_surveys_that_gain_nothing_become_rarer() -> None:
    agenda, moments = Agenda(), []
    for step in range(400):
        if agenda.due(step / 25, 1, False):
            moments.append(step / 25)
            agenda.begun(step / 25)
            agenda.ended(1, gained=False)
    assert moments[:4] == [0.0, 1.0, 3.0, 5.0]
    agenda.ended(2, gained=True)
    assert agenda.due(moments[-1] + 0.5, 1, False)
