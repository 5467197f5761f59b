"""What counts as finished: the same input by its place and content, whatever it is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fakes import FixedRecognizer, make_video, stamp
from PIL import Image

from stemo.cli import main
from stemo.modes import standing


@pytest.fixture(autouse=True)
def _inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("stemo.modes.video.make_recognizer", lambda _settings: FixedRecognizer())


def draw(folder: str, *names: str) -> None:
    Path(folder).mkdir(parents=True, exist_ok=True)
    for name in names:
        Image.fromarray(stamp(1, 96, 64)).save(Path(folder, name))


def read(spec: str, output: Path) -> int:
    """One run with ``--resume``, which leaves alone what is finished."""
    return main(["--video", spec, "--output", str(output), "--no-video", "--resume"])


def test_a_folder_with_another_image_is_not_finished(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    draw("shots", "1.png", "2.png")
    assert read("shots", tmp_path / "out.mp4") == 0
    assert read("shots", tmp_path / "out.mp4") == 0
    assert "is finished" in capsys.readouterr().out
    draw("shots", "3.png")
    assert read("shots", tmp_path / "out.mp4") == 2
    assert "add --overwrite" in capsys.readouterr().err


def test_a_file_of_equal_size_is_not_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_video(Path("in.mp4"), frames=3)
    assert read("in.mp4", tmp_path / "out.mp4") == 0
    data = bytearray(Path("in.mp4").read_bytes())
    place = data.index(b"Lavf")  # who has written it, which no reader needs
    data[place : place + 4] = b"Xxxx"
    Path("in.mp4").write_bytes(data)
    assert read("in.mp4", tmp_path / "out.mp4") == 2
    assert "add --overwrite" in capsys.readouterr().err


def test_another_input_of_the_same_relative_name_is_not_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder in ("anna", "ben"):
        draw(f"{folder}/shots", "1.png")
    monkeypatch.chdir(tmp_path / "anna")
    assert read("shots", tmp_path / "out.mp4") == 0
    monkeypatch.chdir(tmp_path / "ben")
    assert read("shots", tmp_path / "out.mp4") == 2
    assert "add --overwrite" in capsys.readouterr().err


def test_facts_of_an_older_version_are_compared_as_far_as_they_go(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_video(Path("in.mp4"), frames=3)
    assert read("in.mp4", tmp_path / "out.mp4") == 0
    facts = json.loads(Path("out_meta.json").read_text())
    assert facts["source"]["path"] == str(tmp_path / "in.mp4")
    del facts["source"]["path"], facts["source"]["fingerprint"]
    Path("out_meta.json").write_text(json.dumps(facts))
    assert read("in.mp4", tmp_path / "out.mp4") == 0
    assert "is finished" in capsys.readouterr().out
    make_video(Path("in.mp4"), frames=9)
    assert read("in.mp4", tmp_path / "out.mp4") == 2
    assert "add --overwrite" in capsys.readouterr().err


def test_a_large_file_is_known_by_its_ends(tmp_path: Path) -> None:
    large = tmp_path / "large.mp4"
    with large.open("wb") as file:
        file.truncate(10 << 30)  # a hole on the disk
    known = standing.fingerprint(large)
    with large.open("rb+") as file:
        file.seek(-1, 2)
        file.write(b"x")
    assert standing.fingerprint(large) != known
    assert known["bytes"] == 10 << 30
    assert standing.fingerprint(tmp_path / "nothing.mp4") == {}
