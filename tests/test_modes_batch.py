"""Many videos in one run: each on its own, what is finished is left alone, and the summary tells it all."""

from __future__ import annotations

import json
import shutil
import signal
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from batching import Room, make_room
from fakes import make_video

from stemo.errors import ConfigError, OutputError
from stemo.modes import video
from stemo.modes.batch.engines import choose_engine
from stemo.modes.batch.inputs import find_batch
from stemo.modes.batch.run import run_batch
from stemo.records import Frame

pytestmark = pytest.mark.slow


@pytest.fixture
def room(tmp_path: Path, fresh_weights: Path, monkeypatch: pytest.MonkeyPatch) -> Room:
    return make_room(tmp_path, fresh_weights, monkeypatch)


def test_every_video_has_its_results_and_its_row(room: Room) -> None:
    assert room.run(no_video=False) == 0
    made = {f"{name}{end}" for name in ("a b", "z Ölçü") for end in (".mp4", "_results.json", "_meta.json")}
    assert room.files == made
    assert [row["frame"] for row in room.rows("z Ölçü")] == [0, 0, 1, 1, 2, 2]
    row = room.summary["z Ölçü.mkv"]
    assert (row["outcome"], row["frames"], row["faces"], row["problem"]) == ("read", "3", "2", "")
    assert (float(row["fps"]), float(row["seconds"])) == (10, pytest.approx(0.3, abs=0.02))
    assert row["results"] == str(room.folder / "out" / "z Ölçü.mp4")
    assert float(row["frames_per_second"]) > 0


def test_progress_table_and_throughput_are_said(room: Room) -> None:
    room.run()
    assert room.said[0].startswith("[1/2] a b.mp4: 5 frames, 2 faces, ")
    assert room.said[1].startswith("[2/2] z Ölçü.mkv: 3 frames, 2 faces, ")
    header, first, second, throughput, wrote = room.said[2:]
    assert header.split() == ["video", "frames", "faces", "fps", "seconds", "read", "at", "outcome"]
    assert first.split()[:6] == ["a", "b.mp4", "5", "2", "25.00", "0.2"]
    assert len(header.rstrip()) == header.index("outcome") + len("outcome")
    assert second.endswith("read")
    assert throughput.startswith("2 videos read in ")
    assert "videos/min" in throughput
    assert "frames/s in all" in throughput
    assert wrote == f"wrote {room.folder / 'out' / 'summary.csv'}"


def test_a_broken_video_is_listed_and_the_others_are_read(room: Room) -> None:
    (room.folder / "in" / "m.mp4").write_text("no video\n" * 50)
    (room.folder / "in" / "n.mp4").touch()
    assert room.run(no_video=False) == 1
    assert room.outcomes == {"a b.mp4": "read", "m.mp4": "failed", "n.mp4": "failed", "z Ölçü.mkv": "read"}
    assert "is not a video" in room.summary["m.mp4"]["problem"]
    assert "is empty" in room.summary["n.mp4"]["problem"]
    assert not {name for name in room.files if name.startswith(("m", "n"))}
    assert any(line.startswith("[2/4] m.mp4: failed: input ") for line in room.said)
    assert "2 of 4 failed:" in room.said
    assert room.said[-2].startswith("2 videos read in ")


def test_an_unexpected_fault_is_listed_as_well(room: Room) -> None:
    def fail(frame: Frame) -> None:
        if frame.index == 4:
            raise ZeroDivisionError("one\nand two")

    room.meanwhile = fail
    assert room.run() == 1
    assert room.outcomes == {"a b.mp4": "failed", "z Ölçü.mkv": "read"}
    assert room.summary["a b.mp4"]["problem"] == "unexpected ZeroDivisionError: one and two"


def test_a_video_that_breaks_off_keeps_its_rows_and_is_read_again(room: Room) -> None:
    whole = room.folder / "whole.mp4"
    make_video(whole, frames=60, options={"movflags": "faststart"})
    cut = room.folder / "in" / "cut.mp4"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    assert room.run() == 1
    row = room.summary["cut.mp4"]
    assert row["outcome"] == "failed"
    assert "ends early" in row["problem"]
    assert 0 < int(row["frames"]) < 60
    whole.rename(cut)
    assert room.run() == 0
    assert room.read == ["cut.mp4"]
    assert room.summary["cut.mp4"]["frames"] == "60"


def test_a_second_run_reads_what_is_not_finished_only(room: Room) -> None:
    room.run()
    make_video(room.folder / "in" / "new.mp4", frames=2)
    (room.folder / "out" / "new_results.json.part").write_text("[")
    assert room.run() == 0
    assert room.read == ["new.mp4"]
    assert room.said[0] == "2 of 3 videos are finished: they are not read again."
    assert room.outcomes == {"a b.mp4": "skipped", "new.mp4": "read", "z Ölçü.mkv": "skipped"}
    assert (room.summary["a b.mp4"]["frames"], room.summary["a b.mp4"]["faces"]) == ("5", "2")
    assert not {name for name in room.files if name.endswith(".part")}


def test_results_of_other_settings_are_neither_skipped_nor_replaced_unasked(room: Room) -> None:
    room.run()
    before = (room.folder / "out" / "a b_results.json").read_bytes()
    assert room.run(smoothing=1) == 1
    assert room.read == []
    assert "smoothing 5, now 1" in room.summary["a b.mp4"]["problem"]
    assert "--overwrite" in room.summary["a b.mp4"]["problem"]
    assert (room.folder / "out" / "a b_results.json").read_bytes() == before
    assert room.run(smoothing=1, overwrite=True) == 0
    assert room.read == ["a b.mp4", "z Ölçü.mkv"]
    meta = json.loads((room.folder / "out" / "a b_meta.json").read_text(encoding="utf-8"))
    assert meta["settings"]["smoothing"] == 1


def test_what_is_missing_of_a_result_set_is_read_again(room: Room) -> None:
    room.run()
    assert room.run(no_video=False) == 0
    assert room.read == ["a b.mp4", "z Ölçü.mkv"]
    (room.folder / "out" / "a b_results.json").unlink()
    assert room.run(no_video=False) == 0
    assert room.read == ["a b.mp4"]


def test_another_input_or_other_weights_are_not_the_same_results(room: Room) -> None:
    room.run()
    make_video(room.folder / "in" / "a b.mp4", frames=9)
    facts = room.folder / "out" / "z Ölçü_meta.json"
    meta = json.loads(facts.read_text(encoding="utf-8"))
    facts.write_text(json.dumps({**meta, "model": {**meta["model"], "sha256": "0" * 64}}), encoding="utf-8")
    assert room.run() == 1
    assert "another size" in room.summary["a b.mp4"]["problem"]
    assert "other weights" in room.summary["z Ölçü.mkv"]["problem"]


def test_a_file_of_the_same_size_may_be_another(room: Room) -> None:
    room.run()
    clip = room.folder / "in" / "a b.mp4"
    data = clip.read_bytes()
    place = data.index(b"Lavf")  # who has written it, which no reader needs
    clip.write_bytes(data[:place] + b"Xxxx" + data[place + 4 :])
    assert room.run() == 1
    assert "other contents" in room.summary["a b.mp4"]["problem"]


def test_a_file_of_somebody_else_is_never_replaced_unasked(room: Room) -> None:
    (room.folder / "out").mkdir()
    mine = room.folder / "out" / "a b.mp4"
    mine.write_text("precious")
    assert room.run(no_video=False) == 1
    assert mine.read_text() == "precious"
    assert room.outcomes == {"a b.mp4": "failed", "z Ölçü.mkv": "read"}


def test_an_input_is_never_its_own_output(room: Room) -> None:
    batch = find_batch(str(room.folder / "in"), room.folder / "in")
    assert batch is not None
    before = (room.folder / "in" / "a b.mp4").read_bytes()
    code = run_batch(batch, room.settings, choose_engine(), room.said.append, no_video=False, overwrite=True)
    assert code == 1
    assert (room.folder / "in" / "a b.mp4").read_bytes() == before
    assert sum("is the input" in line for line in room.said) == 2  # as it came, and in the end


def test_an_interruption_keeps_what_is_done_and_the_next_run_does_the_rest(room: Room) -> None:
    def interrupt(frame: Frame) -> None:
        if frame.index == 2 and room.read[-1].startswith("z"):
            raise KeyboardInterrupt

    room.meanwhile = interrupt
    with pytest.raises(KeyboardInterrupt):
        room.run()
    assert room.outcomes == {"a b.mp4": "read", "z Ölçü.mkv": "not read"}
    room.meanwhile = lambda _frame: None
    assert room.run() == 0
    assert room.read == ["z Ölçü.mkv"]
    assert len(room.rows("z Ölçü")) == 6


@pytest.mark.parametrize("last", [False, True])
def test_an_interruption_while_a_video_is_finished_ends_the_batch_after_it(
    room: Room, monkeypatch: pytest.MonkeyPatch, last: bool
) -> None:
    finish = video.write_meta

    def interrupted(*given: Any, complete: bool, **facts: Any) -> None:
        if complete is last:
            signal.raise_signal(signal.SIGINT)
        finish(*given, complete=complete, **facts)

    with monkeypatch.context() as patch:
        patch.setattr(video, "write_meta", interrupted)
        with pytest.raises(KeyboardInterrupt):
            room.run()
    assert room.outcomes == {"a b.mp4": "read", "z Ölçü.mkv": "not read"}
    assert room.run() == 0
    assert room.outcomes == {"a b.mp4": "skipped", "z Ölçü.mkv": "read"}


def test_an_interrupted_video_is_gone_on_with(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    room.run(no_video=False)
    whole = {name: (room.folder / "out" / name).read_bytes() for name in room.files if name.endswith(".json")}
    shutil.rmtree(room.folder / "out")
    monkeypatch.setattr("stemo.pipeline.CHECKPOINT", 2)
    seen: list[int] = []

    def interrupt(frame: Frame) -> None:
        if frame.index == 3:
            raise KeyboardInterrupt

    room.meanwhile = interrupt
    with pytest.raises(KeyboardInterrupt):
        room.run(no_video=False, resume=True)
    assert (room.folder / "out" / ".a b.mp4.resume").is_dir()
    room.meanwhile = lambda frame: seen.append(frame.index)
    assert room.run(no_video=False, resume=True) == 0
    assert seen == [2, 3, 4, 0, 1, 2]
    assert {name: (room.folder / "out" / name).read_bytes() for name in whole} == whole
    assert room.files == {*whole, "a b.mp4", "z Ölçü.mp4"}
    (room.folder / "out" / ".a b.mp4.resume").mkdir()  # killed while it removed this
    assert room.run(no_video=False, resume=True) == 0
    assert room.read == []
    assert ".a b.mp4.resume" not in room.files


def test_a_fault_of_the_settings_ends_the_run_at_once(room: Room) -> None:
    with pytest.raises(ConfigError, match="'xml'"):
        room.run(format="xml")
    assert room.read == ["a b.mp4"]
    with pytest.raises(ConfigError, match="--format"):
        room.run(format="json,xml")


def test_an_output_that_is_no_folder_is_an_error(room: Room) -> None:
    batch = find_batch(str(room.folder / "in"), room.folder / "out.mp4")
    assert batch is not None
    with pytest.raises(OutputError, match="Name a folder"):
        run_batch(batch, room.settings, choose_engine(), print, no_video=True, overwrite=False)
    (room.folder / "out.mp4").touch()
    with pytest.raises(OutputError, match="cannot be made"):
        run_batch(batch, room.settings, choose_engine(), print, no_video=True, overwrite=False)


def test_workers_must_make_sense() -> None:
    with pytest.raises(ConfigError, match="workers 0"):
        choose_engine("local", 0)
    with pytest.raises(ConfigError, match="Leave --workers out"):
        choose_engine("ray", 2)
    assert choose_engine("local", 10_000).processors == 1
    assert choose_engine("local", 1).processors is None


def test_settings_of_a_batch_hold_in_any_folder(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = Path(str(room.settings.weights))
    monkeypatch.chdir(weights.parent)
    room.run(weights=weights.name)
    meta = json.loads((room.folder / "out" / "a b_meta.json").read_text(encoding="utf-8"))
    assert meta["settings"] == asdict(room.settings)
