"""The benchmark itself: the machine, the network, each stage, and the whole, printed and kept as JSON."""

from __future__ import annotations

import os
import platform
import statistics
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from stemo.config import RecognitionSettings
from stemo.errors import ConfigError
from stemo.faces.inner_networks import openvino_is_faster
from stemo.modes.benchmark.clips import named_clips, size_of
from stemo.modes.benchmark.latency import time_latency
from stemo.modes.benchmark.memory import peak_memory, told_mb
from stemo.modes.benchmark.network import network_times, usual_loads
from stemo.modes.benchmark.output import Output, Say
from stemo.modes.benchmark.pace import ADDITIONS, python_pace
from stemo.modes.benchmark.stages import check_length, time_stages, time_whole
from stemo.modes.video import make_recognizer
from stemo.network.checkpoint import given_or_shipped
from stemo.network.engine import network_threads
from stemo.network.exported import is_exported
from stemo.processors import available_processors, codec_threads, share_processors
from stemo.recognizer import Recognizer, choose_device, turn_threads
from stemo.training.report.recording import SPEED, check_record, record_speed

REPEATS = 3
PACKAGES = ("torch", "onnxruntime", "mediapipe", "ai-edge-litert", "openvino", "opencv-python", "av", "numpy")


def run_benchmark(
    clips: Sequence[str], output: Output | None, settings: RecognitionSettings, say: Say, *, record: str | None = None
) -> int:
    """Measure on ``clips``, or on two made ones with one face; returns 0. With ``output``, keep the figures there.

    The whole is the median of several runs with annotated video and JSON, as ``--video`` writes them. ``record``, which
    can only be "speed", names the section of the weights' JSON that shall keep the figures.
    """
    share_processors()
    description = given_or_shipped(settings.weights).with_suffix(".json")
    if record is not None:
        _check_weights(record, settings)
        check_record(description, record, [SPEED])
    with tempfile.TemporaryDirectory(prefix="stemo_benchmark_") as place:
        folder = Path(place)
        paths = named_clips(clips, folder)
        for path in paths.values():
            check_length(path, settings)
        facts: dict[str, Any] = {"machine": describe_machine(settings, say)}
        recognizer = make_recognizer(settings)
        facts["network_ms"] = network_times(recognizer, say, usual_loads(settings.batch))
        for line in network_lines(facts["network_ms"], recognizer.engine):
            say(line)
        facts["clips"] = {name: measure(path, recognizer, settings, folder, say) for name, path in paths.items()}
    facts["peak_memory_mb"] = peak_memory()
    say(f"{'memory:':<14}peak {told_mb(facts['peak_memory_mb'])}")
    if output:
        output.write_facts(facts, say)
    if record is not None:
        record_speed(description, recognizer.facts.sha256, card_figures(facts))
        say(f"recorded as {record} in {description}")
    return 0


def _check_weights(record: str, settings: RecognitionSettings) -> None:
    if is_exported(settings.weights):
        raise ConfigError(
            f"record {record!r} cannot be kept: expected weights with a card (.safetensors), got an ONNX file. "
            "Leave out --record, or give the weights that it was exported from."
        )


def network_lines(measured: Mapping[str, Mapping[str, float]], used: str) -> Iterator[str]:
    """Milliseconds by backend and load as lines; one more where another was faster than the one ``used``."""
    for backend, times in measured.items():
        shown = ", ".join(f"{load} {ms:.2f} ms" for load, ms in times.items())
        yield f"{'network:':<14}{backend}: {shown} (new frame, median)"
    fastest = min(measured, key=lambda backend: next(iter(measured[backend].values())), default=used)
    if used in measured and fastest != used:
        faster = f"but {fastest} was faster for one face in this run: --backend {fastest}"
        yield f"{'network:':<14}{used} reads here, {faster}"


def card_figures(facts: Mapping[str, Any]) -> dict[str, Any]:
    """What a model card shows of a benchmark, in words."""
    return {
        "machine": "; ".join(facts["machine"][name] for name in ("machine", "threads", "pace")),
        "a new frame, milliseconds": {
            f"{backend}, {load}": round(ms, 1)
            for backend, times in facts["network_ms"].items()
            for load, ms in times.items()
        },
        "annotated video and JSON, frames per second": {
            f"{name} ({clip['size']})": round(clip["frames_per_second"], 1) for name, clip in facts["clips"].items()
        },
    }


def measure(clip: Path, recognizer: Recognizer, settings: RecognitionSettings, folder: Path, say: Say) -> Mapping:
    """Stages and whole of one clip, and how live it is read."""
    size = size_of(clip)
    stages = time_stages(clip, recognizer, settings, folder).medians()
    rates = [time_whole(clip, recognizer, settings, folder) for _ in range(REPEATS)]
    say(f"{clip.name} ({size})")
    for name, ms in stages.items():
        say(f"  {name:<16}{ms:8.2f} ms")
    say(f"  {'together':<16}{sum(stages.values()):8.2f} ms one after the other, frame by frame")
    median, runs = statistics.median(rates), ", ".join(f"{rate:.1f}" for rate in rates)
    at_once = f"{settings.batch} frame{'s' if settings.batch > 1 else ''} read at once"
    say(f"  {'whole':<16}{median:8.1f} frames/s, overlapped, {at_once} (median of {REPEATS}: {runs})")
    live = time_latency(clip, recognizer, settings)
    say(
        f"  {'live':<16}{live['p50_ms']:8} ms from a frame's arrival to its reading (median), "
        f"{live['p95_ms']} ms (95 %), "
        f"{live['dropped']} dropped of {live['frames'] + live['dropped']}"
    )
    figures = {"stages_ms": stages, "frames_per_second": median, "runs": rates, "batch": settings.batch}
    return {"size": size, **figures, "live": live}


def describe_machine(settings: RecognitionSettings, say: Say, threads: str | None = None) -> dict[str, str]:
    """Say what the figures are measured on, and return it; ``threads`` where these are not stemo's own.

    Raises :class:`ConfigError` for a device that is not there.
    """
    device = choose_device(settings.device, settings.weights, settings.backend)
    found = machine(device) | ({"threads": threads} if threads else {})
    for name, value in found.items():
        say(f"{name + ':':<14}{value}")
    return found


def machine(device: torch.device) -> dict[str, str]:
    """What the figures were measured on, the network on ``device``."""
    versions = ", ".join(f"{name} {_version(name)}" for name in PACKAGES)
    return {
        "machine": f"{_processor()}{_graphics(device)}, {platform.system()} {platform.release()}",
        "pace": f"{python_pace():.2f} s for {ADDITIONS:,} additions in plain Python",
        "threads": f"{available_processors()} processors for this process of {os.cpu_count()}; {_threads()}",
        "versions": f"python {platform.python_version()}, {versions}",
    }


def _threads() -> str:
    single = "OpenCV, torch, LiteRT and OpenVINO" if openvino_is_faster() else "OpenCV, torch and LiteRT"
    live = f"{turn_threads(scene=False)} live without objects"
    return f"{single} 1 each, ONNX Runtime {network_threads()} ({live}), decoder and encoder {codec_threads()} each"


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        names = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if "model name" in line]
        if names:
            return names[0]
    return platform.processor() or platform.machine()


def _graphics(device: torch.device) -> str:
    """The name of what the network runs on, where that is no processor."""
    if device.type == "cuda":
        return f" and {torch.cuda.get_device_name(device)} ({device})"
    return "" if device.type == "cpu" else f" and its graphics ({device})"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"
