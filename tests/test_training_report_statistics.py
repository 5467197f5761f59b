"""Every statistic of the report against values that are published, follow by hand, or come from scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from made_evaluations import made_evaluation

from stemo.training.report.calibration import log_loss, reliability
from stemo.training.report.evaluation import confusion_of
from stemo.training.report.findings import Findings
from stemo.training.report.groups import UNKNOWN, group_figures
from stemo.training.report.ranking import macro_area, one_vs_rest
from stemo.training.report.statistics import (
    balanced_accuracy,
    balanced_accuracy_interval,
    class_figures,
    mean_interval,
    wilson,
)


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_as_published(hits: int, n: int, low: float, high: float) -> None:
    """Newcombe (1998), Statistics in Medicine 17, 857-872, table I, method 3."""
    assert wilson(hits, n) == pytest.approx((low, high), abs=5e-5)


def test_wilson_of_nothing_is_undefined() -> None:
    assert wilson(0, 0) is None


@given(some.integers(1, 5000).flatmap(lambda n: some.tuples(some.integers(0, n), some.just(n))))
def test_wilson_holds_the_share(counts: tuple[int, int]) -> None:
    hits, n = counts
    interval = wilson(hits, n)
    assert interval is not None
    low, high = interval
    assert 0 <= low <= hits / n <= high <= 1
    assert low < high


def test_class_figures_by_hand() -> None:
    first, second, third = class_figures([[8, 2, 0], [1, 9, 0], [0, 0, 0]], ("a", "b", "c"))
    assert (first.recall, first.precision, first.f1) == pytest.approx((0.8, 8 / 9, 16 / 19))
    assert (second.recall, second.precision) == pytest.approx((0.9, 9 / 11))
    assert first.recall_interval == wilson(8, 10)
    assert first.precision_interval == wilson(8, 9)
    assert (third.support, third.recall, third.precision, third.f1, third.f1_interval) == (0, None, None, None, None)


def test_the_interval_of_f1_is_that_of_the_overlap() -> None:
    (figures, _) = class_figures([[8, 2], [1, 9]], ("a", "b"))
    low, high = wilson(8, 11) or (0.0, 0.0)
    assert figures.f1_interval == pytest.approx((2 * low / (1 + low), 2 * high / (1 + high)))


@pytest.mark.slow
def test_class_figures_are_those_of_scikit_learn() -> None:
    from sklearn.metrics import balanced_accuracy_score, precision_recall_fscore_support

    rng = np.random.default_rng(1)
    truth, predicted = rng.integers(0, 5, 300), rng.integers(0, 5, 300)
    classes = class_figures(confusion_of(truth, predicted, 5), "abcde")
    known = np.array(precision_recall_fscore_support(truth, predicted))
    found = [(figures.precision, figures.recall, figures.f1, figures.support) for figures in classes]
    np.testing.assert_allclose(np.array(found, float).T, known)
    assert balanced_accuracy(classes) == pytest.approx(balanced_accuracy_score(truth, predicted))


def test_balanced_accuracy_leaves_out_classes_without_faces() -> None:
    classes = class_figures([[8, 2, 0], [1, 9, 0], [0, 0, 0]], "abc")
    assert balanced_accuracy(classes) == pytest.approx(0.85)
    assert balanced_accuracy(class_figures(np.zeros((2, 2)), "ab")) is None
    assert balanced_accuracy_interval(class_figures(np.zeros((2, 2)), "ab")) is None


def test_the_interval_of_a_mean() -> None:
    one = (0.8, (0.6, 0.9))
    assert mean_interval([one]) == pytest.approx((0.6, 0.9))
    assert mean_interval([one] * 4) == pytest.approx((0.8 - 0.2 / 2, 0.8 + 0.1 / 2))
    # 0.5 and 0.7 with ends 0.3, 0.4 below and 0.1, 0.2 above: by hand, as in Zou & Donner (2008)
    found = mean_interval([(0.5, (0.2, 0.6)), (0.7, (0.3, 0.9))])
    assert found == pytest.approx((0.6 - 0.5 / 2, 0.6 + math.hypot(0.1, 0.2) / 2))


def ranked(truth: list[int], score: list[float]) -> tuple[float | None, float | None]:
    """AUC and average precision of class 1 of two, for faces with these scores."""
    evaluation = made_evaluation(truth, [1] * len(truth), score, labels=("no", "yes"))
    curves = one_vs_rest(evaluation)[1]
    return (
        curves.roc.area if curves.roc else None,
        curves.precision_recall.area if curves.precision_recall else None,
    )


def test_auc_and_average_precision_of_known_cases() -> None:
    assert ranked([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]) == pytest.approx((0.75, 5 / 6))
    assert ranked([0, 0, 1, 1], [0.1, 0.2, 0.3, 0.4]) == pytest.approx((1, 1))
    assert ranked([1, 1, 0, 0], [0.1, 0.2, 0.3, 0.4])[0] == 0
    assert ranked([0, 1, 0, 1], [0.5, 0.5, 0.5, 0.5]) == pytest.approx((0.5, 0.5))  # a guess: the class's share
    assert ranked([1, 1], [0.5, 0.6]) == (None, 1)  # nothing to tell it from
    assert ranked([0, 0], [0.5, 0.6]) == (None, None)  # nothing to find


def test_means_of_areas_leave_out_what_is_undefined() -> None:
    rankings = one_vs_rest(made_evaluation([0, 0, 3], [0, 0, 3]))
    assert [ranking.label for ranking in rankings if ranking.roc] == ["Angry", "Happy"]
    assert macro_area([ranking.roc for ranking in rankings]) == 1
    assert macro_area([None, None]) is None
    assert [round(ranking.prevalence, 3) for ranking in rankings][:4] == [0.667, 0, 0, 0.333]


def test_calibration_error_by_hand() -> None:
    confidence = np.array([0.95] * 10 + [0.55] * 10)
    right = np.array([True] * 9 + [False] + [True] * 4 + [False] * 6)
    found = reliability(confidence, right, bins=10)
    assert found.error == pytest.approx((0.05 + 0.15) / 2)
    assert found.filled == [(5, 10, 4, pytest.approx(0.55)), (9, 10, 9, pytest.approx(0.95))]


def test_a_confidence_of_one_falls_into_the_last_bin() -> None:
    found = reliability(np.ones(4), np.ones(4, bool))
    assert found.faces.tolist() == [0] * 14 + [4]
    assert found.error == 0


def test_log_loss_by_hand() -> None:
    assert log_loss(np.array([[0.5, 0.5], [0.25, 0.75]]), np.array([0, 1])) == pytest.approx(
        -(math.log(0.5) + math.log(0.75)) / 2
    )
    assert math.isfinite(log_loss(np.array([[1.0, 0.0]]), np.array([1])))


def test_groups_by_hand() -> None:
    evaluation = made_evaluation(
        [0, 0, 3, 3, 3], [0, 3, 3, 3, 0], groups={"lens": ["wide", "tele", "wide", "wide", " "]}
    )
    unknown, tele, wide = group_figures(evaluation)["lens"]
    assert (unknown.name, unknown.n, unknown.accuracy) == (UNKNOWN, 1, 0)
    assert (tele.name, tele.n, tele.hits, tele.present) == ("tele", 1, 0, 1)
    assert (wide.n, wide.accuracy, wide.macro_recall, wide.present) == (3, 1, 1, 2)
    assert wide.accuracy_interval == wilson(3, 3)


def test_findings_agree_with_each_other() -> None:
    rng = np.random.default_rng(2)
    truth = rng.integers(0, 7, 200)
    predicted = np.where(rng.random(200) < 0.7, truth, rng.integers(0, 7, 200))
    groups = {"half": ["a"] * 100 + ["b"] * 100}
    findings = Findings(made_evaluation(truth.tolist(), predicted.tolist(), groups=groups))
    facts = findings.facts()
    assert facts["groups"]["half"]["a"]["n"] + facts["groups"]["half"]["b"]["n"] == 200
    assert sum(figures["support"] for figures in facts["per_class"].values()) == 200
    assert sum(figures["predicted"] for figures in facts["per_class"].values()) == 200
    low, high = facts["accuracy_interval"]
    assert low < findings.accuracy < high
    assert sum(row["n"] for row in facts["calibration"]) == 200
