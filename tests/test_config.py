"""Settings: built-in values <- YAML <- flags, and every fault named at once."""

from __future__ import annotations

import math
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import ROOT
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stemo.config import TRAINING_RANGES, RecognitionSettings, Settings, TrainingSettings, did_you_mean, load_settings
from stemo.errors import ConfigError

CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))


def write(folder: Path, text: str) -> Path:
    path = folder / "a.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def fault(path: Path | None, flags: dict[str, dict[str, Any]] | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        load_settings(path, flags)
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_without_a_file_the_built_in_values_hold() -> None:
    assert load_settings() == Settings()


def test_a_file_wins_over_built_in_values_and_a_flag_over_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, "recognition: {faces: 2, smoothing: 9}\ntraining: {lr: 1}\n")
    found = load_settings(path, {"recognition": {"faces": 3, "device": None}})
    assert found.recognition == RecognitionSettings(faces=3, smoothing=9)
    assert found.training == TrainingSettings(lr=1.0)
    assert isinstance(found.training.lr, float)


@pytest.mark.parametrize("text", ["", "# only a comment\n", "recognition:\ntraining:\n"])
def test_an_empty_file_or_section_changes_nothing(tmp_path: Path, text: str) -> None:
    assert load_settings(write(tmp_path, text)) == Settings()


def test_an_unknown_key_gets_a_did_you_mean(tmp_path: Path) -> None:
    text = fault(write(tmp_path, "recognition: {smothing: 3}\n"))
    assert "'smothing' is unknown" in text
    assert "Did you mean smoothing?" in text


def test_an_unknown_section_gets_a_did_you_mean(tmp_path: Path) -> None:
    text = fault(write(tmp_path, "recogniton: {smoothing: 3}\n"))
    assert "'recogniton' is unknown" in text
    assert "Did you mean recognition?" in text


def test_nothing_is_meant_where_nothing_is_near() -> None:
    assert did_you_mean("zzz", ["faces", "device"]) == ""


@pytest.mark.parametrize(
    ("section", "key", "value", "expected"),
    [
        ("recognition", "faces", "four", "int"),
        ("recognition", "faces", 2.5, "int"),
        ("recognition", "faces", True, "int"),
        ("recognition", "faces", None, "int"),
        ("recognition", "ema", "often", "float or nothing"),
        ("recognition", "objects", 1, "bool or nothing"),
        ("recognition", "device", ["cpu"], "str"),
        ("training", "lr", False, "float"),
        ("training", "data", [1, 2], "tuple"),
        ("training", "landmarks", "yes", "bool"),
    ],
)
def test_a_wrong_type_is_named(tmp_path: Path, section: str, key: str, value: object, expected: str) -> None:
    text = fault(write(tmp_path, yaml.safe_dump({section: {key: value}})))
    assert f"{key} {value!r} has a wrong type: expected {expected}" in text


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("batch", 0, "1 or more"),
        ("views", 0, "1 or more"),
        ("epochs", -1, "0 or more"),
        ("clip_epochs", -1, "0 or more"),
        ("joint_epochs", -1, "0 or more"),
        ("patience", -1, "0 or more"),
        ("frozen", -1, "0 or more"),
        ("lr", 0.0, "a number above 0"),
        ("lr", math.inf, "a number above 0"),
        ("weight_decay", -1e-4, "0 or more"),
        ("mixup", -0.1, "0 or more"),
        ("mixup", math.nan, "0 or more"),
        ("category_weight", -1.0, "0 or more"),
        ("valence_weight", -1.0, "0 or more"),
        ("arousal_weight", -1.0, "0 or more"),
        ("small_size", 31, "32 or more"),
        ("full_size", 0, "32 or more"),
        ("small_share", 1.1, "0 to 1"),
        ("teacher_share", 1.1, "0 to 1"),
        ("clip_teacher_share", -0.1, "0 to 1"),
        ("prior_strength", 2.0, "0 to 1"),
        ("logit_adjustment", -0.1, "0 to 1"),
        ("held_back", 1.0, "0 to less than 1"),
        ("seed", -1, "0 to 4294967295"),
    ],
)
def test_a_training_number_out_of_range_is_named(tmp_path: Path, key: str, value: float, expected: str) -> None:
    said = f"{key} {value!r} is out of range: expected {expected}, got {value!r}"
    assert said in fault(write(tmp_path, yaml.safe_dump({"training": {key: value}})))
    assert said in fault(None, {"training": {key: value}})


def test_the_ends_of_every_range_are_accepted() -> None:
    least = {"batch": 1, "views": 1, "small_size": 32, "full_size": 32, "lr": 1e-9}
    numbers = {key for key, value in asdict(TrainingSettings()).items() if type(value) in (int, float)}
    assert numbers == set(TRAINING_RANGES)
    zeros: dict[str, Any] = {**dict.fromkeys(numbers, 0), **least}
    assert load_settings(None, {"training": zeros}).training == TrainingSettings(**zeros)
    shares: dict[str, Any] = {
        "small_share": 1.0,
        "teacher_share": 1.0,
        "clip_teacher_share": 1.0,
        "prior_strength": 1.0,
        "logit_adjustment": 1.0,
    }
    assert load_settings(None, {"training": shares}).training == TrainingSettings(**shares)


def test_data_may_be_one_path_or_several(tmp_path: Path) -> None:
    assert load_settings(write(tmp_path, "training: {data: one}\n")).training.data == ("one",)
    assert load_settings(write(tmp_path, "training: {data: [one, two]}\n")).training.data == ("one", "two")


def test_all_faults_are_reported_at_once(tmp_path: Path) -> None:
    path = write(
        tmp_path, "reading: {}\nrecognition: {face: 2, smoothing: many}\ntraining: {lr: fast, 7: 8, views: 0}\n"
    )
    text = fault(path)
    for part in ("'reading'", "'face'", "smoothing 'many'", "lr 'fast'", "'7'", "views 0 is out", repr(str(path))):
        assert part in text


@pytest.mark.parametrize(
    "text",
    [
        "recognition: [",
        "- a list",
        "just words",
        "recognition: 3",
        "1: 2",
        "recognition: {start: 2020-13-45}",
        "recognition: {faces: !!int ''}",
        "recognition: {objects: !!bool perhaps}",
        "a: !!python/object:os.system {}",
    ],
)
def test_what_is_no_settings_file_is_one_line(tmp_path: Path, text: str) -> None:
    assert "a.yaml" in fault(write(tmp_path, text))


def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    assert "cannot be read" in fault(tmp_path / "missing.yaml")
    assert "cannot be read" in fault(tmp_path)
    (tmp_path / "b.yaml").write_bytes(b"\xff\xfe\x00\x00\xff")
    assert "is not YAML" in fault(tmp_path / "b.yaml")


KEYS = sorted({field.name for kind in (RecognitionSettings, TrainingSettings) for field in fields(kind)})
SCALARS = st.none() | st.booleans() | st.integers(-9, 99) | st.floats() | st.text(max_size=8) | st.dates()
VALUES = SCALARS | st.lists(SCALARS, max_size=3) | st.dictionaries(st.text(max_size=4) | st.integers(), SCALARS)
SECTION = st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=8) | st.integers(), VALUES, max_size=4)
TREE = st.dictionaries(st.sampled_from(["recognition", "training"]) | st.text(max_size=8), SECTION | VALUES, max_size=3)


FUZZ = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def load_or_complain(path: Path) -> Settings | str:
    try:
        return load_settings(path)
    except ConfigError as error:
        return str(error)


@pytest.mark.slow
@FUZZ
@given(tree=TREE)
def test_any_tree_gives_settings_or_one_clear_error(tmp_path: Path, tree: dict[Any, Any]) -> None:
    found = load_or_complain(write(tmp_path, yaml.safe_dump(tree)))
    assert isinstance(found, Settings) or "\n" not in found


TEXT = st.text("recognition: !!-[]{}\n\t&*'\"|>%@0123456789", max_size=40)


@FUZZ
@given(data=st.binary(max_size=60) | TEXT.map(str.encode))
def test_any_bytes_give_settings_or_one_clear_error(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.yaml").write_bytes(data)
    found = load_or_complain(tmp_path / "a.yaml")
    assert isinstance(found, Settings) or "\n" not in found


def test_the_shipped_configs_are_there() -> None:
    assert {"default.yaml", "tiny.yaml"} <= {path.name for path in CONFIGS}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_every_shipped_config_loads_and_says_what_to_expect(path: Path) -> None:
    load_settings(path)
    head = [line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("#")]
    for word in ("command:", "time:", "score:"):
        assert any(word in line for line in head), f"{path.name} does not say its {word}"


def test_the_default_config_is_the_built_in_settings_written_out() -> None:
    path = ROOT / "configs" / "default.yaml"
    assert load_settings(path) == Settings()
    written = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert {section: set(keys) for section, keys in written.items()} == {
        section: set(keys) for section, keys in asdict(Settings()).items()
    }
