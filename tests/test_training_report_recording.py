"""Figures kept beside weights: exactly what the card shows, whole or not at all, and only for the weights measured."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from stemo.errors import ConfigError, OutputError, StemoError, WeightsError
from stemo.network.checkpoint import load_weights, save_weights
from stemo.training.report.card import card
from stemo.training.report.card_words import MEASURED
from stemo.training.report.recording import check_record, record

METRICS = {
    "data": "made.zip",
    "rule": "made",
    "n": 4,
    "accuracy": 0.0,
    "per_class": {"Happy": {"f1": 0.5}},
    "most_confident_mistakes": [{"name": "a"}],
}


@pytest.fixture
def description(tmp_path: Path, fresh_weights: Path) -> Path:
    """The JSON of a copy of fresh weights, with figures of its training and something from a later version."""
    for ending in (".safetensors", ".json"):
        shutil.copy(fresh_weights.with_suffix(ending), tmp_path / f"w{ending}")
    path = tmp_path / "w.json"
    facts = json.loads(path.read_text())
    path.write_text(json.dumps(facts | {"metrics": {"settings": {"seed": 0}, "highres": {"n": 1}}, "later": 1}))
    return path


def read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text())


def test_a_section_is_replaced_and_all_else_stays(description: Path) -> None:
    before = read(description)
    record(description, before["sha256"], "highres", METRICS)
    after = read(description)
    kept = {"data": "made.zip", "rule": "made", "n": 4, "accuracy": 0.0}
    assert after.pop("metrics") == {"settings": {"seed": 0}, "highres": kept}
    assert before.pop("metrics")["settings"] == {"seed": 0}
    assert after == before
    _, facts = load_weights(description.with_suffix(".safetensors"))  # their sha256 does not cover the JSON
    assert facts.metrics["highres"] == kept
    assert sorted(path.name for path in description.parent.iterdir()) == ["w.json", "w.safetensors"]


def test_new_weights_in_the_same_place_carry_no_old_figures(description: Path) -> None:
    network, facts = load_weights(description.with_suffix(".safetensors"))
    record(description, facts.sha256, "ckplus", METRICS)
    fresh = type(facts)(name="new")
    save_weights(description.with_suffix(".safetensors"), network, fresh)
    assert read(description)["metrics"] == {}


@pytest.mark.parametrize("name", ["", "high-res", "settings", "speed"])
def test_an_unknown_section_is_refused(description: Path, name: str) -> None:
    before = description.read_bytes()
    for refused in (lambda: check_record(description, name), lambda: record(description, "", name, METRICS)):
        with pytest.raises(ConfigError, match="expected one of valid, highres, ckplus") as error:
            refused()
        assert ("Did you mean highres?" in str(error.value)) == (name == "high-res")
    assert description.read_bytes() == before


def test_other_weights_by_now_are_refused(description: Path) -> None:
    before = description.read_bytes()
    with pytest.raises(WeightsError, match="is of other weights now"):
        record(description, "0" * 64, "highres", METRICS)
    assert description.read_bytes() == before


def test_a_place_that_cannot_be_written_is_refused(description: Path) -> None:
    description.with_name("w.json.part").mkdir()  # not even root writes a file there
    before = read(description)
    for refused in (
        lambda: check_record(description, "highres"),
        lambda: record(description, before["sha256"], "highres", METRICS),
    ):
        with pytest.raises(OutputError, match="cannot be written: expected a writable file") as error:
            refused()
        assert "\n" not in str(error.value)
    assert read(description) == before


def test_a_missing_description_is_refused_and_not_made(tmp_path: Path) -> None:
    with pytest.raises(StemoError, match="cannot be used"):
        check_record(tmp_path / "w.json", "highres")
    assert list(tmp_path.iterdir()) == []


def test_the_check_changes_nothing(description: Path) -> None:
    before = description.read_bytes(), description.stat().st_mtime_ns
    check_record(description, "ckplus")
    assert (description.read_bytes(), description.stat().st_mtime_ns) == before
    assert not list(description.parent.glob("*.part"))


@pytest.mark.parametrize("name", MEASURED)
def test_every_section_that_is_recorded_is_shown(description: Path, name: str) -> None:
    record(description, read(description)["sha256"], name, METRICS)
    assert "- data: made.zip" in card(read(description), "w.safetensors")
