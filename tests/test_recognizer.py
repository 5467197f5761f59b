"""The library's front door: which device reads, and pictures one after the other, each by itself."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from stemo.capture import open_source
from stemo.errors import ConfigError
from stemo.faces.analyzer import FaceAnalyzer
from stemo.network.streaming import StreamReader
from stemo.recognizer import Recognizer, choose_device, turn_threads
from stemo.records import Frame, Image, Reading


@pytest.fixture
def graphics(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with CUDA, as far as it is asked."""
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)


# --- which device ---


@pytest.mark.usefixtures("graphics")
@pytest.mark.parametrize(("backend", "device"), [("auto", "cuda"), ("torch", "cuda"), ("onnx", "cpu"), ("int8", "cpu")])
def test_auto_is_the_processor_for_what_runs_nowhere_else(fresh_weights: Path, backend: str, device: str) -> None:
    assert choose_device("auto", None, backend) == torch.device(device)
    assert Recognizer(weights=fresh_weights, backend=backend).device == torch.device(device)


@pytest.mark.parametrize(("backend", "device"), [("auto", "mps"), ("onnx", "cpu")])
def test_apples_graphics_are_left_alone_just_so(monkeypatch: pytest.MonkeyPatch, backend: str, device: str) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: True)
    assert choose_device("auto", None, backend) == torch.device(device)


@pytest.mark.usefixtures("graphics")
def test_graphics_that_were_asked_for_refuse_and_name_both_ways_out(fresh_weights: Path) -> None:
    with pytest.raises(ConfigError, match="expected device cpu, got cuda") as caught:
        Recognizer(weights=fresh_weights, device="cuda", backend="onnx").stream("onnx")
    assert "--device cpu" in str(caught.value)
    assert "--backend torch" in str(caught.value)


@pytest.mark.usefixtures("graphics")
def test_onnx_reads_beside_graphics_without_a_device_being_named(fresh_weights: Path) -> None:
    recognizer = Recognizer(weights=fresh_weights, backend="onnx")
    assert recognizer.engine == "onnx"
    assert recognizer.stream("onnx").device == torch.device("cpu")


# --- stages in turn ---


@pytest.mark.parametrize(
    ("processors", "scene", "threads"), [(1, True, 1), (2, False, 2), (2, True, 1), (4, True, 3), (64, False, 4)]
)
def test_stages_in_turn_share_what_the_scene_leaves(
    monkeypatch: pytest.MonkeyPatch, processors: int, scene: bool, threads: int
) -> None:
    monkeypatch.setattr("stemo.recognizer.available_processors", lambda: processors)
    assert turn_threads(scene) == threads


@pytest.mark.slow
def test_stages_in_turn_read_what_overlapped_ones_do(photo: Image, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stemo.recognizer.available_processors", lambda: 3)
    moved = [np.ascontiguousarray(photo[40:440, 700 - 2 * step : 1280 - 2 * step]) for step in range(6)]
    frames = [Frame(index, index / 25, image) for index, image in enumerate(moved)]
    recognizer = Recognizer()
    with recognizer.stages(in_turn=True) as alone, recognizer.stages() as shared:
        one, other = (list(pipeline.results(frames, overlapped=False)) for pipeline in (alone, shared))
    for mine, expected in zip(one, other, strict=True):
        (reading,), (wanted,) = mine.readings, expected.readings
        assert reading.raw is not None
        assert wanted.raw is not None
        np.testing.assert_allclose(reading.raw.probabilities, wanted.raw.probabilities, atol=1e-4)


# --- single pictures ---


class Counted(Recognizer):
    """Counts what it makes; each analyzer that was closed counts as well."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.streams, self.analyzers, self.closed = 0, 0, 0
        self.analyzer = partial(self._analyzer, self.analyzer)  # type: ignore[assignment]

    def stream(self, backend: str, threads: int | None = None) -> StreamReader:
        self.streams += 1
        return super().stream(backend, threads)

    def _analyzer(self, make: partial[FaceAnalyzer], **given: Any) -> FaceAnalyzer:
        self.analyzers += 1
        made = make(**given)
        close = made.close

        def closing() -> None:
            self.closed += 1
            close()

        made.close = closing  # type: ignore[method-assign]
        return made


@pytest.fixture(scope="module")
def pictures(photo: Image) -> list[Image]:
    """With a face, without one, of another size with two, and the first again."""
    face = np.ascontiguousarray(photo[40:440, 700:1280])
    return [face, np.full((300, 400, 3), 90, np.uint8), photo, face]


@pytest.fixture
def recognizer(fresh_weights: Path) -> Iterator[Counted]:
    with Counted(weights=fresh_weights, device="cpu") as made:
        yield made


def plain(readings: list[Reading]) -> list[Any]:
    """Everything that is said of a picture's faces, to the bit."""
    said = []
    for reading in readings:
        assert reading.face is not None
        face = reading.face
        arrays = [None if part is None else part.tobytes() for part in (face.landmarks, face.blendshapes)]
        said.append((reading.frame, reading.time, face.box, face.score, face.track_id, face.pose, *arrays))
        said.append((reading.raw, reading.smoothed))
    return said


@pytest.mark.slow
def test_pictures_in_a_row_are_read_as_each_by_itself(
    recognizer: Counted, pictures: list[Image], fresh_weights: Path
) -> None:
    in_a_row = [plain(recognizer.image(picture)) for picture in pictures]
    assert [len(said) // 2 for said in in_a_row] == [1, 0, 2, 1]
    assert in_a_row[0] == in_a_row[3]
    for picture, said in zip(pictures[:3], in_a_row, strict=False):
        with Recognizer(weights=fresh_weights, device="cpu") as fresh:
            assert plain(fresh.image(picture)) == said
            (result,) = fresh.results(_one_frame(picture), overlapped=False)
            assert plain(list(result.faces)) == said, "the first frame of a stream is read so"
    assert (recognizer.streams, recognizer.analyzers) == (1, 1)


def _one_frame(picture: Image) -> list[Any]:
    from stemo.records import Frame

    return [Frame(0, 0.0, picture)]


@pytest.mark.slow
def test_a_real_clip_is_read_the_same_to_the_bit_overlapped_or_not(shared: Path) -> None:
    recognizer, ways = Recognizer(device="cpu", faces=6), []
    for overlapped in (False, True):
        with open_source(shared / "videos" / "several_faces.mp4") as source:
            results = recognizer.results(islice(source, 60), overlapped=overlapped)
            ways.append([plain(list(result.faces)) for result in results])
    alone, together = ways
    assert len(alone) == 60
    assert max(len(said) // 2 for said in alone) >= 2
    for one, other in zip(alone, together, strict=True):
        assert one == other


@pytest.mark.slow
def test_closing_frees_and_a_later_picture_begins_anew(recognizer: Counted, pictures: list[Image]) -> None:
    recognizer.close()
    before = plain(recognizer.image(pictures[0]))
    recognizer.close()
    recognizer.close()
    assert (recognizer.analyzers, recognizer.closed) == (1, 1)
    assert plain(recognizer.image(pictures[0])) == before
    assert (recognizer.analyzers, recognizer.closed) == (2, 1)


@pytest.mark.slow
def test_threads_take_turns(recognizer: Counted, pictures: list[Image]) -> None:
    said: dict[int, list[Any]] = {}

    def read(place: int) -> None:
        said[place] = plain(recognizer.image(pictures[place]))

    threads = [threading.Thread(target=read, args=(place,)) for place in range(len(pictures))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(said[place]) // 2 for place in range(len(pictures))] == [1, 0, 2, 1]
    assert said[0] == said[3]
    assert recognizer.analyzers == 1


def test_a_picture_of_another_layout_is_refused_before_anything_is_made(recognizer: Counted) -> None:
    with pytest.raises(ConfigError, match="expected uint8"):
        recognizer.image(np.zeros((3, 20, 20), np.float32))  # type: ignore[arg-type]
    assert recognizer.analyzers == 0


def test_a_picture_that_mediapipe_would_end_the_process_for_is_refused(recognizer: Counted) -> None:
    with pytest.raises(ConfigError, match="is too large: expected at most 32766 pixels a side, got 32767"):
        recognizer.image(np.zeros((1, 32_767, 3), np.uint8))
