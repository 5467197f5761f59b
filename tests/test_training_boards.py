"""What a training shows in TensorBoard, read back from its files."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import ROOT
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.custom_scalar.layout_pb2 import Layout  # pyright: ignore[reportAttributeAccessIssue]
from tensorboard.plugins.custom_scalar.metadata import CONFIG_SUMMARY_TAG
from tensorboard.plugins.hparams.metadata import SESSION_START_INFO_TAG, parse_session_start_info_plugin_data
from torch import nn

from stemo.cli import main
from stemo.errors import OutputError
from stemo.network.frame_network import FrameNetwork
from stemo.network.model import Network
from stemo.network.spatial import SpatialEncoder
from stemo.records import EMOTIONS
from stemo.training.boards import CHARTS, MOST_PARTS, Epoch, TensorBoard, main_parts, show_epoch
from stemo.training.metrics import CategoryReadings

# of five faces three are read right: both of A, and one of B's three; nobody shows C
TRUTH = np.array([0, 0, 1, 1, 1])
PROBABILITIES = np.array([[0.7, 0.2, 0.1], [0.9, 0.1, 0], [0.1, 0.9, 0], [0.6, 0.4, 0], [0.1, 0.2, 0.7]], np.float32)
READINGS = CategoryReadings(TRUTH, PROBABILITIES, ("A", "B", "C"))
REFUSED = (
    r"^file '[^\n]*' cannot be written: expected a place to write to, got Is a directory\. Check the disk, [^\n]*$"
)


def shown(folder: Path, *steps: Callable[[TensorBoard], object]) -> EventAccumulator:
    """What TensorBoard finds after ``steps``."""
    board = TensorBoard(folder, lambda _: None)
    for step in steps:
        step(board)
    board.close()
    return found(folder)


def found(folder: Path) -> EventAccumulator:
    events = EventAccumulator(str(folder), size_guidance=dict.fromkeys(("scalars", "images", "tensors"), 0))
    return events.Reload()


def scalars(events: EventAccumulator) -> dict[str, list[tuple[int, float]]]:
    return {tag: [(e.step, round(e.value, 4)) for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def test_figures_of_each_class(tmp_path: Path) -> None:
    events = shown(tmp_path, lambda board: board.readings("clip", READINGS, 3))
    assert scalars(events) == {
        "clip/valid_accuracy": [(3, 0.6)],
        "clip/valid_macro_recall": [(3, 0.6667)],
        "clip/valid_loss": [(3, 0.6186)],
        "clip/recall/A": [(3, 1.0)],
        "clip/recall/B": [(3, 0.3333)],
        "clip/precision/A": [(3, 0.6667)],
        "clip/precision/B": [(3, 1.0)],
        "clip/precision/C": [(3, 0.0)],
        "clip/f1/A": [(3, 0.8)],
        "clip/f1/B": [(3, 0.5)],
        "clip/f1/C": [(3, 0.0)],
    }


def test_precision_recall_of_each_class_that_has_faces(tmp_path: Path) -> None:
    events = shown(tmp_path, lambda board: board.readings("clip", READINGS, 3))
    tags = [tag for tag in events.Tags()["tensors"] if "precision_recall" in tag]
    assert tags == ["2_clip/precision_recall/A", "2_clip/precision_recall/B"]
    assert events.SummaryMetadata(tags[0]).plugin_data.plugin_name == "pr_curves"
    [event] = events.Tensors(tags[0])
    hits, mistaken, _, _, precision, recall = np.array(event.tensor_proto.float_val).reshape(6, 127)
    assert event.step == 3
    # thresholds from 0 to 1: at 0.65 one is lost that only C's column would find, at 0.8 one of A as well
    assert (hits[0], mistaken[0]) == (2, 3)
    assert (hits[82], mistaken[82], recall[82], precision[82]) == (2, 0, 1, 1)
    assert (hits[101], recall[101]) == (1, 0.5)


def test_the_confusion_is_a_picture_of_every_epoch(tmp_path: Path) -> None:
    events = shown(tmp_path, *(lambda board, step=step: board.readings("clip", READINGS, step) for step in (1, 2)))
    assert [event.step for event in events.Images("clip/confusion")] == [1, 2]
    picture = np.asarray(Image.open(io.BytesIO(events.Images("clip/confusion")[0].encoded_image_string)))
    assert (picture[..., 2].astype(int) - picture[..., 0] > 80).mean() > 0.02  # the blue of a full cell


def test_readings_that_are_not_finite_are_shown_as_far_as_they_go(tmp_path: Path) -> None:
    lost = CategoryReadings(TRUTH, np.full_like(PROBABILITIES, np.nan), READINGS.labels)
    values = torch.tensor([np.nan, np.inf])
    events = shown(
        tmp_path, lambda board: board.readings("clip", lost, 1), lambda board: board.histogram("h", values, 1)
    )
    assert scalars(events)["clip/recall/A"] == [(1, 1.0)]
    assert events.Tags()["histograms"] == []


@pytest.mark.parametrize(
    ("values", "counts"), [([0.0, 1.0, 1.0], {1 / 128: 1, 1.0: 2}), ([0.25, np.nan, 0.25], {0.2578125: 2})]
)
def test_histograms(tmp_path: Path, values: list[float], counts: dict[float, int]) -> None:
    events = shown(tmp_path, lambda board: board.histogram("h", torch.tensor(values), 7))
    [event] = events.Histograms("h")
    edges = zip(event.histogram_value.bucket_limit, event.histogram_value.bucket, strict=True)
    assert {edge: count for edge, count in edges if count} == counts
    assert event.histogram_value.sum == np.nansum(values)


def test_an_epoch(tmp_path: Path) -> None:
    said: list[str] = []
    board = TensorBoard(tmp_path, said.append)
    network = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 1))
    show_epoch(board, "clip", Epoch(0.5, 0.25, torch.tensor([1.0, 3.0]), 1e-3, 40.0), network, 2)
    show_epoch(board, "rated", Epoch(0.5, None, torch.ones(1), 1e-3, 40.0), network, 2)
    board.close()
    events = found(tmp_path)
    figures = {"loss": 0.5, "train_accuracy": 0.25, "lr": 1e-3, "faces_per_second": 40.0, "gradient_norm": 2.0}
    shown_of = {tag: values for tag, values in scalars(events).items() if tag.startswith("clip/")}
    assert shown_of == {f"clip/{name}": [(2, value)] for name, value in figures.items()}
    assert "rated/train_accuracy" not in scalars(events)  # no face had a category
    tags = [tag for tag in events.Tags()["histograms"] if tag.startswith("clip/")]
    counts = {tag: events.Histograms(tag)[0].histogram_value.num for tag in tags}
    assert counts == {"clip/gradient_norms": 2, "clip/weights/0": 6, "clip/weights/2": 3}
    assert said == ["epoch 2  clip/loss 0.5000", "epoch 2  rated/loss 0.5000"]


def test_main_parts_hold_all_weights() -> None:
    encoder = SpatialEncoder()
    for network in (Network(size="tiny"), FrameNetwork(encoder, encoder.channels)):
        parts = main_parts(network)
        weights = [id(p) for part in parts.values() for p in part.parameters() if p.ndim > 1]
        assert sorted(weights) == sorted(id(p) for p in network.parameters() if p.ndim > 1)
        assert 2 < len(parts) <= MOST_PARTS + 2
    assert {"spatial", "fusion", "heads"} <= set(main_parts(Network(size="tiny")))


def test_the_end_stands_beside_the_last_settings(tmp_path: Path) -> None:
    first = {"epochs": 2, "landmarks": True, "data": ("a", "b"), "start_from": None}
    later = {"epochs": 3, "landmarks": False, "data": ("a",), "start_from": "x"}
    shown(tmp_path, lambda board: board.end(first, READINGS, 0.5))
    events = shown(tmp_path, lambda board: board.end(later, READINGS, 0.25))
    content = events.SummaryMetadata(SESSION_START_INFO_TAG).plugin_data.content
    settings = parse_session_start_info_plugin_data(content).hparams
    assert settings["epochs"].number_value == 3
    assert {settings[name].string_value for name in ("landmarks", "data", "start_from")} == {"False", "a", "x"}
    assert scalars(events)["final/calibration_error"] == [(0, 0.25)]
    assert [event.step for event in events.Images("final/confusion")] == [0]


def refuse_curves(folder: Path, board: TensorBoard) -> None:
    """Let every further write of ``board`` fail, as a full disk does."""
    board.scalar("before", 0.0, 0)  # all until here is written
    for path in folder.glob("events*"):
        path.unlink()
        path.mkdir()


def show_samples(board: TensorBoard) -> None:
    board.samples([np.zeros((8, 8, 3), np.uint8)])


def show_often(folder: Path, show: Callable[[TensorBoard], object], *, then: Exception | None = None) -> None:
    """Refuse what ``show`` shows, some of which the thread that writes has yet to come to; ``then`` goes wrong."""
    with TensorBoard(folder, lambda _: None) as board:
        refuse_curves(folder, board)
        if then is not None:
            with suppress(OutputError):
                show(board)
            raise then
        for _ in range(9):
            show(board)


@pytest.mark.parametrize(
    "show",
    [
        lambda board: board.scalar("clip/loss", 0.5, 1),
        lambda board: board.histogram("h", torch.ones(3), 1),
        lambda board: board.readings("clip", READINGS, 1),
        lambda board: board.samples([np.zeros((8, 8, 3), np.uint8)]),
    ],
)
def test_a_disk_that_refuses_the_curves_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], show: Callable[[TensorBoard], object]
) -> None:
    with pytest.raises(OutputError, match=REFUSED):
        show_often(tmp_path, show)
    assert capsys.readouterr().err == ""


def test_refused_curves_do_not_hide_what_went_wrong_before(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="before"):
        show_often(tmp_path, lambda board: board.histogram("h", torch.ones(3), 1), then=KeyError("before"))


def test_a_board_that_cannot_be_opened_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"^file '[^\n]*file' cannot be written: .* got File exists\."):
        TensorBoard(tmp_path / "file", lambda _: None)


def test_a_reader_that_hangs_up_is_no_fault_of_the_curves(tmp_path: Path) -> None:
    def hang_up(_: str) -> None:
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError), TensorBoard(tmp_path, hang_up) as board:
        board.scalar("clip/loss", 0.5, 1)


@pytest.mark.slow
def test_a_run_shows_all_of_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = str(ROOT / "configs" / "tiny.yaml")
    assert main(["--train", "--config", config, "--size", "tiny", "--name", "r"]) == 0
    events = found(tmp_path / "runs" / "r")
    tags = events.Tags()
    curves = sorted(tag for tag in tags["tensors"] if "precision_recall" in tag)
    assert curves[0] == "1_spatial/precision_recall/Angry"
    for number, (stage, steps) in enumerate({"spatial": [1, 2], "clip": [1], "joint": [0, 1]}.items(), 1):
        assert [event.step for event in events.Images(f"{stage}/confusion")] == steps
        for label in EMOTIONS:
            assert [event.step for event in events.Scalars(f"{stage}/recall/{label}")] == steps
            assert [event.step for event in events.Tensors(f"{number}_{stage}/precision_recall/{label}")] == steps
        assert {f"{stage}/loss", f"{stage}/gradient_norm", f"{stage}/faces_per_second"} <= set(tags["scalars"])
        assert [event.step for event in events.Scalars(f"{stage}/valid_loss")] == steps
        assert [event.step for event in events.Scalars(f"{stage}/train_accuracy")] == [step for step in steps if step]
        assert f"{stage}/gradient_norms" in tags["histograms"]
    assert {"spatial/weights/head", "clip/weights/fusion", "joint/weights/spatial"} <= set(tags["histograms"])
    assert {"samples", "clips", "final/confusion"} <= set(tags["images"])
    assert {"final/valid_accuracy", "final/valid_macro_recall", "final/calibration_error"} <= set(tags["scalars"])
    content = events.SummaryMetadata(SESSION_START_INFO_TAG).plugin_data.content
    assert parse_session_start_info_plugin_data(content).hparams["size"].string_value == "tiny"
    [layout] = events.Tensors(CONFIG_SUMMARY_TAG)
    charts = Layout.FromString(layout.tensor_proto.string_val[0]).category
    found_charts = {category.title: [chart.title for chart in category.chart] for category in charts}
    assert found_charts == {stage: list(charts) for stage, charts in CHARTS.items()}
    for pattern in (pattern for category in charts for chart in category.chart for pattern in chart.multiline.tag):
        assert any(re.match(pattern, tag) for tag in tags["scalars"]), pattern
