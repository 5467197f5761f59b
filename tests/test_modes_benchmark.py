"""The benchmark measures what it says: every stage of every frame, and only frames after the warm-up."""

from __future__ import annotations

import json
import re
import runpy
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from fakes import FixedRecognizer, make_video

from stemo.cli import main
from stemo.config import RecognitionSettings
from stemo.errors import ConfigError, WeightsError
from stemo.modes.batch.engines import Engine, Outcomes
from stemo.modes.batch.tasks import Outcome, Task
from stemo.modes.benchmark import memory, stages, steady, throughput
from stemo.modes.benchmark.clips import make_clip
from stemo.modes.benchmark.network import Load, network_times, usual_loads
from stemo.modes.benchmark.peers import child
from stemo.modes.benchmark.run import card_figures, describe_machine, network_lines
from stemo.modes.benchmark.stages import STAGES, WARM_UP, Clock, Timings
from stemo.network.streaming import Observation
from stemo.recognizer import Recognizer, turn_threads


@pytest.fixture(autouse=True)
def _short_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stemo.modes.benchmark.pace.ADDITIONS", 1000)


def test_the_clock_starts_behind_the_warm_up(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter([10.0, 14.0])
    monkeypatch.setattr(stages.time, "perf_counter", lambda: next(moments))
    clock = Clock()
    assert list(clock.after(3, range(11))) == list(range(11))
    assert clock.count == 8
    assert clock.rate() == 2.0


def test_nothing_behind_the_warm_up_is_no_rate() -> None:
    clock = Clock()
    assert list(clock.after(3, range(2))) == [0, 1]
    assert clock.rate() == 0.0


def test_medians_leave_the_warm_up_out() -> None:
    timings = Timings()
    timings.spent["draw"] = [1000.0] * WARM_UP + [1.0, 2.0, 3.0]
    timings.spent["rows"] = [5.0]
    assert timings.medians() == {"draw": 2.0, "rows": 5.0}


def test_a_timed_call_returns_what_it_computes() -> None:
    timings = Timings()
    assert timings.timed("rows", divmod, 7, 2) == (3, 1)
    assert len(timings.spent["rows"]) == 1


@pytest.mark.slow
def test_the_whole_way(
    tmp_path: Path, fresh_weights: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stemo.modes.benchmark.run.REPEATS", 1)
    clip = make_clip(tmp_path / "clip.mp4", 320, 180, seconds=1)
    report = tmp_path / "benchmark.json"
    for ending in (".safetensors", ".json"):
        shutil.copy(fresh_weights.with_suffix(ending), tmp_path / f"own{ending}")
    recorded = ["--weights", str(tmp_path / "own.safetensors"), "--record", "speed"]
    assert main(["--benchmark", str(clip), "--output", str(report), *recorded]) == 0
    printed = capsys.readouterr().out
    facts = json.loads(report.read_text())
    figures = facts["clips"]["clip.mp4"]
    assert figures["size"] == "320x180"
    assert set(figures["stages_ms"]) == set(STAGES)
    assert all(value > 0 for value in figures["stages_ms"].values())
    assert figures["frames_per_second"] == pytest.approx(np.median(figures["runs"]))
    assert set(facts["network_ms"]) == {"onnx", "torch"}
    assert main(["--card", str(tmp_path / "own.safetensors")]) == 0
    card = (tmp_path / "own.md").read_text()
    shown = re.search(r"clip\.mp4 \(320x180\): ([\d.]+)$", card, re.MULTILINE)
    assert shown
    assert float(shown[1]) == round(figures["frames_per_second"], 1)
    for load in ("1 face live", "1 face in 4 frames at once", "6 faces live"):
        assert f"onnx, {load}: " in card
    assert facts["peak_memory_mb"] > 100
    assert figures["batch"] == 4
    live = figures["live"]
    assert live["frames"] > 0
    assert live["frames"] + live["dropped"] <= 25
    assert 0 < live["p50_ms"] <= live["p95_ms"]
    for word in ("one after the other, frame by frame", "overlapped, 4 frames read at once (median of 1: "):
        assert word in printed
    for word in ("machine:", "pace:", "threads:", "versions:", "network:", "clip.mp4 (320x180)", "whole", "live"):
        assert word in printed


def test_only_speed_is_recorded_of_a_benchmark(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--benchmark", "--record", "valid"]) == 2
    assert "expected one of speed, got 'valid'" in capsys.readouterr().err


class Copied:
    """A recognizer of weights whose description names an 8-bit twin that did not come with them."""

    def __init__(self, engine: str) -> None:
        self.engine = engine

    def stream(self, backend: str, threads: int | None = None) -> Copied:  # noqa: ARG002
        if backend == "int8":
            raise WeightsError("the twin is missing")
        if backend == "torch":
            raise ConfigError("another device")
        return self

    def read_all(self, frames: Sequence[tuple[Sequence[Observation], float]]) -> list[list[Observation]]:
        return [list(faces) for faces, _time in frames]


def test_loads_are_read_in_so_many_frames_at_once_of_so_many_faces() -> None:
    class Noting(Copied):
        def read_all(self, frames: Sequence[tuple[Sequence[Observation], float]]) -> list[list[Observation]]:
            read.append([(len(faces), time) for faces, time in frames])
            return super().read_all(frames)

        def stream(self, backend: str, threads: int | None = None) -> Copied:
            given.append(threads)
            return super().stream(backend, threads)

    read: list[list[tuple[int, float]]] = []
    given: list[int | None] = []
    assert usual_loads(1) == [Load(1), Load(6)]
    times = network_times(cast(Recognizer, Noting("onnx")), [].append, usual_loads(3))
    assert list(times["onnx"]) == ["1 face live", "1 face in 3 frames at once", "6 faces live"]
    assert read[0] == [(1, 0.0)]
    assert [group for group in read if len(group) == 3][1] == [(1, pytest.approx(time)) for time in (0.12, 0.16, 0.2)]
    assert read[-1][0][0] == 6
    # live no stage works beside it
    assert given[1:4] == [turn_threads(scene=False), None, turn_threads(scene=False)]


def test_a_twin_is_missed_only_where_it_reads() -> None:
    said: list[str] = []
    (onnx,) = network_times(cast(Recognizer, Copied("onnx")), said.append, [Load(1)]).items()
    assert onnx[0] == "onnx"
    assert said == [
        "network:      int8 is left out: the twin is missing",
        "network:      torch is left out: another device",
    ]
    with pytest.raises(WeightsError, match="the twin is missing"):
        network_times(cast(Recognizer, Copied("int8")), said.append, [Load(1)])


@pytest.fixture
def graphics(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with CUDA, as far as it is asked."""
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.get_device_name", lambda _device: "NVIDIA H200")


@pytest.mark.usefixtures("graphics")
@pytest.mark.parametrize(("backend", "named"), [("auto", True), ("onnx", False)])
def test_the_machine_is_what_the_network_runs_on(backend: str, named: bool) -> None:
    said: list[str] = []
    facts = {"machine": describe_machine(RecognitionSettings(backend=backend), said.append)}
    kept = card_figures({**facts, "network_ms": {}, "clips": {}})["machine"]
    for words in (said[0], kept):
        assert (" and NVIDIA H200 (cuda), " in words) == named


@pytest.mark.parametrize(
    ("openvino", "named"), [(True, "LiteRT and OpenVINO 1 each"), (False, "torch and LiteRT 1 ea")]
)
def test_threads_are_those_of_what_runs_here(openvino: bool, named: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stemo.modes.benchmark.run.openvino_is_faster", lambda: openvino)
    for module in ("stemo.processors", "stemo.network.engine", "stemo.recognizer", "stemo.modes.benchmark.run"):
        monkeypatch.setattr(f"{module}.available_processors", lambda: 16)
    said = describe_machine(RecognitionSettings(device="cpu"), lambda _line: None)["threads"]
    assert said.startswith("16 processors for this process of ")
    assert named in said
    assert said.endswith(", ONNX Runtime 8 (4 live without objects), decoder and encoder 4 each")


def test_the_pace_is_the_best_of_some_loops(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter([0.0, 0.9, 1.0, 1.7, 2.0, 2.8])
    monkeypatch.setattr("stemo.modes.benchmark.pace.time.perf_counter", lambda: next(moments))
    said: list[str] = []
    facts = describe_machine(RecognitionSettings(device="cpu"), said.append)
    assert facts["pace"] == "0.70 s for 10,000,000 additions in plain Python"
    assert "pace:         0.70 s for 10,000,000 additions in plain Python" in said


def test_a_backend_that_was_faster_than_the_one_used_is_named() -> None:
    times = {"int8": (5.0, 20.0), "onnx": (4.0, 30.0), "torch": (9.0, 70.0)}
    measured = {backend: {"1 face": alone, "6 faces": six} for backend, (alone, six) in times.items()}
    assert list(network_lines(measured, "int8"))[3:] == [
        "network:      int8 reads here, but onnx was faster for one face in this run: --backend onnx"
    ]
    assert len(list(network_lines(measured, "onnx"))) == 3
    assert list(network_lines({}, "file")) == []


@pytest.fixture
def silent_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A system without /proc and without the module resource, as Windows is."""
    monkeypatch.setattr(memory, "STATUS", tmp_path / "nothing")
    monkeypatch.setitem(sys.modules, "resource", None)


@pytest.mark.usefixtures("silent_system")
def test_memory_may_be_unknown() -> None:
    runpy.run_path(str(memory.__file__))  # it loads, too
    assert np.isnan(memory.peak_memory())
    assert np.isnan(memory.memory())
    assert memory.told_mb(memory.peak_memory()) == "unknown"
    assert memory.told_mb(1027.4) == "1027 MB"


def test_a_status_that_does_not_tell_the_peak(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "status").write_text("Name:\tpython\nVmRSS:\t    2048 kB\n")
    for module in (memory, child):
        monkeypatch.setattr(module, "STATUS", tmp_path / "status")
    assert memory.memory() == 2.0
    assert memory.peak_memory() > 10  # getrusage tells
    assert child.peak_memory() is None


@pytest.mark.usefixtures("silent_system")
def test_a_stream_is_measured_without_its_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_video(tmp_path / "clip.mp4", frames=8)
    monkeypatch.setattr(steady, "EARLY", 10)
    monkeypatch.setattr(steady, "make_recognizer", lambda _settings: FixedRecognizer())
    report = tmp_path / "facts.json"
    assert main(["--benchmark", str(tmp_path / "clip.mp4"), "--output", str(report), "--frames", "45"]) == 0
    facts = json.loads(report.read_text(), parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    assert facts["peak_memory_mb"] == {"10": None, "45": None}
    assert facts["peak_growth_mb"] is None
    assert facts["ratio"] > 0
    assert facts["memory_verdict"] == "unknown"
    assert "peak memory   unknown at 10 frames, unknown at 45: unknown" in capsys.readouterr().out


@pytest.mark.parametrize(("workers", "videos"), [(2, 8), (12, 12)])
def test_every_worker_has_a_video_to_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int, videos: int
) -> None:
    given: list[int] = []

    def run(tasks: Sequence[Task]) -> Outcomes:
        given.append(len({task.output for task in tasks}))
        yield from ((task, Outcome()) for task in tasks)

    monkeypatch.setattr(throughput, "choose_engine", lambda _name, _count: Engine(run))
    said: list[str] = []
    throughput.run_throughput([str(tmp_path / "a.mp4")], workers, None, RecognitionSettings(), said.append)
    assert given == [videos, videos]
    assert said[-1].startswith(f"{workers} at a time: ")
    assert said[-1].endswith(f"({videos}: a.mp4)")


@pytest.mark.slow
def test_many_videos_by_one_and_by_two(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stemo.modes.benchmark.throughput.VIDEOS", 2)
    clip, report = make_clip(tmp_path / "clip.mp4", 320, 180, seconds=1), tmp_path / "facts.json"
    assert main(["--benchmark", str(clip), "--workers", "2", "--output", str(report)]) == 0
    facts = json.loads(report.read_text())
    assert facts["videos_per_minute_1"] > 1
    assert facts["videos_per_minute_2"] > 1
    assert "2 at a time: " in capsys.readouterr().out
    (tmp_path / "bad.mp4").write_text("no video")
    assert main(["--benchmark", str(tmp_path / "bad.mp4"), "--workers", "1"]) == 2
