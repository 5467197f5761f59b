"""``--evaluate --output``: a report replaces only a report."""

from __future__ import annotations

import json
from pathlib import Path

import made_data
import pytest

from stemo.cli import main
from stemo.errors import OutputError
from stemo.training.report.writing import METRICS, PAGE, check_folder, write_metrics

FIGURES = {"rule": "r", "n": 3}


def metrics(folder: Path, facts: object = FIGURES) -> None:
    (folder / METRICS).write_text(json.dumps(facts), encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["run.png", "groups.png", "confusion.png", "sample.png", METRICS, PAGE])
def test_files_of_no_report_are_refused_before_the_data_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(b"years of work")
    assert main(["--evaluate", "nowhere.zip", "--output", "."]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert f"output {name!r} exists: expected a folder of its own for the report" in error
    assert "Choose another --output or add --overwrite." in error
    assert Path(name).read_bytes() == b"years of work"
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_overwrite_is_handed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("run.png").write_bytes(b"")
    assert main(["--evaluate", "nowhere.zip", "--output", ".", "--overwrite"]) == 2
    assert "nowhere.zip" in capsys.readouterr().err  # it came to the data


def test_an_earlier_report_makes_way(tmp_path: Path) -> None:
    check_folder(tmp_path / "new", overwrite=False)
    check_folder(tmp_path, overwrite=False)
    (tmp_path / "mine.png").touch()
    metrics(tmp_path)
    check_folder(tmp_path, overwrite=False)  # figures without a page
    (tmp_path / "run.png").touch()
    with pytest.raises(OutputError, match=r"^output .*metrics\.json' exists"):
        check_folder(tmp_path, overwrite=False)
    (tmp_path / PAGE).touch()
    check_folder(tmp_path, overwrite=False)


@pytest.mark.parametrize("facts", [{"loss": 0.1}, [1, 2], "rule n"])
def test_somebody_elses_figures_are_no_report(tmp_path: Path, facts: object) -> None:
    metrics(tmp_path, facts)
    (tmp_path / PAGE).touch()
    with pytest.raises(OutputError, match=r"metrics\.json' exists"):
        check_folder(tmp_path, overwrite=False)
    check_folder(tmp_path, overwrite=True)


def test_figures_alone_remove_the_report_before_them_and_nothing_else(tmp_path: Path) -> None:
    for name in (PAGE, "run.png", "confusion.png", "mine.png"):
        (tmp_path / name).touch()
    write_metrics(tmp_path, FIGURES)
    assert sorted(path.name for path in tmp_path.iterdir()) == [METRICS, "mine.png"]
    (tmp_path / "run.png").touch()
    write_metrics(tmp_path, FIGURES)
    assert (tmp_path / "run.png").exists()


@pytest.mark.slow
def test_the_same_folder_takes_the_next_report(tmp_path: Path, fresh_weights: Path) -> None:
    data = made_data.image_folder(tmp_path / "d", ("happy", "sad"), count=1)
    given = ["--evaluate", str(data), "--weights", str(fresh_weights), "--output", str(tmp_path / "out")]
    assert main(given) == 0
    (tmp_path / "out" / "mine.png").write_bytes(b"mine")
    before = {path.name for path in (tmp_path / "out").iterdir()}
    assert main(given) == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == before
    (tmp_path / "out" / METRICS).unlink()
    assert main(given) == 2
