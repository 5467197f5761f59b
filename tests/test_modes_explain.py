"""``--explain``: a picture for a picture, a video for a video, and one line for what cannot be explained."""

from __future__ import annotations

from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import numpy as np
import pytest
from fakes import make_video
from PIL import Image as PilImage

from stemo.cli import main
from stemo.config import RecognitionSettings
from stemo.errors import ConfigError, InputError, OutputError, TruncatedError, WeightsError
from stemo.modes.demo import HEIGHT, WIDTH, load_photograph, moving
from stemo.modes.explain import find_label, run_explain
from stemo.output.video import VideoWriter
from stemo.records import EMOTIONS, Image


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """Two people, 1280 x 720."""
    path = tmp_path / "photo.png"
    PilImage.fromarray(load_photograph()).save(path)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


@pytest.fixture
def settings(fresh_weights: Path) -> RecognitionSettings:
    return RecognitionSettings(weights=str(fresh_weights), device="cpu")


def _read(path: Path) -> Image:
    return np.asarray(PilImage.open(path).convert("RGB"))


@pytest.mark.slow
def test_a_picture_is_explained_in_picture_and_words(photo: Path, folder: Path, settings: RecognitionSettings) -> None:
    said: list[str] = []
    assert run_explain(str(photo), folder / "a.png", settings, None, False, said.append) == 0
    drawn, before = _read(folder / "a.png"), _read(photo)
    assert drawn.shape == before.shape
    changed = (drawn != before).any(2)
    assert changed[100:280, 900:1060].mean() > 0.2  # the face of the man on the right
    assert not changed[:30].any()
    assert not changed[:250, :300].any()
    assert [line.split()[0] for line in said] == ["face", "face", "wrote"]
    assert list(folder.iterdir()) == [folder / "a.png"]


@pytest.mark.slow
def test_another_category_gives_another_picture(photo: Path, folder: Path, settings: RecognitionSettings) -> None:
    said: list[str] = []
    for name in ("happy", "SAD"):
        run_explain(str(photo), folder / f"{name}.png", settings, name, False, said.append)
    assert (_read(folder / "happy.png") != _read(folder / "SAD.png")).any()
    assert "Happy" in said[0]
    assert "Sad" in said[-2]


@pytest.mark.slow
def test_a_video_is_explained_frame_by_frame(tmp_path: Path, folder: Path, settings: RecognitionSettings) -> None:
    with VideoWriter(tmp_path / "clip.mp4", WIDTH, HEIGHT, Fraction(25)) as writer:
        for index, image in enumerate(islice(moving(load_photograph()), 8)):
            writer.write(image, index / 25)
    assert main(["--explain", str(tmp_path / "clip.mp4"), "--output", str(folder / "a.mp4"),
                 "--weights", str(settings.weights), "--device", "cpu"]) == 0  # fmt: skip
    with av.open(str(folder / "a.mp4")) as video, av.open(str(tmp_path / "clip.mp4")) as source:
        assert video.streams.video[0].codec_context.name == "h264"
        drawn = [(frame.time, frame.to_ndarray(format="rgb24").astype(int)) for frame in video.decode(video=0)]
        before = [(frame.time, frame.to_ndarray(format="rgb24").astype(int)) for frame in source.decode(video=0)]
    assert [time for time, _ in drawn] == pytest.approx([time for time, _ in before])
    for (_, one), (_, other) in zip(drawn, before, strict=True):
        assert (np.abs(one - other).max(2) > 40).mean() > 0.02
    assert list(folder.iterdir()) == [folder / "a.mp4"]


@pytest.mark.slow
def test_a_video_that_breaks_off_keeps_what_was_drawn(
    tmp_path: Path, folder: Path, settings: RecognitionSettings
) -> None:
    make_video(tmp_path / "whole.mp4", frames=60, options={"movflags": "faststart"})
    data = (tmp_path / "whole.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(data[: len(data) * 2 // 3])
    with pytest.raises(TruncatedError):
        run_explain(str(tmp_path / "cut.mp4"), folder / "a.mp4", settings, None, False, print)
    with av.open(str(folder / "a.mp4")) as video:
        assert 5 < sum(1 for _ in video.decode(video=0)) < 60
    assert list(folder.iterdir()) == [folder / "a.mp4"]


@pytest.mark.slow
def test_what_cannot_be_explained_is_said_and_leaves_nothing(
    tmp_path: Path, folder: Path, photo: Path, settings: RecognitionSettings
) -> None:
    blank, clip = tmp_path / "blank.png", tmp_path / "clip.mp4"
    PilImage.fromarray(np.full((200, 300, 3), 90, np.uint8)).save(blank)
    make_video(clip, frames=3)
    before = photo.read_bytes()

    def refused(spec: Path, output: Path, kind: type[Exception], emotion: str | None = None) -> str:
        with pytest.raises(kind) as caught:
            run_explain(str(spec), output, settings, emotion, True, print)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    assert "shows no face" in refused(blank, folder / "a.png", InputError)
    assert "does not exist" in refused(tmp_path / "none.png", folder / "a.png", InputError)
    assert "ending in .png" in refused(photo, folder / "a.mp4", ConfigError)
    assert "ending in .mp4" in refused(clip, folder / "a.png", ConfigError)
    assert "is the input" in refused(photo, photo, ConfigError)
    assert "mkdir -p" in refused(photo, folder / "none" / "a.png", OutputError)
    assert "Did you mean Happy?" in refused(photo, folder / "a.png", ConfigError, "hapy")
    assert list(folder.iterdir()) == []
    assert photo.read_bytes() == before


@pytest.mark.slow
def test_existing_outputs_and_missing_weights_are_refused(
    photo: Path, folder: Path, settings: RecognitionSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(WeightsError, match="cannot be read"):
        run_explain(str(photo), folder / "a.png", RecognitionSettings(weights="none.safetensors"), None, False, print)
    (folder / "a.png").write_bytes(b"precious")
    given = ["--explain", str(photo), "--output", str(folder / "a.png"), "--weights", str(settings.weights)]
    assert main(given) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert (folder / "a.png").read_bytes() == b"precious"


def test_emotions_are_found_however_they_are_written() -> None:
    assert find_label("sad", EMOTIONS) == "Sad"
    assert find_label(None, EMOTIONS) is None
    assert find_label("boredom", ("Boredom", "Focus")) == "Boredom"
