"""Three detectors behind one interface: what each needs, refuses and finds."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from stemo.assets import locate
from stemo.capture import open_source
from stemo.config import RecognitionSettings
from stemo.errors import ConfigError, InputError, MissingError, StemoError, WeightsError
from stemo.faces.detection import DETECTORS, Detector, YoloFaces, check_detector, face_labels, open_detectors
from stemo.faces.objects import ObjectDetector
from stemo.faces.yolo import silence_ultralytics
from stemo.modes.compare_detectors import compare, run_compare_detectors
from stemo.modes.demo import load_photograph
from stemo.records import Box, Face, Frame, Image

SIDE = 128  # of the pictures that the model of the red finder sees
WAYS = {"up": range(1, SIDE + 1), "down": range(SIDE, 0, -1)}  # of each column, its far edge; its near one from behind
NUMBERS = {"side": SIDE, "half": 0.5, "most": 0.9}


@pytest.fixture(scope="module")
def photo() -> Image:
    """Two people, 1280 x 720."""
    return load_photograph()


@pytest.fixture(scope="module")
def yolo_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """YOLOv8n with one class and the weights that it starts from, as ultralytics keeps them."""
    silence_ultralytics()
    import torch
    from ultralytics.nn.tasks import DetectionModel

    path = tmp_path_factory.mktemp("yolo") / "face.pt"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        torch.save({"model": DetectionModel("yolov8n.yaml", nc=1, verbose=False)}, path)
    return path


def red_finder(path: Path) -> Path:
    """A YOLO model as ultralytics exports them that sees one face: the box around all that is pure red."""
    import onnx
    from onnx import TensorProto, helper

    def node(kind: str, inputs: str, outputs: str, **attributes: Any) -> onnx.NodeProto:
        return helper.make_node(kind, inputs.split(), outputs.split(), **attributes)

    def ramp(name: str, shape: tuple[int, ...], values: Iterable[int]) -> onnx.TensorProto:
        return helper.make_tensor(name, TensorProto.FLOAT, shape, [float(value) for value in values])

    def edges(axis: str, low: str, high: str) -> list[onnx.NodeProto]:
        return [
            node("Mul", f"red {axis}_up", f"{axis}_far"),
            node("ReduceMax", f"{axis}_far", high),
            node("Mul", f"red {axis}_down", f"{axis}_near"),
            node("ReduceMax", f"{axis}_near", f"{low}_back"),
            node("Sub", f"side {low}_back", low),
            node("Add", f"{low} {high}", f"{axis}_sum"),
            node("Mul", f"{axis}_sum half", f"{axis}_centre"),
            node("Sub", f"{high} {low}", f"{axis}_extent"),
        ]

    nodes = [
        node("Split", "images", "r g b", axis=1, num_outputs=3),
        node("Max", "g b", "others"),
        node("Sub", "r others", "redness"),
        node("Greater", "redness half", "is_red"),
        node("Cast", "is_red", "red", to=TensorProto.FLOAT),
        *edges("x", "left", "right"),
        *edges("y", "top", "bottom"),
        node("ReduceMax", "red", "any"),
        node("Mul", "any most", "score"),
        node("Concat", "x_centre y_centre x_extent y_extent score", "box", axis=1),
        node("Reshape", "box row", "one"),
        node("Tile", "one times", "output0"),
    ]
    constants = [
        *(ramp(f"x_{way}", (1, 1, 1, SIDE), values) for way, values in WAYS.items()),
        *(ramp(f"y_{way}", (1, 1, SIDE, 1), values) for way, values in WAYS.items()),
        *(helper.make_tensor(name, TensorProto.FLOAT, (), [value]) for name, value in NUMBERS.items()),
        helper.make_tensor("row", TensorProto.INT64, (3,), [1, 5, 1]),
        helper.make_tensor("times", TensorProto.INT64, (3,), [1, 1, 8]),
    ]
    given = helper.make_tensor_value_info("images", TensorProto.FLOAT, (1, 3, SIDE, SIDE))
    found = helper.make_tensor_value_info("output0", TensorProto.FLOAT, (1, 5, 8))
    graph = helper.make_graph(nodes, "red", [given], [found], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    helper.set_model_props(
        model, {"names": "{0: 'face'}", "stride": "32", "batch": "1", "imgsz": f"[{SIDE}, {SIDE}]", "task": "detect"}
    )
    onnx.save(model, path)
    return path


class Fixed:
    """A detector that finds the same faces in every picture."""

    def __init__(self, *faces: tuple[float, float]) -> None:
        self._faces = [Face((x, 0.0, x + 10, 10.0), score) for x, score in faces]

    def detect(self, image: Image) -> list[Face]:
        assert image.ndim == 3
        return self._faces


def _refused(name: str, weights: Path | None = None, kind: type[StemoError] = ConfigError) -> str:
    with pytest.raises(kind) as caught:
        open_detectors(name, weights)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def _near(box: Box, x: float, y: float) -> bool:
    return box[0] < x < box[2] and box[1] < y < box[3]


def test_unknown_detectors_and_missing_weights_say_what_to_give() -> None:
    assert "Did you mean yunet?" in _refused("yunnet")
    assert "--face-weights FILE" in _refused("yolo")
    assert "--detector yunet" in _refused("mediapipe", Path("yunet.onnx"))
    for name in DETECTORS:
        check_detector(name, None if name == "mediapipe" else Path("weights"))


def test_weights_of_another_kind_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "notes.pt").write_text("no weights at all")
    assert "do not exist" in _refused("yolo", tmp_path / "none.pt", WeightsError)
    assert "cannot be loaded" in _refused("yolo", tmp_path / "notes.pt", WeightsError)
    assert "does not exist" in _refused("yunet", tmp_path / "none.onnx", WeightsError)
    assert "not the published file" in _refused("yunet", tmp_path / "notes.pt", WeightsError)


def test_yunet_is_looked_for_but_never_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("STEMO_ASSETS", raising=False)
    assert "STEMO_ASSETS" in _refused("yunet", kind=MissingError)
    assert list(tmp_path.iterdir()) == []


def test_a_pickle_that_runs_code_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch
    from ultralytics.nn import tasks

    # as where somebody has imported ultralytics before
    monkeypatch.setattr(tasks, "SAFE_LOAD", False)

    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (Path(tmp_path / "sprung"),)  # type: ignore[return-value]

    torch.save({"model": Trap()}, tmp_path / "trap.pt")
    assert "cannot be loaded" in _refused("yolo", tmp_path / "trap.pt", WeightsError)
    assert not (tmp_path / "sprung").exists()


def test_ultralytics_leaves_pillow_as_it_was(tmp_path: Path, yolo_weights: Path) -> None:
    from stemo.capture.images import read_image

    (tmp_path / "a.png").write_bytes(b"no picture")
    open_detectors("yolo", yolo_weights)
    with pytest.raises(InputError, match="in no known image format"):
        read_image(tmp_path / "a.png")


def test_which_classes_are_faces() -> None:
    assert face_labels(["head"]) == {"head"}
    assert face_labels(["person", "Face", "face_mask"]) == {"Face", "face_mask"}
    assert face_labels(["person", "car"]) == set()


def test_faces_are_those_that_two_see_or_one_is_sure_of() -> None:
    frames = [Frame(index, index / 25, np.zeros((4, 4, 3), np.uint8)) for index in range(3)]
    keen = Fixed((0, 0.9), (101, 0.5), (200, 0.5))
    shy = Fixed((1, 0.6), (100, 0.6))
    blind = Fixed()
    scores = compare(frames, {"keen": keen, "shy": shy, "blind": blind})
    assert [scores[name].recall for name in ("keen", "shy", "blind")] == [1, 1, 0]
    assert [scores[name].doubtful for name in ("keen", "shy", "blind")] == [1, 0, 0]
    assert compare(frames, {"shy": shy, "sure": Fixed((0, 0.9))})["sure"].recall == 1
    assert compare(frames, {"keen": keen, "other": Fixed((300, 0.8))})["other"].recall == 0.5
    assert np.isnan(compare(frames, {"blind": blind})["blind"].recall)
    with pytest.raises(InputError, match="nothing to compare"):
        compare([], {"blind": blind})


@pytest.mark.slow
@pytest.mark.parametrize(("width", "height"), [(300, 200), (120, 400)])
def test_yolo_sees_colours_as_they_are_and_gives_boxes_in_the_pictures_own_pixels(
    tmp_path: Path, width: int, height: int
) -> None:
    near, far = open_detectors("yolo", red_finder(tmp_path / "red.onnx"))
    assert near is far
    picture = np.full((height, width, 3), 90, np.uint8)
    picture[20:90, 60:110] = (255, 0, 0)
    picture[120:190, 10:50] = (0, 0, 255)
    [face] = far.detect(picture)
    pixel = max(width, height) / SIDE  # of what the model sees
    np.testing.assert_allclose(face.box, (60, 20, 110, 90), atol=1.5 * pixel)
    assert face.score == pytest.approx(0.9, abs=1e-3)
    assert far.detect(np.ascontiguousarray(picture[..., ::-1]))[0].box[1] > 100  # what was blue is red now
    assert far.detect(np.full((height, width, 3), 90, np.uint8)) == []


@pytest.mark.slow
def test_yolo_says_the_surest_first_and_leaves_out_what_is_no_face(yolo_weights: Path, photo: Image) -> None:
    faces = YoloFaces(yolo_weights, threshold=1e-9).detect(photo)
    scores = [face.score for face in faces]
    assert len(scores) > 1
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)
    assert YoloFaces(yolo_weights, threshold=0.999).detect(photo) == []


@pytest.mark.slow
def test_mediapipe_finds_both_people_at_their_places(photo: Image) -> None:
    faces = open_detectors("mediapipe").far.detect(photo)
    assert sum(_near(face.box, 985, 190) for face in faces) == 1
    assert sum(_near(face.box, 600, 330) for face in faces) <= 1
    assert all(0.5 <= face.score <= 1 for face in faces)


@pytest.mark.slow
def test_yunet_finds_both_people_at_their_places(photo: Image, shared: Path) -> None:
    weights = shared / "models" / "face_detection_yunet_2023mar.onnx"
    faces = open_detectors("yunet", weights).far.detect(photo)
    assert [any(_near(face.box, x, y) for face in faces) for x, y in ((985, 190), (600, 330))] == [True, True]
    assert sum(face.score > 0.8 for face in faces) == 2


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_a_model_that_knows_no_faces_is_refused(shared: Path) -> None:
    pytest.importorskip("openvino")
    weights = shared / "models" / "yolov8n_int8_openvino_model"
    assert "find no faces" in _refused("yolo", weights, WeightsError)
    ObjectDetector.create(weights, background=False).close()


@pytest.mark.slow
@pytest.mark.parametrize(("clip", "least"), [("single_face.mp4", 0.95), ("several_faces.mp4", 0.6)])
def test_all_three_on_the_same_clips(clip: str, least: float, shared: Path, yolo_weights: Path) -> None:
    yunet = shared / "models" / "face_detection_yunet_2023mar.onnx"
    found: dict[str, Detector] = {
        "mediapipe": open_detectors("mediapipe").far,
        "yunet": open_detectors("yunet", yunet).far,
        "yolo": open_detectors("yolo", yolo_weights).far,
    }
    with open_source(shared / "videos" / clip) as source:
        scores = compare(list(source)[::12], found)
    assert scores["mediapipe"].recall > least
    assert scores["yunet"].recall > 0.95
    assert scores["yolo"].recall < 0.5  # it has learned nothing
    assert all(score.milliseconds > 0 for score in scores.values())


@pytest.mark.slow
def test_the_table_names_who_is_missing(tmp_path: Path, photo: Image, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = tmp_path / "photo.png"
    cv2.imwrite(str(picture), photo[..., ::-1])
    landmarker = str(locate("face_landmarker"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("STEMO_ASSETS", raising=False)
    said: list[str] = []
    assert run_compare_detectors(str(picture), RecognitionSettings(landmarker=landmarker), said.append) == 0
    assert any(line.startswith("warning: going on without yunet") for line in said)
    row = next(line for line in said if line.startswith("mediapipe"))
    assert row.split()[1] == "100.0%"
    with pytest.raises(InputError, match="does not exist"):
        run_compare_detectors("nowhere.mp4", RecognitionSettings(), said.append)
