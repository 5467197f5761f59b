"""The page and its pictures: whole, self-contained, escaped, and there for every odd set of faces."""

from __future__ import annotations

import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from made_evaluations import made_evaluation
from PIL import Image as PilImage

from stemo.errors import OutputError
from stemo.records import EMOTIONS
from stemo.training.end_to_end import compare
from stemo.training.evaluation import figures_of
from stemo.training.metrics import UNREAD, score
from stemo.training.report.curves import RunCurve
from stemo.training.report.evaluation import Evaluation
from stemo.training.report.figures import draw_confusion
from stemo.training.report.findings import Findings
from stemo.training.report.measured import compared
from stemo.training.report.page import page
from stemo.training.report.sheets import COLUMNS, draw_sheet, most_confident_mistakes, sample, thumbnail
from stemo.training.report.themes import DARK, LIGHT, render
from stemo.training.report.writing import drawings, write_report

VOID = {"meta", "img", "source", "br"}
ALWAYS = {"classes", "confusion", "roc", "precision_recall", "reliability", "mistakes", "sample"}
PIXEL = b"\x89PNG"  # stands for a picture where only the page around it matters

CURVES = [
    RunCurve("spatial", "loss", np.arange(1, 4), np.array([1.0, 0.8, 0.7])),
    RunCurve("spatial", "recall/Happy", np.arange(1, 4), np.array([0.1, 0.5, 0.8])),
    RunCurve("clip", "valid_accuracy", np.arange(1, 3), np.array([0.7, 0.8])),
]


class Page(HTMLParser):
    """Reads a page strictly: every tag closed in its turn, every id once; keeps what is loaded and said."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loaded: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: set[str] = set()
        self.words = ""
        self.feed(text)
        self.close()
        assert not self.open, f"never closed: {self.open}"
        assert len(self.ids) == len(set(self.ids))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name in ("src", "srcset", "data", "poster"):
                self.loaded.append(value or "")
            if name == "id":
                self.ids.append(value or "")
            if name == "href":
                self.links.append(value or "")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data


def some_faces() -> Evaluation:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 7, 80)
    predicted = np.where(rng.random(80) < 0.6, truth, rng.integers(0, 7, 80))
    groups = {"light": ["day" if place % 3 else "night" for place in range(80)]}
    return made_evaluation(truth.tolist(), predicted.tolist(), rng.uniform(0.3, 1, 80).tolist(), groups=groups)


def text_of(findings: Findings) -> str:
    return page(findings, dict.fromkeys((*ALWAYS, "groups", "run"), (PIXEL, PIXEL)))


@pytest.mark.slow
def test_the_page_is_whole_and_needs_nothing_else(tmp_path: Path) -> None:
    path = write_report(tmp_path / "out", Findings(some_faces(), CURVES), {"n": 80})
    text = path.read_text(encoding="utf-8")
    found = Page(text)
    assert all(address.startswith("data:image/") for address in found.loaded)
    assert all(link.startswith("#") and link[1:] in found.ids for link in found.links)
    assert not found.tags & {"script", "link", "iframe", "object", "embed"}
    assert not re.search(r"url\(|@import|https?:", text.split("</style>")[0])
    assert "prefers-color-scheme: dark" in text
    assert 'name="viewport"' in text
    files = {file.name for file in path.parent.iterdir()}
    assert files == {"report.html", "metrics.json", *(f"{name}.png" for name in {*ALWAYS, "groups", "run"})}
    for file in path.parent.glob("*.png"):
        with PilImage.open(file) as picture:
            assert min(picture.size) > 150
    assert json.loads((path.parent / "metrics.json").read_text()) == {"n": 80}


ODD = {
    "one face, right": ([3], [3]),
    "one face, wrong": ([3], [4]),
    "all right": ([0, 3, 4], [0, 3, 4]),
    "all wrong": ([0, 3, 4], [3, 4, 0]),
    "one class": ([3] * 9, [3] * 5 + [4] * 4),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", ODD)
def test_odd_sets_of_faces(case: str) -> None:
    findings = Findings(made_evaluation(*ODD[case], groups={"only": ["x"] * len(ODD[case][0])}))
    for draw in drawings(findings).values():
        assert render(draw, LIGHT).startswith(b"\x89PNG")
    assert "0 of" not in Page(text_of(findings)).words
    json.dumps(findings.facts(), allow_nan=False)


@pytest.mark.slow
def test_no_mistake_is_said_in_words() -> None:
    assert "None of the 2 faces was read wrong" in Page(text_of(Findings(made_evaluation([0, 3], [0, 3])))).words


def test_real_ratings_have_a_part_of_their_own() -> None:
    figures = {"n": 2, "ccc": 0.5, "rmse": 0.25, "pearson": None, "sign_agreement": 1.0}
    made = made_evaluation([0, 3], [0, 3])
    assert "affect" in Page(text_of(Findings(made, affect={"valence": figures}))).ids
    assert "affect" not in Page(text_of(Findings(made))).ids


def test_crops_and_end_to_end_stand_side_by_side() -> None:
    evaluation = made_evaluation([0, 0, 1], [0, 1, 1], labels=("calm", "<keen>"))
    crops = figures_of(score(evaluation.truth, evaluation.predicted, evaluation.labels))
    read = compare(evaluation.truth, [0, UNREAD, UNREAD], evaluation.predicted, evaluation.labels)
    rows = compared({**crops, "end_to_end": read})
    found = Page(text_of(Findings(evaluation, compared=rows)))
    assert "end-to-end" in found.ids
    assert "#end-to-end" in found.links
    assert "33.3\u202f% of 3 pictures" in found.words
    assert [row.name for row in rows] == ["accuracy", "macro recall", "calm", "<keen>"]
    shown = [[share if share is None else round(share, 3) for share, _ in row.shares] for row in rows]
    assert shown == [[0.667, 0.333, 1.0, 1.0], [0.75, 0.25, 1.0, 1.0], [0.5, 0.5, 1.0, 1.0], [1.0, 0.0, None, None]]
    assert "end-to-end" not in Page(text_of(Findings(evaluation))).ids


@pytest.mark.slow
def test_other_classes_than_stemos_own() -> None:
    evaluation = made_evaluation([0, 1, 2, 0], [0, 1, 1, 2], labels=("calm", "bored", "<keen>"))
    assert "<keen>" in Page(text_of(Findings(evaluation))).words
    for draw in drawings(Findings(evaluation)).values():
        assert render(draw, DARK).startswith(b"\x89PNG")


def test_names_from_outside_are_escaped() -> None:
    evil = '"><script>alert(1)</script>'
    evaluation = made_evaluation([0, 1], [1, 1], names=[evil, "b"], groups={evil: [evil, "b"]})
    found = Page(text_of(Findings(evaluation)))
    assert "script" not in found.tags
    assert evil in found.words


@pytest.mark.slow
def test_an_earlier_reports_pictures_are_removed(tmp_path: Path) -> None:
    write_report(tmp_path, Findings(some_faces()), {})
    assert (tmp_path / "groups.png").exists()
    (tmp_path / "mine.png").touch()
    write_report(tmp_path, Findings(made_evaluation([0], [0])), {})
    assert not (tmp_path / "groups.png").exists()
    assert (tmp_path / "mine.png").exists()


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "taken").touch()
    with pytest.raises(OutputError, match="cannot be written: expected a folder"):
        write_report(tmp_path / "taken", Findings(made_evaluation([0], [0])), {})


def test_mistakes_come_most_confident_first() -> None:
    evaluation = made_evaluation([0, 0, 0, 0], [0, 3, 4, 5], [0.99, 0.5, 0.9, 0.7])
    found = [(cell.name, cell.predicted, round(cell.confidence, 6)) for cell in most_confident_mistakes(evaluation)]
    assert found == [("face 2", "Neutral", 0.9), ("face 3", "Sad", 0.7), ("face 1", "Happy", 0.5)]
    assert len(most_confident_mistakes(evaluation, 2)) == 2


def test_the_sample_has_every_class_and_is_the_same_again() -> None:
    evaluation = some_faces()
    chosen = sample(evaluation, per_class=2)
    assert [cell.truth for cell in chosen] == [label for label in EMOTIONS for _ in range(2)]
    assert [cell.name for cell in chosen] == [cell.name for cell in sample(evaluation, per_class=2)]


def test_sheets_hold_their_faces() -> None:
    evaluation = some_faces()
    cells = sample(evaluation, per_class=2)
    sheet = draw_sheet(cells, "none")
    assert sheet.shape[0] > sheet.shape[1] / COLUMNS * 2  # 14 faces: two rows
    empty = draw_sheet([], "none")
    assert empty.min() < 255  # the words


def test_small_pictures_keep_their_size_and_large_ones_shrink() -> None:
    small, large = np.zeros((48, 40, 3), np.uint8), np.zeros((600, 300, 3), np.uint8)
    sizes = [PilImage.open(io.BytesIO(thumbnail(image))).size for image in (small, large)]
    assert sizes == [(40, 48), (80, 160)]


def test_the_two_looks_differ_where_they_should() -> None:
    counts = np.eye(7, dtype=np.int64)
    corners = []
    for theme in (LIGHT, DARK):
        picture = PilImage.open(io.BytesIO(render(lambda look: draw_confusion(counts, EMOTIONS, look), theme)))
        corners.append("#{:02x}{:02x}{:02x}".format(*np.asarray(picture.convert("RGB"))[2, 2]))
    assert corners == [LIGHT.paper, DARK.paper]
