"""An exported file in the place of the weights: live, in the demo and in the benchmark."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_network_engine import awake

from stemo.capture import Source, open_source
from stemo.capture.source import Closing
from stemo.cli import main
from stemo.config import RecognitionSettings
from stemo.modes.benchmark.clips import make_clip
from stemo.modes.video import make_recognizer
from stemo.network.checkpoint import WeightFacts, save_weights
from stemo.network.model import Network
from stemo.network.onnx_file import description, onnx_model, to_bytes
from stemo.network.standalone import forms
from stemo.pipeline import Pipeline, Scene
from stemo.recognizer import Recognizer
from stemo.records import Face, Frame, State

pytestmark = pytest.mark.slow
FACTS = WeightFacts(name="made", size="tiny")
WITHOUT = ("--no-window", "--no-objects")


@pytest.fixture(scope="module")
def network() -> Network:
    return awake(7, 1, "tiny")


@pytest.fixture(scope="module")
def weights(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "made.safetensors"
    save_weights(path, network, FACTS)
    return path


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second with one face that sways."""
    return make_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", 320, 180, seconds=1)


@pytest.fixture(scope="module")
def step(network: Network, weights: Path) -> Path:
    """What ``--export onnx`` makes of the weights to read streams with."""
    form = next(form for form in forms(network, FACTS.preprocessing) if form.kind == "step")
    path = weights.with_name("made_step.onnx")
    path.write_bytes(to_bytes(onnx_model(form), description(form, FACTS, "fp32")))
    return path


class InStep(Closing):
    """A source whose next frame comes only once the one before has been fetched, so that none is dropped."""

    def __init__(self, source: Source) -> None:
        self.info, self._source = source.info, source
        self.go = threading.Semaphore(1)

    def __iter__(self) -> Iterator[Frame]:
        for frame in self._source:
            assert self.go.acquire(timeout=60)
            yield frame

    def close(self) -> None:
        self._source.close()


class Telling:
    """A real analyzer that tells ``source`` of each frame it was given."""

    def __init__(self, analyzer: Any, source: InStep) -> None:
        self._analyzer, self._source = analyzer, source

    def find(self, frame: Frame) -> list[Face]:
        self._source.go.release()
        return self._analyzer.find(frame)

    def describe(self, frame: Frame, faces: Sequence[Face]) -> list[Face]:
        return self._analyzer.describe(frame, faces)

    def state(self) -> State:
        return self._analyzer.state()

    def restore(self, state: State) -> None:
        self._analyzer.restore(state)


class Stepped:
    """A real recognizer that reads ``source`` frame by frame."""

    def __init__(self, recognizer: Recognizer, source: InStep) -> None:
        self.facts, self._recognizer, self._source = recognizer.facts, recognizer, source

    @contextmanager
    def stages(self, scene: Scene | None = None, *, in_turn: bool = False) -> Iterator[Pipeline]:
        with self._recognizer.stages(scene, in_turn=in_turn) as made:
            yield Pipeline(Telling(made.analyzer, self._source), made.reader, self._recognizer.smoother(), scene)


def read_live(clip: Path, monkeypatch: pytest.MonkeyPatch, *flags: str) -> list[dict[str, Any]]:
    """The rows of ``--realtime`` over a played file, of which no frame is dropped."""
    source = InStep(open_source(clip))

    def stepped(settings: RecognitionSettings) -> Stepped:
        return Stepped(make_recognizer(settings), source)

    monkeypatch.setattr("stemo.modes.realtime.open_source", lambda _name, **_limits: source)
    monkeypatch.setattr("stemo.modes.realtime.make_recognizer", stepped)
    assert main(["--realtime", *WITHOUT, "--source", str(clip), "--output", "live", "--overwrite", *flags]) == 0
    return [json.loads(line) for line in Path("live_results.jsonl").read_text().splitlines()]


def assert_same(rows: Sequence[dict[str, Any]], expected: Sequence[dict[str, Any]]) -> None:
    """The same faces in the same places, read within what an export may differ by."""
    for row, other in zip(rows, expected, strict=True):
        assert [row[name] for name in ("frame", "face_id", "box")] == [
            other[name] for name in ("frame", "face_id", "box")
        ]
        for one, same in ((row, other), (row["raw"], other["raw"])):
            got, wanted = ([*part["probabilities"].values(), part["valence"], part["arousal"]] for part in (one, same))
            np.testing.assert_allclose(got, wanted, atol=1e-4)


def test_live_it_reads_as_the_weights_do(
    weights: Path,
    step: Path,
    clip: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = read_live(clip, monkeypatch, "--weights", str(step))
    assert "25 frames read, 0 dropped" in capsys.readouterr().out
    model = json.loads(Path("live_meta.json").read_text())["model"]
    assert (model["name"], model["size"]) == ("made", "tiny")
    assert len({row["confidence"] for row in rows}) > 10
    assert_same(rows, read_live(clip, monkeypatch, "--weights", str(weights), "--backend", "torch"))


def test_in_the_demo_it_reads_as_the_weights_do(
    weights: Path, step: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["--demo", "--end", "0.2", "--output", "file", "--weights", str(step)]) == 0
    rows = json.loads(Path("file/demo_results.json").read_text())
    assert {path.name for path in Path("file").iterdir()} >= {"demo.mp4", "demo_contact.png", "demo_meta.json"}
    assert [(row["frame"], row["face_id"]) for row in rows] == [(n, face) for n in range(5) for face in (1, 2)]
    # the same clip: encoded once more, it would not be the same bytes
    given = ("--end", "0.2", "--no-video", "--output", "torch", "--weights", str(weights), "--backend", "torch")
    assert main(["--video", "file/zidane.mp4", *given]) == 0
    assert_same(rows, json.loads(Path("torch_results.json").read_text()))


@pytest.fixture
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stemo.modes.benchmark.pace.ADDITIONS", 1000)
    monkeypatch.setattr("stemo.modes.benchmark.run.REPEATS", 1)
    monkeypatch.setattr("stemo.modes.benchmark.network.REPEATS", 5)


@pytest.mark.usefixtures("_short")
def test_the_benchmark_measures_it_and_says_what_cannot_run_it(
    step: Path, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "figures.json"
    assert main(["--benchmark", str(clip), "--weights", str(step), "--output", str(report)]) == 0
    facts = json.loads(report.read_text())
    assert set(facts["network_ms"]) == {"onnx"}
    assert facts["clips"]["clip.mp4"]["frames_per_second"] > 0
    printed = capsys.readouterr().out
    assert "network:      onnx: 1 face " in printed
    for backend in ("int8", "torch"):
        assert (
            f"network:      {backend} is left out: weights 'made' are an ONNX file: expected --backend onnx" in printed
        )


def test_it_keeps_no_figures(step: Path, clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--benchmark", str(clip), "--weights", str(step), "--record", "speed"]) == 2
    shown = capsys.readouterr()
    assert shown.err.startswith("error: record 'speed' cannot be kept: expected weights with a card (.safetensors)")
    assert (shown.out, shown.err.count("\n")) == ("", 1)
