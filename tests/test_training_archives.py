"""Folders and zips as they lie on real disks: damaged entries, linked and hidden folders, paths nobody may look at."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import made_data
import pytest

from stemo.errors import DataError
from stemo.training.archives import FolderArchive, ZipArchive
from stemo.training.layouts import data_sets, load_any, open_data

TOO_LONG = "x" * 300


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
@pytest.mark.parametrize("place", [2, 12, 40])
def test_flipped_bytes_in_a_zip_are_one_line(tmp_path: Path, method: int, place: int) -> None:
    path = tmp_path / "set.zip"
    with zipfile.ZipFile(path, "w", method) as file:
        file.writestr("a.txt", bytes(number * number % 251 for number in range(1000)))
        start = file.getinfo("a.txt").header_offset + 30 + len("a.txt")
    data = bytearray(path.read_bytes())
    data[start + place : start + place + 8] = b"\xff" * 8
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"file 'a\.txt' in .* cannot be read: .*\. Copy it again\.") as caught:
        ZipArchive(path).read("a.txt")
    assert "\n" not in str(caught.value)


def test_linked_folders_are_read(tmp_path: Path) -> None:
    made_data.image_folder(tmp_path / "elsewhere", ("happy", "sad"))
    made_data.image_folder(tmp_path / "set", ("angry",))
    for name in ("happy", "sad"):
        (tmp_path / "set" / name).symlink_to(tmp_path / "elsewhere" / name, target_is_directory=True)
    archive = FolderArchive(tmp_path / "set")
    assert {name.split("/")[0] for name in archive.names()} == {"angry", "happy", "sad"}
    assert list(archive.names()) == sorted(archive.names())
    assert archive.folders() == {"angry", "happy", "sad"}
    assert len(load_any(tmp_path / "set")) == 6


def test_links_in_a_circle_end_and_nothing_is_read_twice(tmp_path: Path) -> None:
    root = made_data.image_folder(tmp_path / "set", ("happy", "sad"))
    before = FolderArchive(root).names()
    for place, target in (("happy/again", root), ("up", tmp_path), ("joy", root / "happy"), ("lost", tmp_path / "no")):
        (root / place).symlink_to(target, target_is_directory=True)
    assert FolderArchive(root).names() == before


def test_what_a_killed_prepare_leaves_behind_is_no_data_set(tmp_path: Path) -> None:
    whole = [make(tmp_path / make.__name__) for make in (made_data.ferplus, made_data.sequences)]
    made_data.image_folder(tmp_path / ".out.abc123" / "new", splits=("train", "val"))
    assert data_sets(tmp_path) == whole


@pytest.mark.parametrize("read", [open_data, data_sets])
def test_a_path_that_cannot_be_looked_at_is_one_line(tmp_path: Path, read: Callable[[Path], object]) -> None:
    with pytest.raises(DataError, match=r"cannot be looked at: .* got File name too long\. Check") as caught:
        read(tmp_path / TOO_LONG)
    assert "\n" not in str(caught.value)


def test_a_folder_of_data_sets_that_may_not_be_read_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(folder: Path) -> None:
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(DataError, match=r"cannot be read: .* got Permission denied\. Check"):
        data_sets(tmp_path)
