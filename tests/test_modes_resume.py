"""``--resume``: whatever a killed run leaves, the next one goes on from it, to the same bytes as if it had not been."""

from __future__ import annotations

from pathlib import Path

import av
import pytest
from fakes import make_video
from resuming import (
    ALL_FORMATS,
    EVERY,
    FRAMES,
    WORK,
    assert_same,
    files,
    interrupt_at,
    pictures,
    read,
    read_with,
    sound,
    take_moments,
)

from stemo.cli import main

pytestmark = pytest.mark.slow

# --- killed ---


def test_a_run_that_can_be_resumed_gives_what_any_other_does(folder: Path, whole: Path) -> None:
    assert read("out", "--resume") == 0
    assert_same(folder / "out", whole)
    with av.open("in.mp4") as file:
        times = [frame.time for frame in file.decode(video=0)]
    assert [tick / 90_000 for tick in pictures(folder / "out" / "out.mp4")] == pytest.approx(times, abs=1e-5)
    assert sound(folder / "out" / "out.mp4") == sound(folder / "in.mp4")


def test_killed_at_any_moment_the_data_are_the_same(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert read("whole", "--no-video") == 0
    left = take_moments("--no-video")
    assert len(left) > 40
    begun = set()
    for out in left[::5]:
        capsys.readouterr()
        assert read(out.name, "--no-video", "--resume") == 0
        said = capsys.readouterr().out
        begun.add(int(said.split("going on at frame ")[1].split(":")[0]) if "going on" in said else 0)
        assert "warning" not in said
        assert_same(out, folder / "whole")
    assert begun == {0, EVERY, 2 * EVERY, 3 * EVERY}


def test_killed_at_any_moment_the_video_is_complete(whole: Path) -> None:
    left = take_moments()
    assert len(left) > 60
    for out in left:
        assert read(out.name, "--resume") == 0
        assert_same(out, whole)


def test_killed_twice_in_a_row(whole: Path) -> None:
    first = take_moments()
    second = take_moments(out=first[len(first) // 3].name)
    for out in second[:: len(second) // 4]:
        assert read(out.name, "--resume") == 0
        assert_same(out, whole)


@pytest.mark.usefixtures("folder")
def test_no_frame_is_read_twice_before_the_checkpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    read_with(monkeypatch, interrupt_at(2 * EVERY + 5))
    assert read("out", "--resume") == 130
    assert Path(f"out/{WORK}").is_dir()
    assert len(pictures(Path("out/out.mp4"))) == 2 * EVERY + 5  # what was computed can be looked at
    seen: list[int] = []
    read_with(monkeypatch, lambda frame: seen.append(frame.index))
    assert read("out", "--resume") == 0
    assert seen == list(range(2 * EVERY, FRAMES))


@pytest.mark.usefixtures("interrupted")
def test_interrupted_at_once_nothing_is_lost(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read_with(monkeypatch, interrupt_at(3 * EVERY))
    for _ in range(2):
        assert read("out", "--resume") == 130
        assert len(pictures(Path("out/out.mp4"))) == 3 * EVERY
        assert len(Path("out/out_results.jsonl").read_text().splitlines()) == 3 * EVERY * 2
    read_with(monkeypatch)
    assert read("out", "--resume") == 0
    assert_same(Path("out"), whole)


# --- finished, and not ---


def test_what_is_finished_is_left_alone(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert read("out", "--resume") == 0
    before = {path: path.stat().st_mtime_ns for path in (folder / "out").iterdir()}
    Path(f"out/{WORK}").mkdir()  # killed while it removed this
    capsys.readouterr()
    assert read("out", "--resume") == 0
    assert capsys.readouterr().out == f"{Path('out/out.mp4')} is finished: nothing is left to do. " + (
        "To read it again, add --overwrite.\n"
    )
    assert {path: path.stat().st_mtime_ns for path in (folder / "out").iterdir()} == before


def test_a_file_of_somebody_else_is_not_replaced(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "out").mkdir()
    (folder / "out" / "out.mp4").write_text("precious")
    for _ in range(2):
        assert read("out", "--resume") == 2
        assert "--overwrite" in capsys.readouterr().err
    assert [path.name for path in (folder / "out").iterdir()] == ["out.mp4"]
    assert (folder / "out" / "out.mp4").read_text() == "precious"


def test_a_run_without_resume_says_what_it_leaves_and_removes_it_in_the_end(
    whole: Path, interrupted: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert read("out") == 0
    assert "note: " in capsys.readouterr().out
    assert_same(interrupted, whole)


def test_an_input_that_breaks_off_ends_the_same(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_video(folder / "long.mp4", frames=60, options={"movflags": "faststart"})
    cut = (folder / "long.mp4").read_bytes()
    (folder / "in.mp4").write_bytes(cut[: len(cut) * 2 // 3])
    assert read("whole") == 3

    read_with(monkeypatch, interrupt_at(20))
    assert read("out", "--resume") == 130
    read_with(monkeypatch)
    assert read("out", "--resume") == 3
    assert_same(folder / "out", folder / "whole")


@pytest.mark.parametrize("out", ["out", "shots"])
def test_images_are_resumed_as_well(folder: Path, out: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from fakes import stamp
    from PIL import Image

    (folder / "shots").mkdir()
    for index in range(20):
        Image.fromarray(stamp(index, 96, 64)).save(folder / "shots" / f"{index}.png")
    command = ["--video", "shots", *ALL_FORMATS, "--output"]
    (folder / "whole").mkdir()
    (folder / out).mkdir(exist_ok=True)
    assert main([*command, "whole/out.mp4"]) == 0

    read_with(monkeypatch, interrupt_at(13))
    assert main([*command, f"{out}/out.mp4", "--resume"]) == 130
    assert (folder / out / "out.mp4").exists()
    read_with(monkeypatch)
    assert main([*command, f"{out}/out.mp4", "--resume"]) == 0
    same = files("whole")
    assert {name: data for name, data in files(out).items() if name in same} == same
    assert pictures(folder / out / "out.mp4") == pictures(folder / "whole" / "out.mp4")
