"""``--evaluate --end-to-end`` and ``--record`` from the command line to the card."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from test_modes_evaluate import picture, rated_clip, sequences

from stemo.cli import main
from stemo.faces.landmarks import Landmarker
from stemo.network.checkpoint import load_weights
from stemo.records import Face, Image
from stemo.training.collection import is_held_back

pytestmark = pytest.mark.slow


@pytest.fixture
def weights(tmp_path: Path, fresh_weights: Path) -> Path:
    """A copy that may be written."""
    (tmp_path / "weights").mkdir()
    for ending in (".safetensors", ".json"):
        shutil.copy(fresh_weights.with_suffix(ending), tmp_path / "weights" / f"w{ending}")
    return tmp_path / "weights" / "w.safetensors"


@pytest.fixture
def photos(tmp_path: Path, photo: Image) -> Path:
    """Two photos of a face, one of them with a second face, and one of nothing."""
    data = tmp_path / "photos"
    for name, image in {
        "happy/one": photo[40:440, 700:1280],
        "happy/two": photo,
        "sad/none": np.full((80, 80, 3), 90),
    }.items():
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(data / f"{name}.png"), image[..., ::-1])
    return data


def test_from_photos_to_the_card(
    tmp_path: Path, weights: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--weights", str(weights), "--end-to-end", "--output", str(tmp_path / "out"), "--record", "highres"]
    assert main(["--evaluate", str(photos), *flags]) == 0
    said = capsys.readouterr().out
    assert "mediapipe found the face of 2 of 3 pictures (66.7%)" in said
    assert f"recorded as highres in {weights.with_suffix('.json')}" in said
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    read = metrics["end_to_end"]
    assert (read["n"], read["found"], read["found_only"]["n"], read["detector"]) == (3, 2, 2, "mediapipe")
    assert read["support"] == metrics["support"]
    assert read["per_class_recall"]["Sad"] == 0.0
    assert read["accuracy"] == pytest.approx(read["found_only"]["accuracy"] * 2 / 3)
    assert 'id="end-to-end"' in (tmp_path / "out" / "report.html").read_text()

    _, facts = load_weights(weights)
    kept = facts.metrics["highres"]
    assert kept["end_to_end"] == read
    assert kept["data"] == "photos"
    assert "per_class" not in kept
    assert main(["--card", str(weights)]) == 0
    assert "Face found: 66.7 %" in weights.with_suffix(".md").read_text()


def test_another_detector_is_respected(
    shared: Path, weights: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--evaluate", str(photos), "--weights", str(weights), "--end-to-end", "--detector", "yunet"]
    assert main([*flags, "--face-weights", str(shared / "models" / "face_detection_yunet_2023mar.onnx")]) == 0
    assert "yunet found the face of 2 of 3" in capsys.readouterr().out
    assert main([*flags, "--face-weights", "none.onnx"]) == 2
    assert "none.onnx" in capsys.readouterr().err


def test_what_cannot_be_is_one_line(tmp_path: Path, weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture(tmp_path / "data" / "happy" / "a.png")
    rated = rated_clip(tmp_path / "rated")
    cases = {
        "nothing to read end to end": ["--evaluate", str(rated), "--end-to-end"],
        "'hihgres' is no section of the model card": ["--evaluate", str(tmp_path / "data"), "--record", "hihgres"],
    }
    for words, arguments in cases.items():
        assert main([*arguments, "--weights", str(weights)]) == 2
        error = capsys.readouterr().err
        assert words in error
        assert error.count("\n") == 1


def test_figures_that_cannot_be_recorded_are_refused_before_the_long_part(
    tmp_path: Path, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture(tmp_path / "data" / "happy" / "a.png")
    weights.with_name("w.json.part").mkdir()
    assert main(["--evaluate", str(tmp_path / "data"), "--weights", str(weights), "--record", "highres"]) == 2
    said = capsys.readouterr()
    assert "w.json' cannot be written" in said.err
    assert said.out == ""


def test_a_training_split_is_never_held_back(tmp_path: Path, weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    person = next(f"person{number}" for number in range(100) if is_held_back(f"person{number}", 0.2))
    picture(tmp_path / "data" / "train" / "happy" / f"{person}_1.png")
    arguments = ["--evaluate", str(tmp_path / "data"), "--weights", str(weights), "--held-back-only"]
    assert main(arguments) == 2
    assert "has no held-back face" in capsys.readouterr().err
    picture(tmp_path / "data" / "test" / "happy" / f"{person}_2.png")
    assert main(arguments) == 0
    assert "n:             1 faces" in capsys.readouterr().out


def test_each_frame_of_a_sequence_is_read_once(
    tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = sequences(tmp_path / "data")
    for place, path in enumerate(sorted(data.rglob("*.png"))):  # every frame another picture
        image = np.full((48, 48, 3), 100, np.uint8)
        image[:, : place + 1] = 200
        cv2.imwrite(str(path), image)
    seen: list[bytes] = []
    read = Landmarker.read

    def counted(self: Landmarker, image: Image) -> list[Face]:
        seen.append(image.tobytes())
        return read(self, image)

    monkeypatch.setattr(Landmarker, "read", counted)
    arguments = ["--evaluate", str(data), "--weights", str(weights), "--record", "ckplus"]
    assert main(arguments) == 0
    assert len(seen) == len(set(seen)) == 1 + 3 + 2 * 3  # warming up; the onset of the third class; two sequences
    assert "of 2 sequences" in capsys.readouterr().out
    assert load_weights(weights)[1].metrics["ckplus"]["motion"]["n"] == 2


def test_real_faces_are_found(shared: Path, tmp_path: Path, weights: Path) -> None:
    with zipfile.ZipFile(shared / "data" / "faces_highres.zip") as archive:
        names = [name for name in archive.namelist() if name.startswith("happiness/")][:6]
        archive.extractall(tmp_path / "few", names)
    output = tmp_path / "out"
    flags = ["--weights", str(weights), "--end-to-end", "--output", str(output)]
    assert main(["--evaluate", str(tmp_path / "few"), *flags]) == 0
    read = json.loads((output / "metrics.json").read_text())["end_to_end"]
    assert read["n"] == 6
    assert read["found"] >= 5
