"""``--evaluate`` on every layout: the right faces under the right rule, and figures that fit together."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from stemo.cli import main
from stemo.records import EMOTIONS
from stemo.training.labels import FERPLUS_COLUMNS
from stemo.training.made import draw

VOTES = {  # ten votes each; the last two are dropped by the majority rule
    "a": {"happiness": 10},
    "b": {"neutral": 6, "sadness": 4},
    "c": {"anger": 9, "fear": 1},
    "d": {"surprise": 4, "fear": 3, "happiness": 3},
    "e": {"contempt": 8, "neutral": 2},
}


def picture(path: Path, emotion: str = "Happy") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), draw(emotion, np.random.default_rng(len(path.stem))))


def table(path: Path, rows: list[dict[str, Any]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def ferplus(root: Path) -> Path:
    for name in VOTES:
        picture(root / "deep" / "images" / f"{name}.png")
    rows = [
        {"image": f"{name}.png", "usage": "PublicTest" if name < "c" else "PrivateTest"}
        | {column: votes.get(column, 0) for column in FERPLUS_COLUMNS}
        for name, votes in VOTES.items()
    ]
    table(root / "labels.csv", rows)
    return root


def image_folder(root: Path) -> Path:
    for place, folder in enumerate(("happiness", "Happy", "sad", "contempt")):
        picture(root / folder / f"person_{place}.png")
    return root


def sequences(root: Path) -> Path:
    rows = []
    for name, emotion in (("S1_1", "happy"), ("S2_1", "contempt"), ("S3_1", "surprise")):
        frames = [f"{name}/{place}.png" for place in range(4)]
        for frame in frames:
            picture(root / frame)
        rows.append({"sequence": name, "subject": name[:2], "emotion": emotion, "frames": " ".join(frames)})
    table(root / "labels.csv", rows)
    return root


def fer2013(root: Path) -> Path:
    root.mkdir(parents=True)
    pixels = " ".join(str(value) for value in draw("Sad", np.random.default_rng(0))[..., 0].ravel())
    rows = [{"emotion": str(label), "pixels": pixels, "Usage": "PublicTest"} for label in range(5)]
    table(root / "fer2013.csv", rows)
    return root


LAYOUTS = {
    "ferplus": (ferplus, "FER+ majority", {"Happy": 1, "Neutral": 1, "Angry": 1}),
    "folder": (image_folder, "ImageFolder", {"Happy": 2, "Sad": 1}),
    "sequences": (sequences, "sequences", {"Neutral": 2, "Happy": 1, "Surprise": 1}),
    "fer2013": (fer2013, "FER2013's own", {"Angry": 1, "Disgust": 1, "Fear": 1, "Happy": 1, "Sad": 1}),
}
ZIPPED = ("ferplus", "folder", "sequences")  # fer2013 is published as a csv file


@pytest.mark.parametrize(("layout", "packed"), [(layout, False) for layout in LAYOUTS] + [(z, True) for z in ZIPPED])
def test_every_layout(tmp_path: Path, fresh_weights: Path, layout: str, packed: bool) -> None:
    make, rule, support = LAYOUTS[layout]
    data = make(tmp_path / "data")
    if packed:
        data = Path(shutil.make_archive(str(tmp_path / "packed"), "zip", data))
    assert main(["--evaluate", str(data), "--weights", str(fresh_weights), "--output", str(tmp_path / "out")]) == 0
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics["rule"].startswith(rule)
    assert metrics["n"] == sum(support.values())
    assert metrics["support"] == {name: support.get(name, 0) for name in EMOTIONS}
    check(metrics)


def check(metrics: dict[str, Any]) -> None:
    confusion = np.array(metrics["confusion"])
    assert confusion.sum() == metrics["n"]
    assert metrics["accuracy"] == pytest.approx(np.trace(confusion) / metrics["n"])
    recalls = [metrics["per_class_recall"][name] for name in EMOTIONS]
    for row, right, recall in zip(confusion, np.diag(confusion), recalls, strict=True):
        assert recall == (pytest.approx(right / row.sum()) if row.sum() else None)
    assert metrics["macro_recall"] == pytest.approx(np.mean([recall for recall in recalls if recall is not None]))


def test_a_split_is_scored_alone(tmp_path: Path, fresh_weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = ferplus(tmp_path / "data")
    arguments = ["--evaluate", str(data), "--weights", str(fresh_weights)]
    assert main([*arguments, "--split", "PublicTest"]) == 0
    assert "n:             2 faces" in capsys.readouterr().out
    assert main([*arguments, "--split", "Tset"]) == 2
    assert "expected a split among PrivateTest, PublicTest, got 'Tset'" in capsys.readouterr().err


@pytest.mark.parametrize("packed", [False, True])
def test_data_without_labels_is_one_line(tmp_path: Path, packed: bool, capsys: pytest.CaptureFixture[str]) -> None:
    picture(tmp_path / "data" / "holiday.png")
    data = tmp_path / "data"
    if packed:
        data = Path(shutil.make_archive(str(tmp_path / "packed"), "zip", data))
    assert main(["--evaluate", str(data)]) == 2
    error = capsys.readouterr().err
    assert "holds no labelled face" in error
    assert error.count("\n") == 1
