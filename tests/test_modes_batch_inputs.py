"""What counts as many videos, in which order, and where the results of each go."""

from __future__ import annotations

from pathlib import Path

import pytest

from stemo.errors import InputError
from stemo.modes.batch.inputs import Batch, find_batch


@pytest.fixture(autouse=True)
def _inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def put(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(b"x")


def batch(spec: str, output: str | None = "out") -> Batch:
    found = find_batch(spec, Path(output) if output else None)
    assert found is not None
    return found


def names(found: Batch) -> list[str]:
    return [video.name for video in found.videos]


def places(found: Batch) -> list[str]:
    return [video.place.as_posix() for video in found.videos]


def refusal(spec: str) -> str:
    with pytest.raises(InputError) as error:
        find_batch(spec, Path("out"))
    return str(error.value)


def test_a_folder_means_its_own_videos_in_natural_order() -> None:
    put(
        "clips/b10.mp4", "clips/b2.MKV", "clips/.hidden.mp4", "clips/notes.txt", "clips/b3.mp4.part", "clips/deep/c.mp4"
    )
    found = batch("clips")
    assert names(found) == ["b2.MKV", "b10.mp4"]
    assert places(found) == ["b2.mp4", "b10.mp4"]
    assert [video.path for video in found.videos] == [Path.cwd() / "clips" / name for name in names(found)]
    assert len(found.notes) == 1
    assert "subfolders" in found.notes[0]
    assert "'clips/**/*'" in found.notes[0]
    assert batch("clips", "clips/deep").notes == ()  # which are results


def test_a_folder_without_subfolders_says_nothing() -> None:
    put("clips/a.mp4", "clips/notes/b.txt")
    assert batch("clips").notes == ()


def test_a_video_by_any_usual_name_is_one() -> None:
    usual = ["a.3g2", "b.asf", "c.dv", "d.f4v", "e.m2ts", "f.m2t", "g.mts", "h.y4m", "i.divx"]
    put(*(f"clips/{name}" for name in usual))
    assert names(batch("clips")) == usual


def test_a_folder_without_any_is_searched_through_its_subfolders() -> None:
    put("clips/ben/talk.mov", "clips/anna/2020/talk.mp4", "clips/.trash/x.mp4", "clips/readme.md")
    found = batch("clips")
    assert names(found) == ["anna/2020/talk.mp4", "ben/talk.mov"]
    assert places(found) == ["anna/2020/talk.mp4", "ben/talk.mp4"]


def test_results_in_an_output_folder_within_are_no_input() -> None:
    put("clips/anna/talk.mp4", "clips/read/anna/talk.mp4", "clips/reader.d/talk.mp4")
    assert names(batch("clips", "clips/read")) == ["anna/talk.mp4", "reader.d/talk.mp4"]
    assert names(batch("clips/**/*.mp4", "clips/read")) == ["anna/talk.mp4", "reader.d/talk.mp4"]
    put("clips/talk.mp4")
    assert names(batch("clips", "clips")) == ["talk.mp4"]


def test_a_folder_of_images_stays_one_source_and_a_mixed_one_says_what_is_left_out() -> None:
    put("shots/1.png", "shots/2.jpg", "shots/deep/talk.mp4")
    assert find_batch("shots", None) is None
    put("shots/read.mp4")
    assert find_batch("shots", Path("shots/read.mp4")) is None
    put("shots/talk.mp4")
    (Path("shots") / "read.mp4").unlink()
    found = batch("shots")
    assert names(found) == ["talk.mp4"]
    assert len(found.notes) == 2
    assert "2 images" in found.notes[0]
    assert "subfolders" in found.notes[1]


@pytest.mark.parametrize("spec", ["talk.mp4", "shot.png", "rtsp://host/*.mp4", "missing.mp4", "missing.txt"])
def test_a_single_source_is_none(spec: str) -> None:
    put("talk.mp4", "shot.png")
    assert find_batch(spec, None) is None


def test_a_file_whose_name_looks_like_a_pattern_is_that_file() -> None:
    put("talk [1].mp4", "talk 1.mp4")
    assert find_batch("talk [1].mp4", None) is None
    assert names(batch("talk [0-9].mp4")) == ["talk 1.mp4"]


def test_a_pattern_keeps_the_folders_below_its_fixed_beginning() -> None:
    put("data/anna/day 1.mp4", "data/ben/Äpfel.mov", "data/ben/still.png", "data/carl/x.mp4.part")
    assert names(batch("data/*/*")) == ["anna/day 1.mp4", "ben/Äpfel.mov"]
    assert places(batch("data/*/*")) == ["anna/day 1.mp4", "ben/Äpfel.mp4"]
    assert places(batch("data/b*/*.mov")) == ["ben/Äpfel.mp4"]
    assert places(batch(f"{Path.cwd()}/data/anna/*.mp4")) == ["day 1.mp4"]
    assert places(batch("data/**/*.m??")) == ["anna/day 1.mp4", "ben/Äpfel.mp4"]
    assert "got 1 other files" in refusal("data/ben/*.png")
    assert "matches no videos" in refusal("nowhere/*.mp4")


def test_a_list_is_read_from_its_own_folder_in_its_own_order() -> None:
    text = f"# mine\n\n  z last.mp4  \nsub/ü.mov\n../away.mp4\nsub/../z last.mp4\nshots\n{Path.cwd()}/far.ts\n"
    put("lists/mine.txt", "lists/shots/1.png")
    Path("lists/mine.txt").write_text(text, encoding="utf-8-sig")
    found = batch("lists/mine.txt")
    assert places(found) == ["z last.mp4", "ü.mp4", "away.mp4", "shots.mp4", "far.mp4"]
    here = Path.cwd()
    assert [video.path for video in found.videos][:3] == [
        here / "lists/z last.mp4",
        here / "lists/sub/ü.mov",
        here / "away.mp4",
    ]


def test_folders_of_a_list_keep_their_whole_name() -> None:
    put("2026.11.22/1.png", "2026.11.23/1.png")
    Path("days.txt").write_text("2026.11.22\n2026.11.23/\n")
    assert places(batch("days.txt")) == ["2026.11.22.mp4", "2026.11.23.mp4"]


def test_a_list_that_is_none() -> None:
    put("empty.txt")
    Path("empty.txt").write_text("# nothing yet\n")
    Path("binary.txt").write_bytes(b"\xff\xfe\x00\x81")
    assert "is empty" in refusal("empty.txt")
    assert "UTF-8" in refusal("binary.txt")


@pytest.mark.parametrize(("first", "second"), [("a.mp4", "a.mov"), ("A.mp4", "a.mkv"), ("\u00e9.mp4", "e\u0301.mkv")])
def test_two_videos_of_one_name_are_refused_before_anything_is_read(first: str, second: str) -> None:
    put(f"clips/{first}", f"clips/{second}")
    text = refusal("clips")
    assert repr(first) in text
    assert repr(second) in text
    assert "Rename one" in text


def test_two_folders_of_a_list_may_not_share_a_name_either() -> None:
    Path("list.txt").write_text("anna/talk.mp4\nben/talk.mp4\n")
    assert "'anna/talk.mp4' and 'ben/talk.mp4' have one name" in refusal("list.txt")


def test_a_folder_with_nothing_to_read_is_an_error() -> None:
    put("clips/notes.md", "clips/deep/more.md")
    assert "nothing to read" in refusal("clips")


def test_the_output_is_named_after_the_input_where_it_is_not_named() -> None:
    put("clips/talk.mp4", "mine.txt")
    Path("mine.txt").write_text("clips/talk.mp4")
    assert batch("clips/", None).output == Path("clips_stemo")
    assert batch("clips/*.mp4", None).output == Path("clips_stemo")
    assert batch("mine.txt", None).output == Path("mine_stemo")


def test_linked_subfolders_are_searched_once() -> None:
    put("disk/anna/talk.mp4", "disk/ben/talk.mp4", "clips/carl/talk.mp4")
    for link, target in (("anna", "disk/anna"), ("disk", "disk"), ("carl/up", "."), ("same", "clips/carl")):
        (Path("clips") / link).symlink_to(Path(target).resolve(), target_is_directory=True)
    assert names(batch("clips")) == ["anna/talk.mp4", "carl/talk.mp4", "disk/ben/talk.mp4"]
