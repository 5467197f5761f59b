"""What cannot be measured, kept or put together is refused in one line, before anything is measured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fakes import FixedRecognizer, make_video

from stemo.cli import main
from stemo.errors import OutputError
from stemo.insight.smoothing import MovingAverage
from stemo.modes.benchmark.output import Output
from stemo.records import Frame


class Room:
    """A folder with a clip of 40 frames, measured by a recognizer without models; ``seen`` are the frames it read."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.clip, self.seen = folder, folder / "talk.mp4", list[Frame]()
        make_video(self.clip, frames=40)

    def benchmark(self, *flags: object, clips: tuple[Path, ...] = ()) -> int:
        return main(["--benchmark", *map(str, (*(clips or (self.clip,)), *flags))])

    def make_recognizer(self, _settings: object) -> FixedRecognizer:
        recognizer = FixedRecognizer(meanwhile=self.seen.append)
        recognizer.smoother = lambda: MovingAverage(5)  # pyright: ignore[reportAttributeAccessIssue]
        return recognizer


@pytest.fixture(autouse=True)
def _short_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stemo.modes.benchmark.pace.ADDITIONS", 1000)


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Room:
    room = Room(tmp_path)
    for place in ("run", "steady"):
        monkeypatch.setattr(f"stemo.modes.benchmark.{place}.make_recognizer", room.make_recognizer)
    monkeypatch.setattr("stemo.modes.benchmark.run.network_times", lambda _recognizer, _say, _loads: {})
    return room


def refusal(capsys: pytest.CaptureFixture[str]) -> str:
    """The one line on stderr; nothing was measured, for nothing was said."""
    out, error = capsys.readouterr()
    assert out == ""
    assert error.count("\n") == 1
    return error


# --- where the figures go ---


@pytest.mark.parametrize("flags", [(), ("--frames", "5000"), ("--workers", "2"), ("--peers", "nowhere")], ids=str)
def test_a_clip_is_never_replaced_by_its_figures(
    room: Room, capsys: pytest.CaptureFixture[str], flags: tuple[str, ...]
) -> None:
    video = room.clip.read_bytes()
    assert room.benchmark("--output", room.clip, "--overwrite", *flags) == 2
    assert "is a clip to measure: expected another name, got the same" in refusal(capsys)
    assert room.clip.read_bytes() == video


@pytest.mark.slow
def test_a_file_is_replaced_only_when_asked(room: Room, capsys: pytest.CaptureFixture[str]) -> None:
    kept = room.folder / "facts.json"
    kept.write_text("mine")
    assert room.benchmark("--output", kept) == 2
    assert "Choose another --output or add --overwrite." in refusal(capsys)
    assert kept.read_text() == "mine"
    assert room.benchmark("--output", kept, "--overwrite") == 0
    assert set(json.loads(kept.read_text())["clips"]) == {"talk.mp4"}
    assert f"wrote {kept}" in capsys.readouterr().out
    assert {path.name for path in room.folder.iterdir()} == {"talk.mp4", "facts.json"}


def test_a_missing_folder_is_told_before_the_run(room: Room, capsys: pytest.CaptureFixture[str]) -> None:
    assert room.benchmark("--output", room.folder / "nofolder" / "x.json") == 2
    assert "nofolder' is missing" in refusal(capsys)


def test_the_table_of_peers_has_a_place_of_its_own(room: Room, capsys: pytest.CaptureFixture[str]) -> None:
    assert room.benchmark("--peers", "nowhere", "--output", room.folder / "peers.md") == 2
    assert "expected another ending with --peers, got '.md'" in refusal(capsys)
    (room.folder / "README.md").write_text("mine")
    assert room.benchmark("--peers", "nowhere", "--output", room.folder / "README.json") == 2
    assert "README.md' exists" in refusal(capsys)
    assert room.benchmark("--peers", "nowhere", "--output", room.folder / "README.json", "--overwrite") == 2
    assert "is no Python" in refusal(capsys)
    assert (room.folder / "README.md").read_text() == "mine"


def test_what_appears_during_a_run_is_not_replaced(tmp_path: Path) -> None:
    output = Output(tmp_path / "facts.json")
    output.check([])
    output.path.write_text("another's")
    with pytest.raises(OutputError, match="exists"):
        output.write_facts({}, print)
    assert output.path.read_text() == "another's"


# --- what goes together ---


@pytest.mark.parametrize("flags", [("--frames", "5000"), ("--workers", "2"), ("--peers", "nowhere")], ids=str)
def test_only_the_plain_benchmark_is_recorded(
    room: Room, capsys: pytest.CaptureFixture[str], flags: tuple[str, ...]
) -> None:
    assert room.benchmark("--record", "speed", *flags) == 2
    assert f"expected no other kind, got {flags[0]}. Leave out --record or {flags[0]}." in refusal(capsys)


@pytest.mark.parametrize("flags", [("--frames", "5000"), ("--peers", "nowhere")], ids=str)
@pytest.mark.parametrize("part", [("--start", "0.5"), ("--end", "1.5")], ids=str)
def test_whole_clips_are_looped_and_given_to_peers(
    room: Room, capsys: pytest.CaptureFixture[str], flags: tuple[str, ...], part: tuple[str, ...]
) -> None:
    assert room.benchmark(*part, *flags) == 2
    error = refusal(capsys)
    assert f"{part[0][2:]} {part[1]} cannot be used: expected whole clips" in error
    assert f"Leave out {part[0]}." in error


def test_clips_of_one_name_are_refused(room: Room, capsys: pytest.CaptureFixture[str]) -> None:
    (room.folder / "other").mkdir()
    other = room.folder / "other" / room.clip.name
    make_video(other, frames=40)
    assert room.benchmark(clips=(room.clip, other)) == 2
    assert "share a name: expected a name for each, got talk.mp4" in refusal(capsys)


# --- which frames are measured ---


@pytest.mark.slow
def test_only_frames_from_start_to_end_are_measured(room: Room) -> None:
    assert room.benchmark("--start", "0.2", "--end", "1.4") == 0
    rounds = 4  # stage by stage, and three times whole; then once live, where frames may be dropped
    assert 30 * rounds < len(room.seen) <= 30 * (rounds + 1)
    assert sorted({round(frame.time * 25) for frame in room.seen}) == list(range(5, 35))


def test_a_clip_with_next_to_nothing_to_time_is_refused(room: Room, capsys: pytest.CaptureFixture[str]) -> None:
    short = room.folder / "short.mp4"
    make_video(short, frames=20)
    assert room.benchmark(clips=(room.clip, short)) == 2
    assert f"clip {str(short)!r} is too short to measure: expected 25 frames or more, got 20." in refusal(capsys)
    assert room.benchmark("--start", "1") == 2
    assert "expected 25 frames or more, got 15. Give a longer one" in refusal(capsys)
    assert room.seen == []
