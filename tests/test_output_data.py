from __future__ import annotations

import csv
import json
import resource
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from jsonschema import Draft202012Validator

from stemo.errors import ConfigError, OutputError, StemoError
from stemo.output.data import COLUMNS, SCHEMA_PATH, columns, default_output, flatten, output_name, rows
from stemo.output.meta import write_meta
from stemo.output.pending import Pending
from stemo.output.writers import WRITERS, check_writers, open_writers
from stemo.records import EMOTIONS, Affect, Face, Frame, FrameResult, Reading, SceneObject

SCHEMA = json.loads(SCHEMA_PATH.read_text())
PICTURE = np.zeros((4, 4, 3), np.uint8)


def affect(seed: int) -> Affect:
    chances = np.random.default_rng(seed).dirichlet(np.ones(7)).astype(np.float32)
    return Affect(tuple(chances.tolist()), -0.123456789, 0.987654321)


def result(index: int, faces: int = 1, objects: int = 0) -> FrameResult:
    time = index / 30
    readings = tuple(
        Reading(
            index,
            time,
            Face((1.23456, 2.0, 30.5, 40.0), 0.98765, track_id=number + 1, pose=(1.234, -5.0, 0.5)),
            raw=affect(index),
            smoothed=affect(index + 100),
        )
        for number in range(faces)
    )
    things = tuple(SceneObject('a "tie", red', 0.61, (1.0, 2.0, 3.0, 4.0)) for _ in range(objects))
    return FrameResult(Frame(index, time, PICTURE), readings or (Reading(index, time),), things)


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        ("some/talk.mp4", "talk"),
        ("rtsp://anna:secret@cam.local:554/live.sdp?token=secret", "live"),
        ("rtsp://anna:secret@cam.local", "cam.local"),
        ("rtsp://anna:se/c@r?e#t@cam.local/", "cam.local"),
        ("rtsp://[fe80::1/x", "x"),
        ("rtsp://[fe80::1]:554/", "fe80_1"),
        ("file:///some/talk.mp4", "talk"),
        ("udp://@:1234", "stream"),
        ("2026.11.22", "2026.11.22"),
        ("2026.11.22/..", "here.d"),
    ],
)
def test_a_result_is_named_after_its_input_without_passwords(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec: str, name: str
) -> None:
    (tmp_path / "here.d" / "2026.11.22").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here.d")
    assert default_output(spec) == Path(f"{name}_stemo.mp4")


def many() -> list[dict]:
    return [row for index in range(6) for row in rows(result(index, faces=index % 3, objects=index % 2))]


def test_a_row_is_smoothed_on_top_with_raw_beside_it() -> None:
    (row,) = rows(result(3, objects=1))
    assert row["emotion"] == affect(103).emotion
    assert row["raw"]["emotion"] == affect(3).emotion
    assert row["valence"] == -0.123457
    assert row["time_s"] == 0.1
    assert row["box"] == [1.23, 2.0, 30.5, 40.0]
    assert row["head_pose"] == {"yaw": 1.23, "pitch": -5.0, "roll": 0.5}
    assert row["objects"] == [{"label": 'a "tie", red', "confidence": 0.61, "box": [1.0, 2.0, 3.0, 4.0]}]
    assert tuple(row["probabilities"]) == EMOTIONS


def test_rounded_probabilities_still_sum_to_one() -> None:
    for index in range(50):
        (row,) = rows(result(index))
        assert sum(row["probabilities"].values()) == pytest.approx(1, abs=1e-5)


def test_a_frame_without_a_face_has_one_row_of_nulls() -> None:
    (row,) = rows(result(7, faces=0))
    assert (row["frame"], row["objects"]) == (7, [])
    assert {name for name, value in row.items() if value is None} == set(row) - {"frame", "time_s", "objects"}


def test_a_face_without_a_reading_keeps_its_box() -> None:
    bare = FrameResult(Frame(0, 0.0, PICTURE), (Reading(0, 0.0, Face((0, 0, 1, 1), 0.5, 2)),))
    (row,) = rows(bare)
    assert (row["face_id"], row["emotion"], row["head_pose"]) == (2, None, None)
    Draft202012Validator(SCHEMA).validate([row])


def test_a_value_that_is_not_finite_is_refused() -> None:
    broken = Reading(0, 0.0, Face((0, 0, 1, 1), 0.5, 1), raw=Affect((1.0, 0, 0, 0, 0, 0, 0), float("nan"), 0.0))
    with pytest.raises(OutputError, match="not finite"):
        rows(FrameResult(Frame(0, 0.0, PICTURE), (broken,)))


def test_the_schema_accepts_real_rows_and_refuses_others() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    validator = Draft202012Validator(SCHEMA)
    validator.validate(many())
    (row,) = rows(result(0))
    for change in ({"valence": 2}, {"emotion": "Bored"}, {"extra": 1}, {"box": [1, 2]}, {"frame": None}):
        assert not validator.is_valid([row | change]), change


@pytest.mark.slow
def test_every_format_carries_the_same_rows(tmp_path: Path) -> None:
    writers = open_writers(tmp_path / "clip.mp4", list(WRITERS))
    for row in many():
        for writer in writers:
            writer.write(row)
    for writer in writers:
        writer.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(f"clip_results.{name}" for name in WRITERS)
    assert json.loads((tmp_path / "clip_results.json").read_text()) == many()
    assert [json.loads(line) for line in (tmp_path / "clip_results.jsonl").read_text().splitlines()] == many()
    assert pq.read_table(tmp_path / "clip_results.parquet").to_pylist() == [flatten(row) for row in many()]
    with open(tmp_path / "clip_results.csv", newline="") as file:
        table = list(csv.DictReader(file))
    assert table == [as_text(flatten(row)) for row in many()]


def as_text(flat: dict) -> dict[str, str]:
    words = {name: "" if flat[name] is None else str(flat[name]) for name in COLUMNS}
    return words | {"objects": json.dumps(flat["objects"])}


def test_json_without_rows_is_an_empty_array(tmp_path: Path) -> None:
    (writer,) = open_writers(tmp_path / "a", ["json"])
    writer.close()
    assert json.loads((tmp_path / "a_results.json").read_text()) == []


def test_jsonl_can_be_followed_while_it_grows(tmp_path: Path) -> None:
    (writer,) = open_writers(tmp_path / "a.mp4", ["jsonl"])
    writer.write(rows(result(0))[0])
    assert json.loads((tmp_path / "a_results.jsonl.part").read_text())["frame"] == 0
    writer.close()


def test_parquet_columns_are_typed_and_grouped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stemo.output.writers.ROW_GROUP", 4)
    (writer,) = open_writers(tmp_path / "a.mp4", ["parquet"])
    for row in rows(result(0, faces=10)):
        writer.write(row)
    writer.close()
    file = pq.ParquetFile(tmp_path / "a_results.parquet")
    assert file.num_row_groups == 3
    assert str(file.schema_arrow.field("face_id").type) == "int64"
    assert file.schema_arrow.field("valence").nullable
    file.close()


def test_every_category_has_a_column_of_its_own() -> None:
    named = columns(("Deep Joy", "deep-joy", "Deep joy 2", "Sad"))
    assert [name for name in named if name.startswith("p_")] == [
        "p_deep_joy",
        "p_deep_joy_2",
        "p_deep_joy_2_2",
        "p_sad",
    ]
    assert len(set(named)) == len(named)


@pytest.mark.parametrize("name", WRITERS)
def test_abort_leaves_nothing(tmp_path: Path, name: str) -> None:
    (writer,) = open_writers(tmp_path / "a.mp4", [name])
    writer.write(rows(result(0))[0])
    writer.abort()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_is_one_clear_error(tmp_path: Path, name: str) -> None:
    (writer,) = open_writers(tmp_path / "a.mp4", [name])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2048, hard))
    try:
        with pytest.raises(OutputError, match="cannot be written"):
            fill(writer)
        writer.abort()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []


def fill(writer) -> None:
    for index in range(3000):
        writer.write(rows(result(index))[0])
    writer.close()


def test_an_existing_result_is_kept_unless_told(tmp_path: Path) -> None:
    (tmp_path / "a_results.csv").write_text("mine")
    with pytest.raises(OutputError, match="--overwrite"):
        open_writers(tmp_path / "a.mp4", ["json", "csv"])
    assert [path.name for path in tmp_path.iterdir()] == ["a_results.csv"]
    for writer in open_writers(tmp_path / "a.mp4", ["json", "csv"], overwrite=True):
        writer.close()
    assert (tmp_path / "a_results.csv").read_text() != "mine"


def test_bad_places_and_formats_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'xml' is unknown"):
        open_writers(tmp_path / "a.mp4", ["json", "xml"])
    with pytest.raises(OutputError, match="is missing"):
        open_writers(tmp_path / "no" / "a.mp4", ["json"])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("base", "formats", "words"),
    [
        ("a", ("json", "xml"), "'xml' is unknown"),
        ("no/a", ("json",), "is missing"),
        ("old", ("csv", "json"), "exists"),
        ("busy", ("csv", "parquet"), "is being written by another run"),
        ("a" * 239, ("parquet",), "File name too long"),  # with .part, which only the system can tell
    ],
)
def test_places_can_be_checked_without_opening_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, base: str, formats: tuple[str, ...], words: str
) -> None:
    (tmp_path / "old_results.json").write_text("mine")
    busy = Pending(tmp_path / "busy_results.parquet")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(StemoError) as opened:
        open_writers(tmp_path / base, formats)
    for name in {*formats} & {*WRITERS}:
        monkeypatch.setitem(WRITERS, name, None)  # whoever asks for it fails
    with pytest.raises(type(opened.value)) as checked:
        check_writers(tmp_path / base, formats)
    assert str(checked.value) == str(opened.value)
    assert words in str(checked.value)
    check_writers(tmp_path / "old", ["json"], overwrite=True)
    assert sorted(tmp_path.iterdir()) == before
    busy.discard()


@pytest.mark.parametrize(
    ("base", "expected"), [("o.mp4", "o_results.json"), ("o", "o_results.json"), ("v1.2", "v1.2_results.json")]
)
def test_names(base: str, expected: str) -> None:
    assert output_name(Path("d") / base, "results.json") == Path("d") / expected


def test_meta_says_how_the_rows_came_to_be(tmp_path: Path) -> None:
    path = write_meta(
        tmp_path / "o.mp4",
        source={"name": "in.mp4"},
        fps=30000 / 1001,
        model={"name": "base"},
        settings={"path": Path("x")},
        counts={"frames": 2, "rows": 3, "faces": 2, "tracks": 1},
        complete=False,
    )
    facts = json.loads(path.read_text())
    assert path.name == "o_meta.json"
    assert facts["fps"] == {"exact": "30000/1001", "value": 29.97003}
    assert facts["complete"] is False
    assert facts["counts"]["rows"] == 3
    assert facts["versions"]["numpy"] == np.__version__


def test_facts_that_are_no_number_are_empty(tmp_path: Path) -> None:
    facts = {"duration_s": float("nan"), "more": [1.5, float("-inf")], "kind": "video"}
    path = write_meta(
        tmp_path / "a.mp4", source=facts, fps=25, model={}, settings={"end": float("inf")}, counts={}, complete=True
    )
    meta = json.loads(path.read_text(), parse_constant=pytest.fail)
    assert meta["source"] == {"duration_s": None, "more": [1.5, None], "kind": "video"}
    assert meta["settings"] == {"end": None}
