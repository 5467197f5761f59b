"""Fixtures shared by all tests."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import settings

from stemo.records import Image

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"

# how long an example takes is up to what else the machine does, and a run in which something fails can be had again;
# only who asks for more examples wants others every time
settings.register_profile("stemo", deadline=None, derandomize="STEMO_EXAMPLES" not in os.environ)
settings.load_profile("stemo")


def wait_until(true: Callable[[], bool], what: str, limit: float = 120) -> None:
    """Wait until ``true`` is, at most ``limit`` seconds; then the test fails and says ``what`` never came."""
    end = time.monotonic() + limit
    while not true():
        if time.monotonic() > end:
            pytest.fail(f"waited {limit:g} s in vain: {what}")
        time.sleep(0.01)


@contextmanager
def running(command: Sequence[str | Path], folder: Path, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """A program at work in ``folder``, in this environment or else the test's own; killed where the test ends first."""
    with subprocess.Popen(
        list(command),
        cwd=folder,
        env=environment or None,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def shared() -> Path:
    """The folder of research data and real clips beside the checkout; skips where it is absent."""
    if not SHARED.is_dir():
        pytest.skip(f"needs the research data in {SHARED}, which is not part of the repository")
    return SHARED


@pytest.fixture
def stage_threads() -> Callable[[], list[threading.Thread]]:
    """The living threads of pipelines begun in this test; others may belong to tests that have failed."""
    before = threading.enumerate()
    return lambda: [t for t in threading.enumerate() if t.name == "stemo-stage" and t not in before]


@pytest.fixture
def _usual_ctrl_c() -> Iterator[None]:
    """Ctrl-C as in a terminal, here and in the processes that this one starts."""
    # a background job of a shell starts with SIGINT ignored, and so may the whole test run
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def photo() -> Image:
    """Two people, 1280 x 720, from the ultralytics package."""
    spec = importlib.util.find_spec("ultralytics")
    assert spec is not None
    assert spec.origin is not None
    path = Path(spec.origin).parent / "assets" / "zidane.jpg"
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    assert image is not None
    return np.ascontiguousarray(image[..., ::-1], np.uint8)


@pytest.fixture(scope="session")
def fresh_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Untrained weights, the same in every run: they read faces without meaning, which is enough for most tests."""
    import torch

    from stemo.network.checkpoint import WeightFacts, save_weights
    from stemo.network.model import Network

    path = tmp_path_factory.mktemp("weights") / "fresh.safetensors"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        save_weights(path, Network(), WeightFacts(name="fresh"))
    return path


@pytest.fixture(scope="session")
def live_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip without faces to play as a camera, longer than any test that does so."""
    from fakes import make_video
    from going_live import LONG

    path = tmp_path_factory.mktemp("clips") / "long.mp4"
    make_video(path, frames=LONG)
    return path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, prepared for ``--resume``."""
    from resuming import prepare

    prepare(tmp_path, monkeypatch)
    return tmp_path


@pytest.fixture
def whole(folder: Path) -> Path:
    """The results of a run in ``folder`` that nobody disturbed, without ``--resume``."""
    from resuming import DATA, files, read

    assert read("whole") == 0
    assert sorted(files("whole")) == sorted(DATA)
    return folder / "whole"


@pytest.fixture
def interrupted(folder: Path) -> Path:
    """What a kill has left in ``folder`` at frame 24 or a little later."""
    from resuming import leave_interrupted

    out = leave_interrupted()
    assert out.parent == folder
    return out
