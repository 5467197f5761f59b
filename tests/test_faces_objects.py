"""Objects are found in the background, the latest frame wins, and bad weights are one line."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from fakes import FixedRecognizer, make_video

from stemo.cli import main
from stemo.errors import MissingError, StemoError, WeightsError
from stemo.faces.objects import ObjectDetector
from stemo.records import Frame, Image, SceneObject


class Gate:
    """A model that waits to be let through and reports the brightness of what it saw."""

    def __init__(self) -> None:
        self.seen: list[int] = []
        self.started, self.open = threading.Event(), threading.Event()

    def detect(self, image: Image) -> tuple[SceneObject, ...]:
        self.started.set()
        assert self.open.wait(10)
        self.seen.append(int(image[0, 0, 0]))
        return (SceneObject(str(image[0, 0, 0]), 0.5, (0, 0, 1, 1)),)


class Broken:
    def detect(self, image: Image) -> tuple[SceneObject, ...]:
        raise RuntimeError(f"no kernel for {image.shape}")


def _frame(index: int) -> Frame:
    return Frame(index, index / 25, np.full((2, 2, 3), index, np.uint8))


def test_busy_model_never_blocks_and_only_the_latest_frame_waits() -> None:
    gate = Gate()
    with ObjectDetector(gate, every=1, rest=0) as detector:
        assert detector.update(_frame(0)) == ()
        assert gate.started.wait(10)
        for index in (1, 2, 3):
            assert detector.update(_frame(index)) == ()
        gate.open.set()
        for _ in range(1000):
            if len(gate.seen) == 2:
                break
            threading.Event().wait(0.01)
    assert gate.seen == [0, 3]


def test_synchronous_mode_shows_every_kth_result_until_replaced() -> None:
    gate = Gate()
    gate.open.set()
    with ObjectDetector(gate, every=3, background=False) as detector:
        labels = [detector.update(_frame(index))[0].label for index in range(7)]
    assert labels == ["0", "0", "0", "3", "3", "3", "6"]


@pytest.mark.slow
def test_the_model_rests_in_proportion_to_its_work() -> None:
    class Slow:
        def __init__(self) -> None:
            self.calls = 0

        def detect(self, image: Image) -> tuple[SceneObject, ...]:
            assert image.ndim == 3
            self.calls += 1
            threading.Event().wait(0.02)
            return ()

    calls = []
    for rest in (0.0, 9.0):
        model = Slow()
        with ObjectDetector(model, every=1, rest=rest) as detector:
            for index in range(100):
                detector.update(_frame(index))
                threading.Event().wait(0.01)
        calls.append(model.calls)
    assert calls[0] > 2 * calls[1] > 0


def _update_for_ten_seconds(detector: ObjectDetector) -> None:
    for _ in range(1000):
        detector.update(_frame(0))
        threading.Event().wait(0.01)


def test_failure_in_the_background_reaches_the_caller() -> None:
    detector = ObjectDetector(Broken(), every=1)
    with pytest.raises(StemoError, match="no kernel"):
        _update_for_ten_seconds(detector)
    detector.close()
    detector.close()


def test_missing_weights_are_one_line() -> None:
    with pytest.raises(WeightsError, match="do not exist") as caught:
        ObjectDetector.create(Path("nowhere/yolov8n.pt"))
    assert "\n" not in str(caught.value)


@pytest.fixture
def _bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without YOLO's weights, on which nothing may be fetched."""

    def forbidden(*_given: object, **_named: object) -> None:
        pytest.fail("something was fetched")

    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("STEMO_ASSETS", raising=False)
    monkeypatch.setattr("urllib.request.urlopen", forbidden)


@pytest.mark.usefixtures("_bare")
def test_published_weights_are_never_fetched() -> None:
    with pytest.raises(MissingError, match=r"yolov8n 'yolov8n.pt' was not found.*curl -L .*or put the file into"):
        ObjectDetector.create()


@pytest.mark.usefixtures("_bare")
def test_realtime_goes_on_without_objects_after_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_video(tmp_path / "talk.mp4", frames=10)
    monkeypatch.setattr("stemo.modes.realtime.make_recognizer", lambda _settings: FixedRecognizer())
    flags = ["--realtime", "--source", str(tmp_path / "talk.mp4"), "--no-window", "--output", str(tmp_path / "live")]
    assert main(flags) == 0
    told = [line for text in capsys.readouterr() for line in text.splitlines() if "warning" in line]
    assert len(told) == 1
    assert told[0].startswith("warning: going on without scene objects: yolov8n 'yolov8n.pt' was not found")
    assert "curl -L" in told[0]
    assert (tmp_path / "live_results.jsonl").is_file()


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_openvino_folder_finds_the_two_people(shared: Path, photo: Image) -> None:
    pytest.importorskip("openvino")
    weights = shared / "models" / "yolov8n_int8_openvino_model"
    with ObjectDetector.create(weights, background=False) as detector:
        objects = detector.update(Frame(0, 0.0, photo))
    assert [thing.label for thing in objects].count("person") == 2
    assert all(0.35 <= thing.confidence <= 1 for thing in objects)
