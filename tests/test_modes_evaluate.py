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
from stemo.training.collection import is_held_back
from stemo.training.labels import FERPLUS_COLUMNS
from stemo.training.made import draw

pytestmark = pytest.mark.slow  # the landmarker reads every face

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
    "sequences": (sequences, "sequences", {"Neutral": 3, "Happy": 1, "Surprise": 1}),
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
    assert (tmp_path / "out" / "report.html").read_text().startswith("<!doctype html>")
    check(metrics)


def check(metrics: dict[str, Any]) -> None:
    confusion = np.array(metrics["confusion"])
    assert confusion.sum() == metrics["n"]
    assert metrics["accuracy"] == pytest.approx(np.trace(confusion) / metrics["n"])
    recalls = [metrics["per_class_recall"][name] for name in EMOTIONS]
    for row, right, recall in zip(confusion, np.diag(confusion), recalls, strict=True):
        assert recall == (pytest.approx(right / row.sum()) if row.sum() else None)
    assert metrics["macro_recall"] == pytest.approx(np.mean([recall for recall in recalls if recall is not None]))
    assert metrics["balanced_accuracy"] == pytest.approx(metrics["macro_recall"])
    for name, figures in metrics["per_class"].items():
        assert figures["recall"] == metrics["per_class_recall"][name]
        assert figures["support"] == metrics["support"][name]
    low, high = metrics["accuracy_interval"]
    assert low <= metrics["accuracy"] <= high


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


class Scored:
    """Runs ``--evaluate`` on data with fresh weights."""

    def __init__(self, folder: Path, weights: Path) -> None:
        self.folder, self.weights = folder, weights

    def __call__(self, data: Path, *flags: str) -> dict[str, Any]:
        """The metrics of a run that must succeed."""
        given = ["--evaluate", str(data), "--weights", str(self.weights), "--output", str(self.folder / "out"), *flags]
        assert main(given) == 0
        return json.loads((self.folder / "out" / "metrics.json").read_text())

    @property
    def page(self) -> str:
        """The report of the last run."""
        return (self.folder / "out" / "report.html").read_text()


@pytest.fixture
def scored(tmp_path: Path, fresh_weights: Path) -> Scored:
    return Scored(tmp_path, fresh_weights)


def described(root: Path) -> Path:
    """FER+ with two more columns."""
    ferplus(root)
    with (root / "labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    table(
        root / "labels.csv", [row | {"age": "old" if row["image"] == "a.png" else "young", "room": ""} for row in rows]
    )
    return root


def test_groups_are_columns_of_the_labels(scored: Scored, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    metrics = scored(described(tmp_path / "data"), "--groups", "age", "--groups", "room")
    assert {name: figures["n"] for name, figures in metrics["groups"]["age"].items()} == {"old": 1, "young": 2}
    assert {name: figures["n"] for name, figures in metrics["groups"]["room"].items()} == {"(not given)": 3}
    assert {name: figures["n"] for name, figures in metrics["groups"]["split"].items()} == {
        "PrivateTest": 1,
        "PublicTest": 2,
    }
    assert "age=young: accuracy" in capsys.readouterr().out
    assert "<h3>age</h3>" in scored.page


def test_an_unknown_column_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--evaluate", str(described(tmp_path / "data")), "--groups", "aeg"]) == 2
    error = capsys.readouterr().err
    assert "groups 'aeg' is no column of the data" in error
    assert "Did you mean age?" in error
    assert error.count("\n") == 1


def test_split_folders_are_groups_by_themselves(scored: Scored, tmp_path: Path) -> None:
    for name in ("train/happy/a", "test/happy/b", "test/sad/c"):
        picture(tmp_path / "data" / f"{name}.png")
    metrics = scored(tmp_path / "data")
    assert {name: figures["n"] for name, figures in metrics["groups"]["split"].items()} == {"test": 2, "train": 1}
    metrics = scored(tmp_path / "data", "--split", "test")
    assert metrics["groups"] == {}


def test_an_image_folder_may_have_a_table(scored: Scored, tmp_path: Path) -> None:
    data = image_folder(tmp_path / "data")
    table(
        data / "labels.csv", [{"image": "person_0.png", "light": "dim"}, {"image": "sad/person_2.png", "light": "day"}]
    )
    metrics = scored(data, "--groups", "light")
    assert sorted(metrics["groups"]["light"]) == ["(not given)", "day", "dim"]


def test_the_curves_of_a_run(scored: Scored, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from torch.utils.tensorboard.writer import SummaryWriter

    with SummaryWriter(str(tmp_path / "run")) as board:
        board.add_scalar("spatial/loss", 0.5, 1)
    data = image_folder(tmp_path / "data")
    scored(data, "--run", str(tmp_path / "run"))
    assert 'id="run"' in scored.page
    assert (tmp_path / "out" / "run.png").is_file()
    scored(data)
    assert 'id="run"' not in scored.page
    assert not (tmp_path / "out" / "run.png").exists()
    assert main(["--evaluate", str(data), "--run", str(tmp_path / "nowhere")]) == 2
    assert "nowhere' has no curve" in capsys.readouterr().err


def test_one_face_is_enough(scored: Scored, tmp_path: Path) -> None:
    picture(tmp_path / "data" / "happy" / "a.png")
    metrics = scored(tmp_path / "data")
    assert metrics["n"] == 1
    assert metrics["macro_auc"] is None


def test_weights_that_know_the_data_say_so(
    tmp_path: Path, fresh_weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for ending in (".safetensors", ".json"):
        shutil.copy(fresh_weights.with_suffix(ending), tmp_path / f"w{ending}")
    facts = json.loads((tmp_path / "w.json").read_text())
    (tmp_path / "w.json").write_text(json.dumps(facts | {"training_data": "ferplus, seen"}))
    for split in ("train", "val"):
        picture(tmp_path / "seen" / split / "happy" / "a.png")
    arguments = ["--evaluate", str(tmp_path / "seen"), "--weights", str(tmp_path / "w.safetensors")]
    for flags, noted in (([], True), (["--split", "train"], True), (["--split", "val"], False)):
        assert main([*arguments, *flags]) == 0
        assert ("were trained on a data set named seen" in capsys.readouterr().out) == noted, flags


def test_an_output_that_is_a_file_is_refused_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "taken").touch()
    assert main(["--evaluate", str(image_folder(tmp_path / "data")), "--output", str(tmp_path / "taken")]) == 2
    assert "taken' cannot be written" in capsys.readouterr().err


def rated_clip(root: Path) -> Path:
    """AFEW-VA's layout: one clip of three frames, rated and without categories."""
    for place in range(3):
        picture(root / "001" / f"{place:05d}.png")
    frames = {f"{place:05d}": {"valence": 4.0 - place, "arousal": 2.0 * place, "landmarks": []} for place in range(3)}
    (root / "001" / "001.json").write_text(json.dumps({"actor": "somebody", "frames": frames}))
    return root


def test_ratings_without_categories(scored: Scored, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    metrics = scored(rated_clip(tmp_path / "data"))
    assert metrics["n"] == 0
    assert metrics["affect"]["valence"]["n"] == 3
    assert "valence:       ccc" in capsys.readouterr().out
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["metrics.json"]


def test_sequences_say_how_readings_move(
    tmp_path: Path, fresh_weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--evaluate", str(sequences(tmp_path / "data")), "--weights", str(fresh_weights)]
    assert main([*arguments, "--output", str(tmp_path / "out")]) == 0
    motion = json.loads((tmp_path / "out" / "metrics.json").read_text())["motion"]
    assert motion.pop("n") == 2
    assert motion.keys() == {"apex_accuracy", "onset_neutral", "neutral_to_class", "valence_direction", "arousal_up"}
    assert all(share in (0.0, 0.5, 1.0) for share in motion.values())
    assert "of 2 sequences" in capsys.readouterr().out


def test_only_held_back_people_are_scored(
    tmp_path: Path, fresh_weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    people = [f"person{number}" for number in range(40)]
    for person in people:
        picture(data / "Happy" / f"{person}_1.png")
    expected = sum(is_held_back(person, 0.2) for person in people)
    assert 0 < expected < len(people)
    arguments = ["--evaluate", str(data), "--weights", str(fresh_weights), "--held-back-only"]
    assert main(arguments) == 0
    assert f"n:             {expected} faces" in capsys.readouterr().out
    for person in people:
        if is_held_back(person, 0.2):
            (data / "Happy" / f"{person}_1.png").unlink()
    assert main(arguments) == 2
    assert "has no held-back face" in capsys.readouterr().err
