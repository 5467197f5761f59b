from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PilImage

from stemo.errors import OutputError
from stemo.output.contact import ContactSheet, clock


def offer(sheet: ContactSheet, count: int) -> None:
    for step in range(count):
        sheet.add(np.full((90, 160, 3), step * 255 // max(1, count - 1), np.uint8), step / 10)


def shades(path: Path, rows: int, cols: int) -> list[int]:
    with PilImage.open(path) as picture:
        pixels = np.asarray(picture)
    return [int(pixels[8 + row * 98 + 10, 8 + col * 168 + 80, 0]) for row in range(rows) for col in range(cols)]


@pytest.mark.parametrize("count", [6, 50, 1000])
def test_thumbnails_are_spread_evenly(tmp_path: Path, count: int) -> None:
    sheet = ContactSheet(tmp_path / "c.png", 2, 3, width=160)
    offer(sheet, count)
    sheet.close()
    gaps = np.diff(shades(tmp_path / "c.png", 2, 3))
    assert gaps.min() > 15
    assert gaps.max() < 85


def test_memory_stays_constant(tmp_path: Path) -> None:
    sheet = ContactSheet(tmp_path / "c.png", 2, 3, width=32)
    offer(sheet, 5000)
    assert len(sheet._kept) <= 24
    sheet.abort()
    assert list(tmp_path.iterdir()) == []


def test_few_pictures_make_a_small_sheet(tmp_path: Path) -> None:
    sheet = ContactSheet(tmp_path / "c.png", 3, 4, width=160)
    offer(sheet, 2)
    with PilImage.open(sheet.close()) as picture:
        assert picture.size == (2 * 168 + 8, 98 + 8)


def test_empty_and_taken_places_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="is empty"):
        ContactSheet(tmp_path / "c.png").close()
    (tmp_path / "c.png").write_text("mine")
    with pytest.raises(OutputError, match="--overwrite"):
        ContactSheet(tmp_path / "c.png")


@pytest.mark.parametrize(("time", "words"), [(0, "0:00.0"), (59.96, "1:00.0"), (3661.0, "1:01:01.0")])
def test_clock(time: float, words: str) -> None:
    assert clock(time) == words
