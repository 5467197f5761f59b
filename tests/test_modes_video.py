"""``--video`` from end to end: a video in, readings, an annotated video and the facts about them out."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import av
import jsonschema
import numpy as np
import pytest
from fakes import make_video

from stemo.config import RecognitionSettings
from stemo.modes.demo import load_photograph, moving
from stemo.modes.video import run_video
from stemo.output.data import SCHEMA_PATH, default_output
from stemo.output.video import VideoWriter
from stemo.records import EMOTIONS

pytestmark = pytest.mark.slow
SCHEMA = jsonschema.Draft202012Validator(json.loads(SCHEMA_PATH.read_text(encoding="utf-8")))


@dataclass
class Outcome:
    """What a run left behind."""

    folder: Path
    said: list[str]

    @property
    def video(self) -> Path:
        return self.folder / "out.mp4"

    @property
    def rows(self) -> list[dict[str, Any]]:
        return json.loads((self.folder / "out_results.json").read_text(encoding="utf-8"))

    @property
    def meta(self) -> dict[str, Any]:
        return json.loads((self.folder / "out_meta.json").read_text(encoding="utf-8"))


def run(source: Path | str, folder: Path, weights: Path, *, no_video: bool = False, **given: Any) -> Outcome:
    """Read ``source`` with fresh weights; the outcome has been checked against the schema."""
    folder.mkdir(exist_ok=True)
    said: list[str] = []
    settings = RecognitionSettings(**{"weights": str(weights), "device": "cpu", **given})
    assert run_video(str(source), folder / "out.mp4", settings, no_video, False, said.append) == 0
    outcome = Outcome(folder, said)
    SCHEMA.validate(outcome.rows)
    assert list(folder.glob("*.part")) == []
    return outcome


def picture_times(path: Path) -> list[float]:
    """The presentation times of every picture, in order, by an independent reading."""
    with av.open(str(path)) as container:
        return [frame.time for frame in container.decode(video=0) if frame.time is not None]


def sound_bytes(path: Path) -> bytes:
    with av.open(str(path)) as container:
        return b"".join(bytes(packet) for packet in container.demux(audio=0) if packet.size)


def assert_plays(path: Path, size: tuple[int, int]) -> None:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert (stream.width, stream.height) == size


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short clip with two real faces, made of the photograph that ``--demo`` uses."""
    path = tmp_path_factory.mktemp("faces") / "faces.mp4"
    with VideoWriter(path, 960, 540, Fraction(25)) as writer:
        for index, image in enumerate(islice(moving(load_photograph()), 12)):
            writer.write(image, index / 25)
    return path


@pytest.fixture(scope="module")
def read(faces: Path, fresh_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """That clip, read once for several tests, into every format."""
    return run(faces, tmp_path_factory.mktemp("read"), fresh_weights, format="json,jsonl,csv,parquet")


def test_two_faces_are_read_in_every_frame(read: Outcome) -> None:
    assert [row["frame"] for row in read.rows] == [index for index in range(12) for _ in (1, 2)]
    assert {row["face_id"] for row in read.rows} == {1, 2}
    for row in read.rows:
        assert row["emotion"] in EMOTIONS
        assert sum(row["probabilities"].values()) == pytest.approx(1, abs=1e-5)
        assert sum(row["raw"]["probabilities"].values()) == pytest.approx(1, abs=1e-5)
        left, top, right, bottom = row["box"]
        assert 0 <= left < right <= 960
        assert 0 <= top < bottom <= 540


def test_every_format_holds_the_same_rows(read: Outcome) -> None:
    lines = (read.folder / "out_results.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == read.rows
    with (read.folder / "out_results.csv").open(newline="", encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    assert [float(line["valence"]) for line in table] == [row["valence"] for row in read.rows]
    import pyarrow.parquet as pq

    columns = pq.read_table(read.folder / "out_results.parquet").to_pydict()
    assert columns["emotion"] == [row["emotion"] for row in read.rows]
    assert columns["time_s"] == [row["time_s"] for row in read.rows]


def test_the_meta_file_is_complete(read: Outcome, faces: Path) -> None:
    meta = read.meta
    assert meta["complete"] is True
    assert meta["counts"] == {"frames": 12, "rows": 24, "faces": 24, "tracks": 2}
    assert (meta["source"]["name"], meta["source"]["kind"]) == (str(faces), "video")
    assert meta["fps"]["exact"] == "25/1"
    assert (meta["model"]["name"], meta["model"]["trained"]) == ("fresh", False)
    assert len(meta["model"]["sha256"]) == 64
    assert meta["settings"]["smoothing"] == 5
    assert meta["versions"]["torch"]


def test_the_annotated_video_plays_and_is_annotated(read: Outcome, faces: Path) -> None:
    assert_plays(read.video, (960, 540))
    np.testing.assert_allclose(picture_times(read.video), picture_times(faces), atol=1e-3)
    with av.open(str(read.video)) as drawn, av.open(str(faces)) as plain:
        pairs = zip(drawn.decode(video=0), plain.decode(video=0), strict=True)
        changes = [abs(a.to_ndarray(format="gray").astype(int) - b.to_ndarray(format="gray")) for a, b in pairs]
    assert all((change > 40).mean() > 0.002 for change in changes)


def test_the_files_are_named_to_the_user(read: Outcome) -> None:
    text = "\n".join(read.said)
    for path in sorted(read.folder.iterdir()):
        assert str(path) in text
    assert "12 frames, 24 rows, 2 faces" in text


def test_smoothing_steadies_the_readings(read: Outcome) -> None:
    for track in (1, 2):
        rows = [row for row in read.rows if row["face_id"] == track]
        assert rows[0]["valence"] == rows[0]["raw"]["valence"]
        mean = np.mean([row["raw"]["arousal"] for row in rows[-5:]])
        assert rows[-1]["arousal"] == pytest.approx(mean, abs=1e-5)


def test_start_and_end_choose_the_same_readings_of_time(faces: Path, fresh_weights: Path, tmp_path: Path) -> None:
    outcome = run(faces, tmp_path, fresh_weights, no_video=True, start=0.2, end=0.32)
    assert sorted({row["time_s"] for row in outcome.rows}) == pytest.approx([0.2, 0.24, 0.28])
    assert not outcome.video.exists()


def test_a_variable_rate_and_an_odd_size_and_sound_are_kept(tmp_path: Path, fresh_weights: Path) -> None:
    times = [0.0, 0.04, 0.11, 0.12, 0.3, 0.5]
    made = make_video(tmp_path / "in.mp4", width=98, height=66, vfr_times=times, audio=True)
    outcome = run(tmp_path / "in.mp4", tmp_path / "out", fresh_weights)
    assert_plays(outcome.video, (98, 66))
    np.testing.assert_allclose([row["time_s"] for row in outcome.rows], made, atol=1e-3)
    np.testing.assert_allclose(picture_times(outcome.video), made, atol=1e-3)
    assert sound_bytes(outcome.video) == sound_bytes(tmp_path / "in.mp4")


def test_a_file_address_is_a_file(tmp_path: Path, fresh_weights: Path) -> None:
    make_video(tmp_path / "in.mp4", frames=5, audio=True)
    outcome = run(f"file://{tmp_path / 'in.mp4'}", tmp_path / "out", fresh_weights)
    assert sound_bytes(outcome.video) == sound_bytes(tmp_path / "in.mp4")


def test_the_sound_of_a_broadcast_stays_with_its_pictures(tmp_path: Path, fresh_weights: Path) -> None:
    make_video(tmp_path / "in.ts", frames=25, audio=True)  # its clock begins at 1.4 s
    outcome = run(tmp_path / "in.ts", tmp_path / "out", fresh_weights)
    assert len(outcome.rows) == 25
    assert lag(outcome.video) == pytest.approx(lag(tmp_path / "in.ts"), abs=0.03)


def lag(path: Path) -> float:
    """How much later the sound begins than the pictures, in seconds."""
    with av.open(str(path)) as container:
        sound = [float(p.pts * p.time_base) for p in container.demux(audio=0) if p.pts is not None and p.size]
    return min(sound) - picture_times(path)[0]


def test_an_image_and_a_folder_of_images_are_read(tmp_path: Path, fresh_weights: Path) -> None:
    from PIL import Image

    (tmp_path / "shots").mkdir()
    for index, image in enumerate(islice(moving(load_photograph()), 2)):
        Image.fromarray(image).save(tmp_path / "shots" / f"{index}.png")
    folder = run(tmp_path / "shots", tmp_path / "a", fresh_weights)
    single = run(tmp_path / "shots" / "0.png", tmp_path / "b", fresh_weights)
    assert [row["frame"] for row in folder.rows] == [0, 0, 1, 1]
    assert len(single.rows) == 2
    assert_plays(folder.video, (960, 540))


def test_a_real_clip(shared: Path, fresh_weights: Path, tmp_path: Path) -> None:
    source = shared / "videos" / "single_face.mp4"
    outcome = run(source, tmp_path, fresh_weights, end=0.8)
    with av.open(str(source)) as container:
        stream = container.streams.video[0]
        size, sound = (stream.width, stream.height), bool(container.streams.audio)
    expected = [time for time in picture_times(source) if time < 0.8]
    assert [row["time_s"] for row in outcome.rows] == pytest.approx(expected, abs=1e-3)
    assert {row["face_id"] for row in outcome.rows} == {1}
    assert_plays(outcome.video, (size[0] + size[0] % 2, size[1] + size[1] % 2))
    with av.open(str(outcome.video)) as container:
        assert bool(container.streams.audio) == sound


def test_times_are_the_streams_own_on_a_variable_rate(shared: Path, fresh_weights: Path, tmp_path: Path) -> None:
    source = shared / "videos" / "face_noface.mov"
    outcome = run(source, tmp_path, fresh_weights, no_video=True)
    truth = picture_times(source)
    found = {row["frame"]: row["time_s"] for row in outcome.rows}
    assert sorted(found) == list(range(len(truth)))
    np.testing.assert_allclose([found[index] for index in range(len(truth))], truth, atol=1e-3)
    faces = [row["face_id"] is not None for row in outcome.rows]
    assert any(faces)
    assert not all(faces)


def test_the_output_is_named_after_the_input() -> None:
    assert default_output("/a/talk.mov") == Path("talk_stemo.mp4")
    assert default_output("rtsp://host/") == Path("host_stemo.mp4")


def test_a_copy_of_the_clip_reads_the_same(faces: Path, read: Outcome, fresh_weights: Path, tmp_path: Path) -> None:
    shutil.copy(faces, tmp_path / "copy.mp4")
    again = run(tmp_path / "copy.mp4", tmp_path / "again", fresh_weights, no_video=True)
    assert again.rows == read.rows
