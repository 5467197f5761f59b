"""Anything at all, as bytes or as values: a result, or one clear error. ``STEMO_EXAMPLES=2000`` searches deeper."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from conftest import ROOT
from fakes import make_video, stamp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from PIL import Image

from stemo.capture import open_source
from stemo.capture.images import read_image
from stemo.errors import DataError, InputError, WeightsError
from stemo.network.checkpoint import WeightFacts, load_weights, save_weights
from stemo.network.model import Network
from stemo.output.data import flatten, rows, schema
from stemo.output.writers import WRITERS, open_writers
from stemo.records import EMOTIONS, Affect, Face, Frame, FrameResult, Reading, SceneObject
from stemo.training.labels import FERPLUS_COLUMNS
from stemo.training.layouts import load_any

EXAMPLES = int(os.environ.get("STEMO_EXAMPLES", "25"))
FUZZ = settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture])
SCHEMA = Draft202012Validator(schema())


# --- bytes of pictures and videos ---


@cache
def picture(form: str) -> bytes:
    """A whole picture of that format."""
    written = io.BytesIO()
    image = Image.fromarray(stamp(5, 48, 32))
    (image.convert("P") if form == "gif" else image).save(written, form)
    return written.getvalue()


@cache
def video(suffix: str) -> bytes:
    """A whole video of that container."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"a.{suffix}")
        options = {"movflags": "faststart"} if suffix == "mp4" else {}
        make_video(
            path, frames=6, audio=suffix != "avi", codec="mpeg4" if suffix == "avi" else "libx264", options=options
        )
        return path.read_bytes()


@st.composite
def damaged(draw: st.DrawFn, whole: Callable[[str], bytes], kinds: tuple[str, ...]) -> tuple[str, bytes]:
    """A kind and its bytes: some of them changed, most often near the start, and perhaps the end cut off."""
    kind = draw(st.sampled_from(kinds))
    data = bytearray(whole(kind))
    place = st.integers(0, min(400, len(data) - 1)) | st.integers(0, len(data) - 1)
    for where, value in draw(st.lists(st.tuples(place, st.integers(0, 255)), max_size=6)):
        data[where] = value
    return kind, bytes(data[: draw(st.just(len(data)) | st.integers(1, len(data)))])


def complaint(read: Callable[[], object]) -> str:
    """What reading complained of; empty where it worked. Any other error than an InputError fails the test."""
    try:
        read()
    except InputError as error:
        return str(error)
    return ""


@FUZZ
@given(given=damaged(picture, ("png", "jpeg", "bmp", "tiff", "webp", "ppm")))
def test_any_bytes_are_a_picture_or_one_clear_error(tmp_path: Path, given: tuple[str, bytes]) -> None:
    kind, data = given
    path = tmp_path / f"a.{kind}"
    path.write_bytes(data)
    seen: list[np.ndarray] = []
    said = complaint(lambda: seen.append(read_image(path)))
    assert "\n" not in said
    for image in seen:
        assert (image.dtype, image.ndim, image.shape[-1]) == (np.uint8, 3, 3)
        assert image.flags.c_contiguous


@FUZZ
@given(given=damaged(video, ("mp4", "mkv", "avi", "ts")))
def test_any_bytes_are_a_video_or_one_clear_error(tmp_path: Path, given: tuple[str, bytes]) -> None:
    kind, data = given
    path = tmp_path / f"a.{kind}"
    path.write_bytes(data)
    sizes: set[tuple[int, ...]] = set()

    def read() -> None:
        with open_source(path) as source:
            for frame in source:
                sizes.add(frame.image.shape)
                assert math.isfinite(frame.time)

    assert "\n" not in complaint(read)
    assert len(sizes) <= 1


# --- rows ---

UNIT = st.floats(0, 1)
NUMBER = st.floats(-1e6, 1e6)
BOXES = st.tuples(NUMBER, NUMBER, NUMBER, NUMBER)


# --classes takes words alone, but the description of weights may name a class as it likes
CLASS_NAMES = st.lists(
    st.text(st.characters(exclude_categories=["C"]), min_size=1, max_size=8)
    | st.sampled_from(
        ["a,b", 'say "a"', "two\nlines", "two\r\nlines", "a b", "a_b", "A B", "a b 2", " a", "-1", "null", "0.0"]
    ),
    min_size=1,
    max_size=9,
    unique=True,
).map(tuple)


@st.composite
def affects(draw: st.DrawFn, labels: tuple[str, ...]) -> Affect:
    count = len(labels)
    chances = np.array(draw(st.lists(st.floats(1e-6, 1), min_size=count, max_size=count)))
    return Affect(tuple((chances / chances.sum()).tolist()), draw(st.floats(-1, 1)), draw(UNIT), labels)


@st.composite
def frames(draw: st.DrawFn, labels: tuple[str, ...] = EMOTIONS) -> FrameResult:
    """A frame with anything in it that the stages may find, read in the categories ``labels``."""
    index, time = draw(st.integers(0, 10**9)), draw(st.floats(0, 1e7))
    read = st.tuples(affects(labels), affects(labels)) | st.just((None, None))
    turned = st.none() | st.tuples(NUMBER, NUMBER, NUMBER)
    found = draw(st.lists(st.tuples(BOXES, UNIT, read, turned), max_size=3))
    readings = tuple(
        Reading(index, time, Face(box, score, place + 1, pose=pose), *affects)
        for place, (box, score, affects, pose) in enumerate(found)
    )
    objects = draw(st.lists(st.builds(SceneObject, st.text(max_size=12), UNIT, BOXES), max_size=2))
    picture = np.zeros((2, 2, 3), np.uint8)
    return FrameResult(Frame(index, time, picture), readings or (Reading(index, time),), tuple(objects))


@pytest.mark.slow
@FUZZ
@given(results=st.lists(frames(), max_size=3))
def test_any_rows_come_back_as_they_were_and_fit_the_schema(tmp_path: Path, results: list[FrameResult]) -> None:
    made = [row for result in results for row in rows(result)]
    for writer in open_writers(tmp_path / "a.mp4", ["json", "jsonl", "parquet"], overwrite=True):
        for row in made:
            writer.write(row)
        writer.close()
    found = json.loads((tmp_path / "a_results.json").read_text(encoding="utf-8"))
    assert found == made
    SCHEMA.validate(found)
    lines = (tmp_path / "a_results.jsonl").read_bytes().split(b"\n")[:-1]
    assert [json.loads(line) for line in lines] == made
    for row in made:
        chances = row["probabilities"]
        assert chances is None or sum(chances.values()) == pytest.approx(1, abs=1e-5)
    assert pq.read_table(tmp_path / "a_results.parquet").to_pylist() == [flatten(row) for row in made]


READ_BACK: dict[str, Callable[[str], Any]] = {"frame": int, "face_id": int, "objects": json.loads}
READ_BACK |= dict.fromkeys(("emotion", "raw_emotion"), str)


@pytest.mark.slow
@FUZZ
@given(made=CLASS_NAMES.flatmap(lambda labels: st.tuples(st.just(labels), st.lists(frames(labels), max_size=3))))
def test_rows_in_any_categories_come_back_from_every_format(
    tmp_path: Path, made: tuple[tuple[str, ...], list[FrameResult]]
) -> None:
    labels, results = made
    told = [row for result in results for row in rows(result)]
    for writer in open_writers(tmp_path / "a.mp4", list(WRITERS), overwrite=True, labels=labels):
        for row in told:
            writer.write(row)
        writer.close()
    place = str(tmp_path / "a_results")
    found = json.loads(Path(f"{place}.json").read_text(encoding="utf-8"))
    Draft202012Validator(schema(labels)).validate(found)
    lines = Path(f"{place}.jsonl").read_bytes().split(b"\n")[:-1]
    assert found == told == [json.loads(line) for line in lines]
    flat = [flatten(row, labels) for row in told]
    assert pq.read_table(f"{place}.parquet").to_pylist() == flat
    with open(f"{place}.csv", newline="", encoding="utf-8") as file:
        cells = list(csv.DictReader(file))
    # a missing value is an empty cell, and nothing else is
    assert [
        {name: READ_BACK.get(name, float)(text) if text else None for name, text in row.items()} for row in cells
    ] == flat
    for row, whole in zip(flat, told, strict=True):
        chances = [value for name, value in row.items() if name.startswith("p_")]
        assert chances == [*(whole["probabilities"] or dict.fromkeys(labels)).values()]


# --- the description of weights ---

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**12), 10**12) | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=7) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=8,
)
KEYS = sorted(WeightFacts.__dataclass_fields__)
USUAL = st.sampled_from([list(EMOTIONS), [0.5] * 3, "resnet_se", "small", 17, 0.0, "0" * 64])


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "w.safetensors"
    save_weights(path, Network(size="tiny"), WeightFacts(size="tiny"))
    return path


@FUZZ
@given(changes=st.dictionaries(st.sampled_from(KEYS), JSON | USUAL, max_size=2) | JSON)
def test_any_description_of_weights_loads_or_is_one_clear_error(tiny: Path, changes: Any) -> None:
    whole = json.loads(tiny.with_suffix(".json").read_text())
    described = {**whole, **changes} if isinstance(changes, dict) else changes
    tiny.with_suffix(".json").write_text(json.dumps(described))
    try:
        assert "\n" not in load_or_complain(tiny)
    finally:
        tiny.with_suffix(".json").write_text(json.dumps(whole))


def load_or_complain(path: Path) -> str:
    try:
        network, facts = load_weights(path)
    except WeightsError as error:
        return str(error)
    assert network.classes == len(facts.labels)
    return ""


# --- what a fuzzer that watches the coverage finds ---


@pytest.mark.slow
@pytest.mark.parametrize(("target", "runs"), [("boxes", 4000), ("tables", 2000)])
def test_the_parsers_withstand_a_fuzzer(tmp_path: Path, target: str, runs: int) -> None:
    pytest.importorskip("atheris", reason="atheris has no wheel for this system")
    program = [sys.executable, str(ROOT / "tests" / "fuzzing.py"), target, f"-runs={runs}", "-max_len=3000", "-seed=1"]
    program.append("-rss_limit_mb=0")  # it counts the peak of the process that it was started from
    program.append("-report_slow_units=300")  # on a busy machine it would leave a file for whatever takes 10 s
    run = subprocess.run(
        program,
        cwd=tmp_path,
        env={**os.environ, "PYTHONHASHSEED": "0"},  # the seed alone does not make two runs the same
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    assert f"Done {runs} runs" in run.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("fer2013.csv", "emotion,pixels,Usage\n-3," + "7 " * 2304 + ",Training\n"),
        ("fer2013.csv", "emotion,pixels,Usage\n3," + "7 " * 2303 + "9" * 30 + ",Training\n"),
        ("labels.csv", "image," + ",".join(FERPLUS_COLUMNS) + "\na.png" + ",-1" * 10 + "\n"),
        ("labels.csv", "image," + ",".join(FERPLUS_COLUMNS) + "\na.png" + "," + "9" * 40 + ",1" * 9 + "\n"),
        ("labels.csv", "image," + ",".join(FERPLUS_COLUMNS) + "\na.png" + "," + "9" * 5000 + ",1" * 9 + "\n"),
        ("labels.csv", "image," + ",".join(FERPLUS_COLUMNS) + "\na.png," + "1" * 140_000 + "\n"),
    ],
)
def test_a_damaged_table_is_one_clear_error(tmp_path: Path, name: str, text: str) -> None:
    Image.fromarray(stamp(5, 48, 48)).save(tmp_path / "a.png")
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=r"expected .*, got") as error:
        load_any(tmp_path)
    assert "\n" not in str(error.value)


def test_lines_that_end_as_on_old_systems_are_lines(tmp_path: Path) -> None:
    Image.fromarray(stamp(5, 48, 48)).save(tmp_path / "a.png")
    (tmp_path / "labels.csv").write_bytes(("image," + ",".join(FERPLUS_COLUMNS) + "\ra.png,0,9" + ",0" * 8).encode())
    (still,) = load_any(tmp_path)
    assert still.label == EMOTIONS.index("Happy")
