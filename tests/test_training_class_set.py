"""Any class set: what is laid where, what is dropped, and what happens to targets that nobody gave."""

from __future__ import annotations

from pathlib import Path

import made_data
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stemo.errors import ConfigError, DataError
from stemo.records import EMOTIONS
from stemo.training.affect_loss import affect_error
from stemo.training.category_loss import category_error, prior_shift
from stemo.training.class_set import ClassSet, class_set, onset_target
from stemo.training.datasets import LabelledFace, subject_of
from stemo.training.layouts import load_any

PICTURE = np.zeros((8, 8, 3), np.uint8)
CATEGORIES = (*EMOTIONS, "contempt", "unknown")


def face(emotions: dict[str, float], label: str | None = None, **more: object) -> LabelledFace:
    return LabelledFace("a.png", PICTURE, emotions, label, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "labels"),
    [
        ((), EMOTIONS),
        (("Happy,Sad,Neutral",), ("Happy", "Sad", "Neutral")),
        (("joy", " anger"), ("Happy", "Angry")),
        (("bored, confused ,happy,very tired,focused",), ("bored", "confused", "Happy", "very tired", "focused")),
    ],
)
def test_class_sets_by_name(given: tuple[str, ...], labels: tuple[str, ...]) -> None:
    assert class_set(given).labels == labels


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("Happy",), "two categories or more"),
        ((" , ",), "two categories or more"),
        (("Happy,joy",), "'Happy' is given twice"),
        (("bored,Bored",), "'bored' is given twice"),
        (("so-so,so so",), "'so-so' is given twice"),
        (("a,../b",), "no usable name"),
    ],
)
def test_class_sets_that_make_no_sense(given: tuple[str, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        class_set(given)


def test_votes_inside_are_renormalised() -> None:
    still = class_set(("sad,happy,neutral",)).still(face({"Happy": 3, "Sad": 3, "Surprise": 4}, "Surprise"))
    assert still is not None
    assert still.distribution.tolist() == [0.5, 0.5, 0.0]
    assert still.label is None


@pytest.mark.parametrize(
    ("emotions", "kept"),
    [({"Happy": 5, "Contempt": 5}, False), ({"Happy": 6, "Contempt": 5}, True), ({"bored": 1}, False), ({}, False)],
)
def test_a_face_whose_votes_lie_half_outside_is_dropped(emotions: dict[str, float], kept: bool) -> None:
    assert (ClassSet().still(face(emotions)) is not None) == kept


def test_what_is_dropped_is_counted_by_its_own_category() -> None:
    faces = [face({"contempt": 9, "Happy": 1}), face({"contempt": 1}), face({}), face({"joy": 1}, "joy")]
    kept, left_out = ClassSet().stills(faces)
    assert [still.label for still in kept] == [EMOTIONS.index("Happy")]
    assert left_out == {"contempt": 2, "without a clear label": 1}


def test_a_rating_is_kept_where_nobody_named_a_category() -> None:
    still = ClassSet().still(face({}, rating=(-0.5, 0.75)))
    assert still is not None
    assert (still.valence, still.arousal, still.rated) == (-0.5, 0.75, True)
    assert not still.distribution.any()


@pytest.mark.parametrize("emotions", [{"Contempt": 1}, {"Happy": 5, "Contempt": 5}])
def test_a_rating_is_kept_where_the_category_lies_outside(emotions: dict[str, float]) -> None:
    still = ClassSet().still(face(emotions, max(emotions), rating=(-0.5, 0.75), smoothing=0.1))
    assert still is not None
    assert (still.valence, still.arousal, still.rated, still.label) == (-0.5, 0.75, True, None)
    assert not still.distribution.any()


def test_affectnet_keeps_the_ratings_of_contempt_under_the_seven(tmp_path: Path) -> None:
    stills = load_any(made_data.affectnet_tables(tmp_path / "set"))
    found = {Path(still.name).stem: (still.rated, still.label, bool(still.distribution.any())) for still in stills}
    happy, angry = (EMOTIONS.index(name) for name in ("Happy", "Angry"))
    assert found == {
        "a": (True, happy, True),
        "b": (True, None, False),  # Contempt
        "d": (True, None, False),  # no expression
        "e": (True, angry, True),
    }
    assert {still.name for still in stills if still.rated} == {still.name for still in stills}


def test_a_face_without_a_category_teaches_none() -> None:
    stills = [ClassSet().still(face({"Contempt": 1}, rating=(0.5, 0.5))), ClassSet().still(face({"Happy": 1}))]
    known = [still for still in stills if still is not None]
    assert prior_shift(known, 1.0) == prior_shift(known[1:], 1.0)
    logits = torch.zeros(1, 7, requires_grad=True)
    loss = category_error(logits, torch.from_numpy(known[0].distribution[None]))
    assert loss.item() == 0
    assert not torch.autograd.grad(loss, logits)[0].any()


def test_categories_without_a_place_on_the_circumplex_have_no_weak_target() -> None:
    classes = class_set(("bored,happy",))
    bored, happy = classes.still(face({"bored": 1})), classes.still(face({"happy": 1}))
    assert bored is not None
    assert happy is not None
    assert np.isnan([bored.valence, bored.arousal]).all()
    assert np.isnan(happy.valence)  # a loader says Happy
    assert classes.still(face({"Happy": 1})).valence == pytest.approx(0.81)  # type: ignore[union-attr]


@pytest.mark.slow
@given(
    st.dictionaries(st.sampled_from(CATEGORIES), st.integers(1, 10)),
    st.lists(st.sampled_from(CATEGORIES), min_size=2, unique=True),
    st.floats(0, 0.5),
)
def test_whatever_is_kept_is_a_distribution_that_orders_as_the_votes(
    votes: dict[str, int], labels: list[str], smoothing: float
) -> None:
    still = ClassSet(tuple(labels)).still(face(dict(votes), smoothing=smoothing))
    inside = [votes.get(label, 0) for label in labels]
    assert (still is not None) == (sum(inside) * 2 > sum(votes.values()))
    if still is not None:
        assert float(still.distribution.sum()) == pytest.approx(1, abs=1e-5)
        assert int(still.distribution.argmax()) in np.flatnonzero(np.array(inside) == max(inside))
        assert still.distribution.min() >= 0


def test_a_missing_class_is_named_with_the_way_out() -> None:
    with pytest.raises(DataError, match=r"class 'Sad' has no training face.*Happy 2.*--classes Happy,Neutral"):
        class_set(("Happy,Sad,Neutral",)).check([0, 0, 2], "training")
    class_set(("Happy,Sad",)).check([0, 1], "training")


def test_onset_targets_lie_between_neutral_and_the_class() -> None:
    labels = ("Happy", "Neutral", "Sad")
    assert onset_target(0, 0.0, labels, 0.0).tolist() == [0, 1, 0]
    assert onset_target(0, 1.0, labels, 0.0).tolist() == [1, 0, 0]
    assert onset_target(2, 0.8, labels, 0.0).tolist() == pytest.approx([0, 0.2, 0.8])


def test_the_affect_error_counts_known_targets_only() -> None:
    read = torch.tensor([0.5, 0.0, -1.0], requires_grad=True)
    error = affect_error(read, torch.tensor([0.0, torch.nan, -0.5]))
    assert error.item() == pytest.approx(0.25)
    error.backward()
    assert read.grad is not None
    assert read.grad.tolist() == pytest.approx([0.5, 0.0, -0.5])
    nothing = affect_error(read, torch.full((3,), torch.nan))
    assert nothing.item() == 0
    assert torch.autograd.grad(nothing, read)[0].tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("stem", "person"),
    [
        ("Hu_Jintao_0002", "Hu_Jintao"),
        ("S034_003", "S034"),
        ("frame", "frame"),
        ("0001", "0001"),
        ("Training_101", "Training_101"),
        ("happy_12", "happy_12"),
        ("im0_3", "im0_3"),
    ],
)
def test_subject_of_a_file_name(stem: str, person: str) -> None:
    assert subject_of(stem) == person
