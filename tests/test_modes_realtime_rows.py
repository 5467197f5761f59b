"""The rows of the live mode: categories of the weights' own, and a wrong place told before anything is loaded."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet
import pytest
from fakes import FixedReader, FixedRecognizer, make_video

from stemo.cli import main
from stemo.errors import WeightsError
from stemo.network.checkpoint import WeightFacts
from stemo.output.pending import Pending
from stemo.pipeline import Pipeline, Scene
from stemo.records import Affect, Face

LABELS = ("Bored", "Keen")
FRAMES = 4


class OwnReader(FixedReader):
    """Reads two categories that are none of the seven."""

    def read(self, faces: Sequence[Face], time: float) -> list[Affect]:  # noqa: ARG002
        return [Affect((0.75, 0.25), 0.1, 0.2, LABELS) for _ in faces]


class OwnClasses(FixedRecognizer):
    """A recogniser with weights of those categories."""

    def __init__(self) -> None:
        super().__init__()
        self.facts = WeightFacts(name="own", labels=LABELS)

    @contextmanager
    def stages(self, scene: Scene | None = None, *, in_turn: bool = False) -> Iterator[Pipeline]:
        with super().stages(scene, in_turn=in_turn) as pipeline:
            yield replace(pipeline, reader=OwnReader())


@pytest.fixture(autouse=True)
def _inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_video(tmp_path / "in.mp4", frames=FRAMES)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], FixedRecognizer]], None]:
    """Let ``--realtime`` make its recogniser so."""
    return lambda make: monkeypatch.setattr("stemo.modes.realtime.make_recognizer", lambda _settings: make())


def read(*flags: str) -> int:
    return main(["--realtime", "--no-window", "--no-objects", "--source", "in.mp4", *flags])


def test_every_category_of_the_weights_has_its_column(load: Callable[[Callable[[], FixedRecognizer]], None]) -> None:
    load(OwnClasses)
    assert read("--output", "out", "--format", "csv,parquet") == 0
    with Path("out_results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {(row["p_bored"], row["p_keen"], row["raw_p_bored"]) for row in rows} == {("0.75", "0.25", "0.75")}
    table = pyarrow.parquet.read_table("out_results.parquet")
    assert [name for name in table.column_names if name.startswith("p_")] == ["p_bored", "p_keen"]
    assert set(table["raw_p_keen"].to_pylist()) == {0.25}


@pytest.mark.parametrize(("flags", "named"), [((), "jsonl"), (("--format", "csv,json"), "csv,json")])
def test_the_facts_name_the_formats_that_were_written(
    load: Callable[[Callable[[], FixedRecognizer]], None], flags: tuple[str, ...], named: str
) -> None:
    load(OwnClasses)
    assert read("--output", "out", *flags) == 0
    assert json.loads(Path("out_meta.json").read_text())["settings"]["format"] == named


def too_early() -> FixedRecognizer:
    pytest.fail("the models are loaded before the place is looked at")


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        (("--output", "nowhere/out"), "output folder 'nowhere' is missing"),
        (("--output", "out", "--format", "csv,xml"), "format 'xml' is unknown"),
        (("--output", "old"), "output 'old_results.jsonl' exists"),
        (("--output", "facts"), "output 'facts_meta.json' exists"),
        (("--output", "busy"), "output 'busy_results.jsonl' is being written by another run"),
        (("--output", "out", "--record", "nowhere/out.mp4"), "output folder 'nowhere' is missing"),
    ],
)
def test_a_wrong_place_is_told_before_the_models_are_loaded(
    load: Callable[[Callable[[], FixedRecognizer]], None],
    capsys: pytest.CaptureFixture[str],
    flags: tuple[str, ...],
    problem: str,
) -> None:
    load(too_early)
    Path("old_results.jsonl").write_text("mine")
    Path("facts_meta.json").write_text("mine")
    busy = Pending(Path("busy_results.jsonl"))
    before = sorted(path.name for path in Path().iterdir())
    assert read(*flags) == 2
    assert problem in capsys.readouterr().err
    assert sorted(path.name for path in Path().iterdir()) == before
    busy.discard()


def test_models_that_cannot_be_loaded_leave_nothing(
    load: Callable[[Callable[[], FixedRecognizer]], None], capsys: pytest.CaptureFixture[str]
) -> None:
    def broken() -> FixedRecognizer:
        raise WeightsError("weights 'w' are broken")

    load(broken)
    assert read("--output", "out", "--format", "json,csv,parquet", "--record", "seen.mp4") == 2
    assert capsys.readouterr().err == "error: weights 'w' are broken\n"
    assert [path.name for path in Path().iterdir()] == ["in.mp4"]
