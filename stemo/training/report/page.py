"""The report as one HTML page that needs nothing but itself."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from stemo import __version__
from stemo.training.report.findings import Findings
from stemo.training.report.groups import GroupFigures
from stemo.training.report.markup import escape, faces, percent, picture, section, span, table, with_interval
from stemo.training.report.measured import COLUMNS, END_TO_END, Compared
from stemo.training.report.ranking import Curve
from stemo.training.report.sheets import MISTAKES
from stemo.training.report.style import STYLE

Pictures: TypeAlias = Mapping[str, tuple[bytes, bytes]]  # name -> PNG for light and for dark readers

LIMITS = (
    "These figures say how often stemo names a face's expression as the people did who labelled these pictures. An "
    "expression is not an inner state (Barrett et al. 2019, doi 10.1177/1529100619832930), and other pictures, other "
    "people and other labels give other figures."
)


def page(findings: Findings, pictures: Pictures) -> str:
    """The whole page; ``pictures`` holds confusion, classes, roc, precision_recall, reliability, and groups and run
    where there are any."""
    parts = [
        _classes(findings, pictures),
        *([_end_to_end(findings.compared)] if findings.compared else []),
        _confusion(findings, pictures),
        _ranking(findings, pictures),
        _calibration(findings, pictures),
        *([_affect(findings)] if findings.affect else []),
        *([_groups(findings, pictures)] if findings.groups else []),
        _mistakes(findings),
        _sample(findings),
        *([_run(pictures)] if findings.run else []),
        _method(),
    ]
    return "\n".join([_head(findings), *_top(findings, parts), *parts, "</main>", _foot(), "</body></html>", ""])


def _head(findings: Findings) -> str:
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>Evaluation on {escape(findings.evaluation.data)}</title>\n<style>\n{STYLE}\n</style></head>\n<body>"
    )


def _top(findings: Findings, parts: Sequence[str]) -> list[str]:
    given = findings.evaluation
    links = "".join(
        f'<a href="#{name}">{title}</a>'
        for part in parts
        for name, title in re.findall(r'^<section id="([^"]+)"><h2>(.+?)</h2>', part)
    )
    return [
        f"<header><h1>Evaluation on {escape(given.data)}</h1>",
        f"<p>{given.n} faces, read by {escape(given.weights)}.",
        f'<span class="quiet">Rule: {escape(given.rule)}.</span></p>',
        *([f'<p class="note">{escape(given.note)}</p>'] if given.note else []),
        f"<nav>{links}</nav></header>\n<main>",
        _headline(findings),
    ]


def _headline(findings: Findings) -> str:
    interval = span(findings.accuracy_interval)
    cards = [
        (percent(findings.accuracy), "accuracy", interval),
        (percent(findings.balanced_accuracy), "balanced accuracy", span(findings.balanced_accuracy_interval)),
        (_number(findings.macro_auc), "mean AUC", "one class against the rest"),
        (f"{findings.reliability.error:.3f}", "calibration error", "0 is a confidence that is a probability"),
        (str(findings.evaluation.n), "faces", f"{int((~findings.evaluation.right).sum())} read wrong"),
    ]
    inner = "".join(f"<div><b>{value}</b>{name}<span>{more}</span></div>" for value, name, more in cards)
    return f'<div class="headline">{inner}</div>'


def _classes(findings: Findings, pictures: Pictures) -> str:
    rows = [
        [
            escape(figures.label),
            str(figures.support),
            with_interval(figures.precision, figures.precision_interval),
            with_interval(figures.recall, figures.recall_interval),
            with_interval(figures.f1, figures.f1_interval),
        ]
        for figures in findings.classes
    ]
    return section(
        "classes",
        "Class by class",
        "<p>Precision: how many of the faces read as a class are of it. Recall: how many of its faces were read as it. "
        "F1 is their harmonic mean. Below each figure its 95 % interval; support is the number of faces.</p>",
        _pair(
            table(["class", "support", "precision", "recall", "F1"], rows),
            picture(*pictures["classes"], "Recall and precision of each class with 95 % intervals"),
        ),
    )


def _end_to_end(compared: Sequence[Compared]) -> str:
    rows = [
        [escape(row.name), str(row.n), str(row.found), *(with_interval(*share) for share in row.shares)]
        for row in compared
    ]
    found = f"<p>Face found: {percent(compared[0].found / compared[0].n)} of {compared[0].n} pictures.</p>"
    return section("end-to-end", "Crops and end to end", f"<p>{END_TO_END}</p>{found}", table(["", *COLUMNS], rows))


def _confusion(findings: Findings, pictures: Pictures) -> str:
    labels = findings.evaluation.labels
    rows = [
        [escape(label), *(_count(int(count), row == column) for column, count in enumerate(counts)), str(counts.sum())]
        for row, (label, counts) in enumerate(zip(labels, findings.evaluation.confusion, strict=True))
    ]
    return section(
        "confusion",
        "Confusion",
        "<p>True classes as rows, readings as columns: shares of each row in the picture, faces in the table.</p>",
        _pair(
            picture(*pictures["confusion"], "Confusion matrix, each row in shares of its true class"),
            table(["true", *(f"<span>{escape(label)}</span>" for label in labels), "all"], rows, "matrix"),
        ),
    )


def _ranking(findings: Findings, pictures: Pictures) -> str:
    rows = [
        [
            escape(ranking.label),
            _area_of(ranking.roc),
            _area_of(ranking.precision_recall),
            percent(ranking.prevalence),
        ]
        for ranking in findings.rankings
    ]
    mean = ["mean", _number(findings.macro_auc), _number(findings.macro_average_precision), ""]
    return section(
        "ranking",
        "ROC and precision-recall",
        "<p>Each class's probability against all others: how well it ranks faces, whatever the threshold. AUC is the "
        "area below the ROC curve (0.5 is a guess), AP the average precision (a guess reaches the class's share).</p>",
        _pair(
            picture(*pictures["roc"], "ROC curve of each class against the rest"),
            picture(*pictures["precision_recall"], "Precision-recall curve of each class"),
        ),
        table(["class", "AUC", "AP", "share"], [*rows, mean]),
    )


def _calibration(findings: Findings, pictures: Pictures) -> str:
    text = (
        "<p>A confidence should be a probability: of the faces read with 0.8, eight in ten should be right. Dots on "
        "the dotted line are; bars show how far the others are off, thin lines the 95 % interval of the share.</p>"
        f"<p>Expected calibration error <b>{findings.reliability.error:.3f}</b> "
        f"({findings.reliability.bins} bins of equal width), log loss <b>{findings.log_loss:.3f}</b>.</p>"
    )
    image = picture(*pictures["reliability"], "Share predicted right against confidence, and faces by confidence")
    return section("calibration", "Calibration", _pair(image, f"<div>{text}</div>"))


def _affect(findings: Findings) -> str:
    rows = [
        [name, str(figures["n"]), *(_number(figures[key]) for key in ("ccc", "rmse", "pearson", "sign_agreement"))]
        for name, figures in findings.affect.items()
    ]
    return section(
        "affect",
        "Valence and arousal",
        "<p>Readings against real ratings, both on -1 to 1. CCC is the concordance correlation coefficient (Lin 1989): "
        "1 only where readings equal ratings.</p>",
        table(["", "faces", "CCC", "RMSE", "Pearson", "same sign"], rows),
    )


def _groups(findings: Findings, pictures: Pictures) -> str:
    tables = "".join(
        f"<h3>{escape(column)}</h3>\n"
        + table(["group", "faces", "accuracy", "macro recall", "classes"], [_group(group) for group in groups])
        for column, groups in findings.groups.items()
    )
    return section(
        "groups",
        "Groups",
        "<p>The same figures for each group that the data name. Macro recalls compare only where groups hold the same "
        "classes (last column: how many). Where a group is small its interval is wide, and says so.</p>",
        _pair(
            picture(*pictures["groups"], "Accuracy and macro recall of each group with 95 % intervals"),
            f"<div>{tables}</div>",
        ),
    )


def _group(group: GroupFigures) -> list[str]:
    return [
        escape(group.name),
        str(group.n),
        with_interval(group.accuracy, group.accuracy_interval),
        with_interval(group.macro_recall, group.macro_recall_interval),
        str(group.present),
    ]


def _mistakes(findings: Findings) -> str:
    wrong = int((~findings.evaluation.right).sum())
    if not wrong:
        return section("mistakes", "Mistakes", f"<p>None of the {findings.evaluation.n} faces was read wrong.</p>")
    shown = f"the {MISTAKES} most confident" if wrong > MISTAKES else "all, the most confident first"
    words = (
        f"<p>{wrong} of {findings.evaluation.n} faces were read wrong; here are {shown}: true class &rarr; reading.</p>"
    )
    return section("mistakes", "Mistakes", words, faces(findings.mistakes))


def _sample(findings: Findings) -> str:
    words = "<p>Faces drawn by chance, the same number of each class where there are enough.</p>"
    return section("sample", "A sample", words, faces(findings.sample))


def _run(pictures: Pictures) -> str:
    words = "<p>What the training logged, its stages one after another.</p>"
    return section("run", "The training run", words, picture(*pictures["run"], "Curves of the training run"))


def _method() -> str:
    items = (
        "Intervals of shares: Wilson 1927, J. American Statistical Association 22, 209&ndash;212.",
        "F1 = 2J / (1 + J), where J is the share of hits among faces that are of the class or read as it; its interval "
        "is Wilson's of J, carried over.",
        "Balanced accuracy is the mean recall of the classes that have faces (macro recall); its interval is built "
        "from those of the recalls (Zou &amp; Donner 2008, Statistics in Medicine 27, 1693&ndash;1702).",
        "AUC and average precision: scikit-learn. A class without a face has none.",
        "Calibration: Guo et al. 2017, On calibration of modern neural networks (ICML).",
    )
    listed = "".join(f"<li>{item}</li>" for item in items)
    return section("method", "How it was computed", f'<ul class="quiet">{listed}</ul>', f"<p>{LIMITS}</p>")


def _foot() -> str:
    return f'<footer class="quiet">Written by stemo {__version__}. The same figures: metrics.json.</footer>'


def _pair(left: str, right: str) -> str:
    return f'<div class="pair">{left}{right}</div>'


def _count(count: int, diagonal: bool) -> str:
    return f'<td class="diagonal">{count}</td>' if diagonal else str(count or "·")


def _number(number: float | None) -> str:
    return "&ndash;" if number is None else f"{number:.3f}"


def _area_of(curve: Curve | None) -> str:
    return _number(curve.area if curve else None)
