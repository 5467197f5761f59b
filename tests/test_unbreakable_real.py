"""The command line with the shipped network and MediaPipe's models on real faces, in the forms that few videos have."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from conftest import SHARED

from stemo.capture.source import LARGEST
from stemo.cli import main
from stemo.records import EMOTIONS, Image

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not SHARED.is_dir(), reason=f"needs the clips in {SHARED}, which are not in the repository"),
]
CLIP = SHARED / "videos" / "single_face.mp4"  # 640 x 360, 30 a second; in its first 0.8 s a face begins to laugh
FRAMES, RATE = 24, 30
EXACT = {"qp": "0", "preset": "ultrafast"}  # H.264 that loses nothing
DEEP = {"x265-params": "lossless=1:log-level=none", "preset": "ultrafast"}
# what a clip read otherwise may differ by: measured were 0.011 at most (YCgCo) and 0.006 (gray), in the frames where
# the face changes; a level in 255 moves a picture's reading by as much as another compression would
PROBABILITY = 0.03
PIXELS = 3.0  # 1.7 at most (gray): the mesh, too, sees colours


@dataclass(frozen=True)
class Outcome:
    """What one run of the command line left behind."""

    rows: list[dict[str, Any]]
    pictures: int
    size: tuple[int, int] | None

    @property
    def values(self) -> np.ndarray:
        """Probabilities, valence and arousal of every row (n 9)."""
        return np.array([[*row["probabilities"].values(), row["valence"], row["arousal"]] for row in self.rows])

    @property
    def boxes(self) -> np.ndarray:
        """The boxes of every row (n 4), in pixels."""
        return np.array([row["box"] for row in self.rows])


def run(source: Path, folder: Path, *flags: str) -> Outcome:
    """Read ``source`` by the command line with the shipped weights, every frame having a row."""
    output = folder / "read.mp4"
    assert main(["--video", str(source), "--output", str(output), "--overwrite", *flags]) == 0
    rows = json.loads((folder / "read_results.json").read_text())
    frames = json.loads((folder / "read_meta.json").read_text())["counts"]["frames"]
    assert sorted({row["frame"] for row in rows}) == list(range(frames))
    if "--no-video" in flags:
        return Outcome(rows, 0, None)
    with av.open(str(output)) as video:
        sizes = [(picture.width, picture.height) for picture in video.decode(video=0)]
    assert len({*sizes}) == 1
    return Outcome(rows, len(sizes), sizes[0])


def decoded() -> Iterator[av.VideoFrame]:
    with av.open(str(CLIP)) as container:
        yield from islice(container.decode(video=0), FRAMES)


@pytest.fixture(scope="module")
def pictures() -> list[Image]:
    """The clip's first pictures, RGB (h w 3)."""
    return [np.asarray(frame.to_ndarray(format="rgb24"), np.uint8) for frame in decoded()]


@pytest.fixture(scope="module")
def unchanged(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """The clip as it is."""
    outcome = run(CLIP, tmp_path_factory.mktemp("unchanged"), "--end", "0.8")
    assert [row["face_id"] for row in outcome.rows] == [1] * FRAMES
    assert (outcome.rows[0]["emotion"], outcome.rows[-1]["emotion"]) == ("Neutral", "Happy")
    return outcome


def encode(
    path: Path,
    frames: Sequence[av.VideoFrame],
    codec: str,
    pixels: str,
    options: dict[str, str] | None = None,
    *,
    rotation: int = 0,
    matrix: int | None = None,
    first: int = 0,
) -> Path:
    """Write ``frames`` to ``path``, beginning with the time of number ``first``; returns ``path``."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=RATE, options=options or {})
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = frames[0].width, frames[0].height, pixels
        stream.time_base = stream.codec_context.time_base = Fraction(1, RATE)
        if rotation:
            stream.set_display_rotation(rotation)
        if matrix is not None:
            stream.codec_context.colorspace = matrix
        for index, frame in enumerate(frames):
            turned = frame.reformat(format=pixels)
            turned.pts, turned.time_base = first + index, Fraction(1, RATE)
            container.mux(stream.encode(turned))
        container.mux(stream.encode(None))
    return path


def made(pictures: Sequence[np.ndarray], pixels: str = "rgb24") -> list[av.VideoFrame]:
    return [av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format=pixels) for picture in pictures]


def assert_alike(
    outcome: Outcome, unchanged: Outcome, shift: tuple[float, float] = (0, 0), pixels: float = PIXELS
) -> None:
    """One face in every frame, read as in the unchanged clip, its box ``shift`` (x, y) pixels further."""
    assert [row["face_id"] for row in outcome.rows] == [1] * FRAMES
    np.testing.assert_allclose(outcome.values, unchanged.values, atol=PROBABILITY)
    for row, expected in zip(outcome.rows, unchanged.rows, strict=True):
        if expected["confidence"] > 0.5 + PROBABILITY:  # else, amid the change, two categories are as likely
            assert row["emotion"] == expected["emotion"]
    np.testing.assert_allclose(outcome.boxes, unchanged.boxes + np.array([*shift, *shift]), atol=pixels)


FORMS = {
    "gray.mkv": ("ffv1", "gray", {}),
    "rgb of 16 bits.mkv": ("ffv1", "rgb48le", {}),
    "hevc of 10 bits.mp4": ("libx265", "yuv420p10le", DEEP),
}


@pytest.mark.parametrize("name", FORMS)
def test_a_face_in_gray_or_many_bits_is_read_alike(name: str, unchanged: Outcome, tmp_path: Path) -> None:
    codec, pixels, options = FORMS[name]
    if codec not in av.codecs_available:
        pytest.skip(f"this FFmpeg has no encoder {codec}")
    outcome = run(encode(tmp_path / name, list(decoded()), codec, pixels, options), tmp_path)
    assert (outcome.pictures, outcome.size) == (FRAMES, (640, 360))
    assert_alike(outcome, unchanged)


def test_a_face_in_colours_that_ffmpeg_does_not_convert_is_read_alike(
    pictures: list[Image], unchanged: Outcome, tmp_path: Path
) -> None:
    to_ycgco = np.array([[0.25, 0.5, 0.25], [-0.25, 0.5, -0.25], [0.5, 0, -0.5]]).T * [219 / 255, 224 / 255, 224 / 255]
    planes = [(picture @ to_ycgco + [16, 128, 128]).round().clip(0, 255).astype(np.uint8) for picture in pictures]
    frames = made([np.moveaxis(plane, -1, 0) for plane in planes], "yuv444p")
    outcome = run(encode(tmp_path / "a.mp4", frames, "libx264", "yuv444p", EXACT, matrix=8), tmp_path, "--no-video")
    assert_alike(outcome, unchanged)


def test_a_face_in_a_picture_of_odd_size_is_read_alike(
    pictures: list[Image], unchanged: Outcome, tmp_path: Path
) -> None:
    frames = made([np.pad(picture, ((1, 0), (1, 0), (0, 0)), mode="edge") for picture in pictures])
    assert (frames[0].width, frames[0].height) == (641, 361)
    outcome = run(encode(tmp_path / "a.mp4", frames, "libx264", "yuv444p", EXACT), tmp_path)
    assert (outcome.pictures, outcome.size) == (FRAMES, (642, 362))
    assert_alike(outcome, unchanged, (1, 1))


@pytest.mark.parametrize("rotation", [90, 270])
def test_a_face_on_its_side_in_the_file_is_read_as_the_same(
    rotation: int, pictures: list[Image], unchanged: Outcome, tmp_path: Path
) -> None:
    frames = made([np.rot90(picture, -rotation // 90) for picture in pictures])
    path = encode(tmp_path / "a.mp4", frames, "libx264rgb", "rgb24", EXACT, rotation=rotation)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height) == (360, 640)
    outcome = run(path, tmp_path)
    assert (outcome.pictures, outcome.size) == (FRAMES, (640, 360))
    np.testing.assert_array_equal(outcome.values, unchanged.values)  # the upright picture is the same, bit for bit
    np.testing.assert_array_equal(outcome.boxes, unchanged.boxes)


@pytest.mark.parametrize(("kind", "shift"), [("half as large", 0), ("narrower", 40)])
def test_a_face_stays_itself_where_the_resolution_changes(
    kind: str, shift: int, pictures: list[Image], unchanged: Outcome, tmp_path: Path
) -> None:
    begin, middle = tmp_path / "begin.ts", FRAMES // 2
    encode(begin, made(pictures[:middle]), "libx264", "yuv444p", EXACT)
    if kind == "narrower":  # cut to the columns 100 to 460, which come to lie at 140 to 500, between black bars
        rest: list[np.ndarray] = [picture[:, 100:460] for picture in pictures[middle:]]
    else:
        rest = [cv2.resize(picture, (320, 180), interpolation=cv2.INTER_AREA) for picture in pictures[middle:]]
    end = encode(tmp_path / "end.ts", made(rest), "libx264", "yuv444p", EXACT, first=middle)
    (tmp_path / "a.ts").write_bytes(begin.read_bytes() + end.read_bytes())
    outcome = run(tmp_path / "a.ts", tmp_path)
    assert (outcome.pictures, outcome.size) == (FRAMES, (640, 360))
    moved = [{**row, "box": _moved(row["box"], -shift * (row["frame"] >= middle))} for row in outcome.rows]
    np.testing.assert_allclose([row["time_s"] for row in moved], np.arange(FRAMES) / RATE, atol=1e-3)
    # in the first frame behind a jump the face is looked for anew: 3.6 pixels were measured there
    assert_alike(Outcome(moved, outcome.pictures, outcome.size), unchanged, pixels=6.0)


def _moved(box: list[float], shift: float) -> list[float]:
    return [box[0] + shift, box[1], box[2] + shift, box[3]]


def test_faces_in_profile_are_read_without_a_pose(tmp_path: Path) -> None:
    clip = SHARED / "videos" / "several_faces.mp4"
    outcome = run(clip, tmp_path, "--start", "7.89", "--end", "8.5")  # in the audience: two heads turned by 90 degrees
    assert outcome.pictures == 19
    for middle in (352, 420):  # of their boxes, in columns
        seen = [row for row in outcome.rows if row["box"] and abs(sum(row["box"][::2]) / 2 - middle) < 25]
        assert len(seen) >= 17
        assert len({row["face_id"] for row in seen}) == 1
        for row in seen:
            assert row["emotion"] in EMOTIONS
            assert sum(row["probabilities"].values()) == pytest.approx(1, abs=1e-5)
        assert sum(row["head_pose"] is None for row in seen) >= 17  # the mesh sees no face there


@pytest.mark.parametrize(("left", "found"), [(240, True), (300, False)])
def test_a_face_that_the_edge_of_the_picture_cuts(
    left: int, found: bool, pictures: list[Image], unchanged: Outcome, tmp_path: Path
) -> None:
    """Where a little of it is outside, the box reaches out as well, and its laugh is read; of half a face none is."""
    frames = made([picture[:, left:] for picture in pictures])
    outcome = run(encode(tmp_path / "a.mp4", frames, "libx264rgb", "rgb24", EXACT), tmp_path)
    assert (outcome.pictures, outcome.size) == (FRAMES, (640 - left, 360))
    assert [row["face_id"] for row in outcome.rows] == [1 if found else None] * FRAMES
    assert outcome.rows[0]["emotion"] == ("Neutral" if found else None)
    assert outcome.rows[-1]["emotion"] == ("Happy" if found else None)
    if found:
        # the mesh guesses what is outside: measured were 8 pixels
        np.testing.assert_allclose(outcome.boxes, unchanged.boxes - [left, 0, left, 0], atol=15)


def test_a_clip_without_a_face_has_a_row_for_every_frame_and_nothing_in_it(tmp_path: Path) -> None:
    outcome = run(SHARED / "videos" / "no_face.mp4", tmp_path, "--end", "0.8")
    assert outcome.pictures == len(outcome.rows) > 15
    for row in outcome.rows:
        empty = ("face_id", "emotion", "confidence", "valence", "arousal", "probabilities", "box", "raw", "head_pose")
        assert [row[name] for name in empty] == [None] * len(empty)


def test_a_face_that_leaves_takes_its_readings_along(tmp_path: Path) -> None:
    clip = SHARED / "videos" / "face_noface.mov"
    outcome = run(clip, tmp_path, "--start", "2", "--end", "2.8")  # it leaves at 2.4
    assert outcome.pictures == len(outcome.rows) > 16
    there = [row["emotion"] is not None for row in outcome.rows]
    assert there == sorted(there, reverse=True)
    last = outcome.rows[sum(there) - 1]["time_s"]
    assert last == pytest.approx(2.4, abs=0.1)


@pytest.mark.parametrize("size", [(1, 1), (LARGEST, 2)])
def test_mediapipe_takes_every_size_that_is_let_through(size: tuple[int, int], tmp_path: Path) -> None:
    """For a larger side it ends the process, and the test run with it."""
    width, height = size
    cv2.imwrite(str(tmp_path / "a.png"), np.full((height, width, 3), 90, np.uint8))
    assert [row["face_id"] for row in run(tmp_path / "a.png", tmp_path, "--no-video").rows] == [None]
