"""Lists and labels of a set in YOLO's format that cannot be read: each a one-line error that names the file."""

from __future__ import annotations

from pathlib import Path

import made_data
import pytest

from stemo.errors import DataError
from stemo.training.face_boxes import load_face_boxes


def face_set(root: Path, train: str) -> Path:
    """One picture with one face, to train on and to choose by."""
    made_data.picture(root / "images" / "a.png")
    made_data.lines(root / "labels" / "a.txt", ["0 0.5 0.5 0.2 0.2"])
    return made_data.lines(root / "data.yaml", [f"train: {train}", "val: images", "names: [face]"])


def refused(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        load_face_boxes(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_list_that_is_not_utf_8_is_one_line(tmp_path: Path) -> None:
    path = face_set(tmp_path, "train.txt")
    (tmp_path / "train.txt").write_bytes("images/Grüße.png".encode("latin-1"))
    assert "train.txt', which cannot be read: expected a folder of pictures or a .txt list of them" in refused(path)


def test_a_list_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    path = face_set(tmp_path, "train.txt")
    (tmp_path / "train.txt").write_text("images/a.png\n", encoding="utf-8-sig")
    assert [picture.path.name for picture in load_face_boxes(path).train] == ["a.png"]


def test_a_place_that_cannot_be_looked_at_is_one_line(tmp_path: Path) -> None:
    assert "which cannot be read: expected" in refused(face_set(tmp_path, "x" * 300))


def test_a_label_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    path = face_set(tmp_path, "images")
    (tmp_path / "labels" / "a.txt").unlink()
    (tmp_path / "labels" / "a.txt").mkdir()
    assert "a.txt' cannot be read: expected a line per face, got Is a directory" in refused(path)
