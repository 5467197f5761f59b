"""Bytes that a coverage-guided fuzzer makes up, for parsers of stemo's own: ``python tests/fuzzing.py TARGET``.

What follows the target are libFuzzer's arguments, such as ``-runs=100000`` and folders of examples to start from. An
error that is none of stemo's own ends it, and the bytes are kept as ``crash-*`` in the working folder.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import atheris
import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
with atheris.instrument_imports(include=["stemo.capture.completeness", "stemo.training.layouts"]):  # pyright: ignore[reportAttributeAccessIssue]
    from stemo.capture.completeness import read_extent
    from stemo.training.layouts import load_any
from stemo.errors import DataError

TABLES = ("fer2013.csv", "labels.csv", "train.csv", "EXPR_Set.txt")
PICTURE = cv2.imencode(".png", np.full((48, 48, 3), 90, np.uint8))[1].tobytes()
PIXELS = " ".join(["7"] * 48 * 48)
EXAMPLES: dict[str, list[bytes]] = {
    "boxes": [
        b"\0\0\0\x10ftypisom\0\0\0\0\0\0\0\x08moov\0\0\0\x01mdat\0\0\0\0\0\0\0\x20",
        b"\x1a\x45\xdf\xa3\x84abcd\x18\x53\x80\x67\x01\xff\xff\xff\xff\xff\xff\xff",
        b"RIFF\x20\0\0\0AVI LIST",
    ],
    "tables": [
        f"\0emotion,pixels,Usage\n3,{PIXELS},Training\n".encode(),
        b"\1image,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF\na.png,8,1,0,0,0,0,1,0,0,0\n",
        b"\2video_name,label\n1,Happy\n2,3\n",
        b"\3Neutral,Anger,Disgust,Fear,Happiness,Sadness,Surprise,Other\n4\n-1\n",
    ],
}


def boxes(data: bytes, folder: Path) -> None:
    """The parts of a media file."""
    (folder / "a.mp4").write_bytes(data)
    extent = read_extent(folder / "a.mp4")
    assert extent is None or (extent.names and extent.declared > 0)


def tables(data: bytes, folder: Path) -> None:
    """The tables of labels that people bring along, beside pictures; the first byte says which."""
    path = folder / TABLES[data[0] % len(TABLES) if data else 0]
    path.write_bytes(data[1:])
    try:
        load_any(folder)
    finally:
        path.unlink()


def put_pictures(folder: Path) -> None:
    """What the examples of tables speak of."""
    for name in ("a.png", "1/0.png", "2/0.png"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(PICTURE)


TARGETS: dict[str, Callable[[bytes, Path], None]] = {"boxes": boxes, "tables": tables}


def main() -> None:
    target, arguments = sys.argv[1], [sys.argv[0], *sys.argv[2:]]
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as corpus:
        put_pictures(Path(folder))
        for place, example in enumerate(EXAMPLES[target]):
            Path(corpus, str(place)).write_bytes(example)

        def one(data: bytes) -> None:
            with contextlib.suppress(DataError):
                TARGETS[target](data, Path(folder))

        atheris.Setup([*arguments, corpus], one)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
