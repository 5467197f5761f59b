"""The networks inside MediaPipe's file say the same in OpenVINO as in LiteRT."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest
from conftest import ROOT

from stemo.assets import locate
from stemo.faces import inner_networks
from stemo.faces.inner_networks import LiteRt, Openvino, open_network
from stemo.records import Array, Image

CONVOLUTIONS = ("face_landmarks_detector.tflite", "face_detector.tflite")
needs_openvino = pytest.mark.skipif(not inner_networks.openvino_is_faster(), reason="OpenVINO is for x86 processors")


def part(name: str) -> bytes:
    with zipfile.ZipFile(locate("face_landmarker")) as parts:
        return parts.read(name)


def shown(picture: Image, shape: tuple[int, ...]) -> Array:
    """The picture as a network's input."""
    return (cv2.resize(picture, (shape[2], shape[1])) / 255).astype(np.float32)[None]


@pytest.fixture(scope="module")
def picture(photo: Image) -> Image:
    return np.ascontiguousarray(photo[40:440, 800:1200])


@pytest.mark.slow
@needs_openvino
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_openvino_says_what_litert_says(name: str, picture: Image) -> None:
    one, other = Openvino(part(name)), LiteRt(part(name))
    assert one.shape == other.shape
    values = shown(picture, one.shape)
    for said, expected in zip(one(values), other(values), strict=True):
        assert said.shape == expected.shape
        assert said.dtype == np.float32
        assert np.ptp(expected) > 0 or expected.size == 1
        # pixels of 256 for the mesh, logits elsewhere
        np.testing.assert_allclose(said, expected, atol=2e-3)


@needs_openvino
def test_what_openvino_said_stays(picture: Image) -> None:
    network = Openvino(part(CONVOLUTIONS[0]))
    values = shown(picture, network.shape)
    before = network(values)
    kept = [said.copy() for said in before]
    network(values[:, ::-1])
    for said, expected in zip(before, kept, strict=True):
        np.testing.assert_array_equal(said, expected)


@pytest.mark.slow
@needs_openvino
@pytest.mark.parametrize("threads", [1, 2])
def test_openvino_repeats_itself_to_the_bit(picture: Image, threads: int) -> None:
    one, other = Openvino(part(CONVOLUTIONS[0])), Openvino(part(CONVOLUTIONS[0]), threads)
    values = shown(picture, one.shape)
    for said, again in zip(one(values), other(values), strict=True):
        np.testing.assert_array_equal(said, again)


@needs_openvino
def test_convolutions_run_in_openvino_and_the_rest_in_litert() -> None:
    assert isinstance(open_network(part(CONVOLUTIONS[1]), convolutions=True), Openvino)
    assert isinstance(open_network(part("face_blendshapes.tflite"), convolutions=False), LiteRt)


@pytest.mark.parametrize("machine", ["arm64", "aarch64"])
def test_other_processors_have_litert(machine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: machine)
    assert isinstance(open_network(part(CONVOLUTIONS[1]), convolutions=True), LiteRt)


@pytest.fixture
def _loaded_anew() -> Iterator[None]:
    inner_networks._core.cache_clear()
    yield
    inner_networks._core.cache_clear()


@pytest.mark.usefixtures("_loaded_anew")
def test_without_openvino_there_is_litert(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    assert isinstance(open_network(part(CONVOLUTIONS[1]), convolutions=True), LiteRt)


@pytest.mark.usefixtures("_loaded_anew")
def test_where_openvino_does_not_load_there_is_litert(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", ModuleType("openvino"))  # as a folder of that name would be
    assert not inner_networks.openvino_is_faster()
    assert isinstance(open_network(part(CONVOLUTIONS[1]), convolutions=True), LiteRt)


@needs_openvino
def test_without_a_place_for_temporary_files_there_is_litert(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    assert isinstance(open_network(part(CONVOLUTIONS[1]), convolutions=True), LiteRt)


def test_another_file_is_a_value_error() -> None:
    with pytest.raises(ValueError, match=r"."):
        open_network(b"no network", convolutions=True)


@needs_openvino
@pytest.mark.slow
def test_nobody_is_told_that_openvino_is_used(tmp_path: Path) -> None:
    code = (
        "import multiprocessing, sys\n"
        "from stemo.faces.inner_networks import openvino_is_faster\n"
        "assert openvino_is_faster() and 'openvino' in sys.modules\n"
        "assert sys.modules['openvino_telemetry'] is None\n"
        "assert multiprocessing.active_children() == []\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != "CI"} | {"HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, check=True, timeout=120)
    assert list(tmp_path.iterdir()) == []
