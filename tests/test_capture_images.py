"""Images and folders of images as sources of frames."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes import is_upright, read_stamp, stamp
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from stemo.capture import open_source
from stemo.capture.images import natural
from stemo.capture.source import LARGEST
from stemo.errors import InputError

ORIENTATION = 0x0112
STORED = {1: 0, 3: 2, 6: 1, 8: 3}  # EXIF orientation -> counter-clockwise quarter turns that produce it


def save(path: Path, array: np.ndarray, **options: Any) -> Path:
    """Write ``array`` to ``path``."""
    Image.fromarray(array).save(path, **options)
    return path


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "webp", "tiff"])
def test_an_image_is_one_frame_at_zero(tmp_path: Path, suffix: str) -> None:
    with open_source(save(tmp_path / f"a.{suffix}", stamp(9, 97, 65))) as source:
        frames = list(source)
    assert (source.info.kind, source.info.width, source.info.height, source.info.frames) == ("image", 97, 65, 1)
    assert [(frame.index, frame.time, read_stamp(frame.image)) for frame in frames] == [(0, 0.0, 9)]
    assert frames[0].image.flags.c_contiguous


@pytest.mark.parametrize("orientation", STORED)
def test_exif_orientation_is_respected(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    turned = np.ascontiguousarray(np.rot90(stamp(5, 96, 64), STORED[orientation]))
    with open_source(save(tmp_path / "a.jpg", turned, exif=exif, quality=95)) as source:
        (frame,) = source
    assert frame.image.shape == (64, 96, 3)
    assert frame.image.flags.c_contiguous
    assert is_upright(frame.image)
    assert read_stamp(frame.image) == 5


def test_gray_deep_and_transparent_images_become_rgb(tmp_path: Path) -> None:
    gray = stamp(6, 96, 64)[..., 1]
    save(tmp_path / "1.png", gray)
    save(tmp_path / "2.png", gray.astype(np.uint16) * 257)
    save(tmp_path / "3.png", np.dstack([stamp(6, 96, 64), np.full((64, 96), 128, np.uint8)]))
    Image.fromarray(stamp(6, 96, 64)).convert("P").save(tmp_path / "4.png")
    with open_source(tmp_path) as source:
        frames = list(source)
    assert [read_stamp(frame.image) for frame in frames] == [6] * 4
    assert np.array_equal(frames[0].image, frames[1].image)


def test_a_folder_is_in_natural_order_at_25_a_second(tmp_path: Path) -> None:
    for index in (1, 2, 9, 10, 11, 100):
        save(tmp_path / f"frame{index}.png", stamp(index, 96, 64))
    (tmp_path / "notes.txt").write_text("no image")
    save(tmp_path / ".hidden.png", stamp(0, 96, 64))
    with open_source(tmp_path) as source:
        frames = list(source)
    assert (source.info.kind, source.info.frames) == ("folder", 6)
    assert [read_stamp(frame.image) for frame in frames] == [1, 2, 9, 10, 11, 100]
    assert [frame.time for frame in frames] == pytest.approx([0.0, 0.04, 0.08, 0.12, 0.16, 0.2])
    with open_source(tmp_path, start=0.04, end=0.12) as source:
        assert [read_stamp(frame.image) for frame in source] == [2, 9]


def test_other_sizes_are_fitted_into_the_first(tmp_path: Path) -> None:
    for name, size in (("1", (96, 64)), ("2", (192, 128)), ("3", (48, 64))):
        save(tmp_path / f"{name}.png", stamp(3, *size))
    with open_source(tmp_path) as source:
        images = [frame.image for frame in source]
    assert {image.shape for image in images} == {(64, 96, 3)}
    assert read_stamp(images[1]) == 3
    assert images[2][:, :24].max() == 0


@pytest.mark.parametrize(("width", "height"), [(LARGEST + 1, 1), (1, LARGEST + 1)])
def test_what_would_end_the_process_is_one_line(tmp_path: Path, width: int, height: int) -> None:
    path = save(tmp_path / "a.png", np.zeros((height, width, 3), np.uint8))
    for place, kind in ((path, "image"), (tmp_path, "folder")):
        with pytest.raises(InputError, match=f"^{kind} .* is too large: expected .*, got {width}x{height}") as caught:
            open_source(place)
        assert "\n" not in str(caught.value)


def test_one_that_large_among_others_is_fitted(tmp_path: Path) -> None:
    save(tmp_path / "1.png", stamp(1, 96, 64))
    save(tmp_path / "2.png", np.zeros((1, LARGEST + 1, 3), np.uint8))
    with open_source(tmp_path) as source:
        assert [frame.image.shape for frame in source] == [(64, 96, 3)] * 2


def test_a_folder_without_images(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no images: expected"):
        open_source(tmp_path)


@pytest.mark.parametrize("content", [b"plain text, no image", None])
def test_a_broken_image_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = save(tmp_path / "a.jpg", stamp(1, 320, 240))
    path.write_bytes(path.read_bytes()[:1500] if content is None else content)
    with pytest.raises(InputError, match=r"image .*a\.jpg.* cannot be read: expected a whole image file") as caught:
        open_source(path)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_a_broken_image_is_named_where_ultralytics_has_replaced_pillows_open(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"no picture")
    lines = [
        "import ultralytics.utils, PIL.Image",
        "from pathlib import Path",
        "from stemo.capture.images import read_image",
        "assert PIL.Image.open.__module__.startswith('ultralytics')",
        f"read_image(Path({str(tmp_path / 'a.png')!r}))",
    ]
    environment = {**os.environ, "YOLO_CONFIG_DIR": str(tmp_path), "YOLO_OFFLINE": "true", "YOLO_AUTOINSTALL": "false"}
    run = subprocess.run([sys.executable, "-c", "; ".join(lines)], capture_output=True, text=True, env=environment)
    assert "in no known image format" in run.stderr.splitlines()[-1]


@given(st.lists(st.text(alphabet="aB0129_.²é", max_size=8)))
def test_any_names_can_be_sorted(names: list[str]) -> None:
    ordered = sorted(names, key=natural)
    assert [natural(name) for name in ordered] == sorted(natural(name) for name in names)


def test_natural_order_is_that_of_people() -> None:
    assert sorted(["a10", "A2", "a1b", "1", "b"], key=natural) == ["1", "a1b", "A2", "a10", "b"]
