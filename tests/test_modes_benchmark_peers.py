"""Other tools are run in their own Python, all are asked the same, and one that fails is marked."""

from __future__ import annotations

import json
import sysconfig
import venv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fakes import make_video

from stemo.cli import main
from stemo.config import RecognitionSettings
from stemo.errors import ConfigError, DataError
from stemo.modes.benchmark.peers import known
from stemo.modes.benchmark.peers.accuracy import faces_to_score, score_guesses
from stemo.modes.benchmark.peers.children import ClipRun
from stemo.modes.benchmark.peers.known import PEERS, Peer, installed, missing, python_of
from stemo.modes.benchmark.peers.run import _stemo, read_in_rounds
from stemo.modes.benchmark.peers.standing import Tool
from stemo.modes.benchmark.peers.table import markdown, terminal
from stemo.training.layouts import load_any

# finds two faces in every other picture, and names an emotion by how bright a face is
FAKE_FER = """
import sys
print("loading, which is no answer")

class FER:
    def __init__(self, offsets=(10, 10)):
        self.offsets, self.pictures = offsets, 0
        assert "stemo" not in sys.modules

    def detect_emotions(self, picture, boxes=None):
        if boxes is None:
            self.pictures += 1
            assert self.offsets == (10, 10) and picture.shape == (64, 96, 3)
            faces = [(1, 2, 30, 40), (50, 2, 30, 40)] if self.pictures % 2 else []
        else:
            assert self.offsets == (0, 0) and boxes == [(0, 0, picture.shape[1], picture.shape[0])]
            faces = boxes
        happy = float(picture.mean() > 127)
        return [{"box": box, "emotions": {"happy": happy, "sad": 0.5}} for box in faces]
"""


@pytest.fixture(autouse=True)
def _short_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stemo.modes.benchmark.pace.ADDITIONS", 1000)


def make_place(folder: Path, source: str, package: str = "fer") -> Path:
    """A virtual environment with a made ``package``, and what this Python has."""
    venv.create(folder, symlinks=True)
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "others.pth").write_text(sysconfig.get_path("purelib"))
    (site / package).mkdir()
    (site / package / "__init__.py").touch()
    (site / package / "fer.py").write_text(source)
    (site / f"{package}-25.10.3.dist-info").mkdir()
    (site / f"{package}-25.10.3.dist-info" / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {package}\nVersion: 25.10.3\n"
    )
    return folder


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_place(tmp_path_factory.mktemp("venvs") / "fer", FAKE_FER)


def tool_of(place: Path) -> Tool:
    (found,) = installed([place])
    return Tool(found.peer.package, found.version, found.python, {"reader": str(found.peer.reader)})


def test_a_tool_is_found_by_its_environment_or_its_python(place: Path) -> None:
    for given in (place, place / "bin" / "python"):
        (found,) = installed([given])
        assert (found.peer.package, found.version) == ("fer", "25.10.3")
        assert f"numpy {np.__version__}" in found.beside


def test_a_place_without_a_tool_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"is no Python: expected a virtual environment.*nothing there"):
        python_of(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="a folder without one"):
        python_of(tmp_path)
    venv.create(tmp_path / "empty", symlinks=True)
    with pytest.raises(ConfigError, match="has no tool to compare with: expected fer, facex, got none"):
        installed([tmp_path / "empty"])
    (tmp_path / "python").write_text("no program")
    with pytest.raises(ConfigError, match="cannot be run"):
        installed([tmp_path / "python"])


@pytest.mark.slow
def test_clips_are_read_by_the_tool_itself(place: Path, tmp_path: Path) -> None:
    make_video(tmp_path / "clip.mp4", frames=9)
    tool, rows = tool_of(place), tmp_path / "rows.json"
    tool.read({"clip.mp4": tmp_path / "clip.mp4"}, rows, warm_up=4)
    assert tool.problem == ""
    (run,) = tool.runs["clip.mp4"]
    # four frames went before, so the first of nine is a picture with faces again
    assert run == ClipRun(9, 14, 10, run.seconds)
    assert tool.rate("clip.mp4") == pytest.approx(9 / run.seconds)
    assert tool.peaks[0] > 10
    lines = [json.loads(line) for line in rows.read_text().splitlines()]
    assert lines[0] == {"frame": 0, "box": [1.0, 2.0, 30.0, 40.0], "shares": {"happy": 0.0, "sad": 0.5}}
    assert lines[2] == {"frame": 1, "box": None, "shares": None}


def test_faces_are_read_as_they_are(place: Path, tmp_path: Path) -> None:
    sizes = ((48, 48), (20, 30))
    np.savez(tmp_path / "faces.npz", *(np.full((*size, 3), 250 * n, np.uint8) for n, size in enumerate(sizes)))
    assert tool_of(place).guess(tmp_path / "faces.npz") == ["sad", "happy"]


@pytest.mark.slow
def test_a_tool_that_fails_is_marked_and_left_out(place: Path, tmp_path: Path) -> None:
    make_video(tmp_path / "clip.mp4", frames=3)
    broken = tool_of(make_place(tmp_path / "broken", "raise OSError('weights are\\nmissing')"))
    said: list[str] = []
    sound = tool_of(place)
    read_in_rounds([broken, sound], {"clip.mp4": tmp_path / "clip.mp4"}, tmp_path, said.append)
    assert broken.problem == "OSError: weights are missing"
    assert broken.rate("clip.mp4") is None
    assert len(sound.runs["clip.mp4"]) == 3
    assert [line.split()[2] for line in said] == ["fer"] * 4  # once the broken one, then the other three times


def test_a_tool_that_dies_is_marked(tmp_path: Path) -> None:
    dead = tool_of(make_place(tmp_path / "dead", "import os; os.write(2, b'last words'); os._exit(3)"))
    dead.read({}, tmp_path / "rows.json", 0)
    assert dead.problem == "last words"


def test_every_known_tool_can_be_run_or_has_a_reason() -> None:
    for peer in PEERS:
        assert bool(peer.reader) != bool(peer.needs)
        assert peer.reader is None or peer.reader.is_file()
    reasons = missing([known.Installed(Peer("fer"), "1", Path("python"))])
    assert "fer" not in reasons
    assert reasons["deepface"].startswith("could not run: needs a download of")
    assert "pip install facex==" in reasons["facex"]


def test_stemo_finds_in_its_own_process_the_files_that_were_given_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    files = {"weights": "w.safetensors", "landmarker": "l.task", "face_weights": "f.onnx", "object_weights": "o.pt"}
    given = _stemo(replace(RecognitionSettings(detector="yunet"), **files)).job["given"]
    assert {name: given[name] for name in files} == {name: str(tmp_path / file) for name, file in files.items()}
    assert given["detector"] == "yunet"
    assert _stemo(RecognitionSettings()).job["given"]["weights"] is None


def test_guesses_count_by_any_common_name() -> None:
    stills = load_any(Path("made"))[:4]
    truth = [still.label for still in stills]
    names = ["angry", "disgust", "fear", "happy", "neutral", "sad", "surprise"]
    right = [names[label] for label in truth if label is not None]
    assert score_guesses(stills, right).accuracy == 1.0
    assert score_guesses(stills, ["contempt", *right[1:]]).accuracy == 0.75


def test_the_table_says_what_was_and_what_was_not_measured() -> None:
    run = {"frames_per_second": 50.0, "rows": 12, "rows_with_a_face": 10}
    good = {"version": "1", "beside": "", "problem": "", "clips": {"a.mp4": run}, "peak_memory_mb": 500.4}
    bad = {"version": "2", "beside": "numpy 9", "problem": "OSError", "clips": {}, "peak_memory_mb": None}
    facts = {
        "tools": {
            "stemo": good | {"accuracy": 0.882, "macro_recall": 0.777, "n": 3144},
            "fer": bad | {"accuracy": None, "macro_recall": None, "n": None},
        },
        "not_run": {"rmn": "could not run: needs a download of its checkpoint"},
        "clips": {"a.mp4": "96x64"},
        "machine": {"machine": "a processor"},
        "rounds": 3,
        "rule": "majority",
    }
    lines = markdown(facts).splitlines()
    assert lines[0] == "| tool | frames/s, a.mp4 (96x64) | peak memory | accuracy, n 3144 | macro recall |"
    assert lines[2] == "| stemo 1 | 50.0 (12, 10) | 500 MB | 88.2% | 77.7% |"
    assert lines[3] == "| fer 2 | - | - | - | - |"
    assert lines[4] == "| fer | could not run: OSError |  |  |  |"
    assert lines[5] == "| rmn | could not run: needs a download of its checkpoint |  |  |  |"
    assert "majority" in lines[-1]
    assert lines[-1].endswith("a processor; fer with numpy 9.")
    shown = list(terminal(facts))
    assert shown[1].split() == ["stemo", "1", "50.0", "(12,", "10)", "500", "MB", "88.2%", "77.7%"]
    assert "rmn: could not run: needs a download of its checkpoint" in shown


def test_faces_of_another_split_are_refused() -> None:
    with pytest.raises(DataError, match="has no face to score: expected the split nowhere"):
        faces_to_score(Path("made"), "nowhere")


@pytest.mark.slow
def test_the_whole_way(place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_video(tmp_path / "clip.mp4", frames=30)
    command = ["--benchmark", str(tmp_path / "clip.mp4"), "--peers", str(place), "--data", "made"]
    assert main([*command, "--output", str(tmp_path / "peers.json")]) == 0
    facts = json.loads((tmp_path / "peers.json").read_text())
    own, other = facts["tools"]["stemo"], facts["tools"]["fer"]
    assert own["problem"] == other["problem"] == ""
    assert own["clips"]["clip.mp4"]["rows"] == 30  # nobody is on it
    assert own["clips"]["clip.mp4"]["rows_with_a_face"] == 0
    assert len(other["clips"]["clip.mp4"]["runs"]) == 3
    assert own["n"] == other["n"] == len(faces_to_score(Path("made"), None))
    assert main(["--evaluate", "made", "--split", "valid", "--output", str(tmp_path / "report")]) == 0
    scored = json.loads((tmp_path / "report" / "metrics.json").read_text())
    assert (own["n"], own["accuracy"]) == (scored["n"], scored["accuracy"])
    assert own["per_class_recall"] == scored["per_class_recall"]
    assert (tmp_path / "peers.md").read_text().startswith("| tool |")
    assert "fer 25.10.3" in capsys.readouterr().out
