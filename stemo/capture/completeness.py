"""Does a media file end where it says it ends?

Decoders take a cut file as a short one: they give what is there and report nothing. The common containers, though, are
rows of parts that state their sizes, or state their own in the beginning, which tells whether the bytes are all there.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

EBML, SEGMENT = bytes.fromhex("1a45dfa3"), bytes.fromhex("18538067")
ASF_OBJECTS = {
    bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c"): "header",
    bytes.fromhex("3626b2758e66cf11a6d900aa0062ce6c"): "data",
    bytes.fromhex("90080033b1e5cf1189f400a0c90349cb"): "simple index",
    bytes.fromhex("d329e2d6da35d111903400a0c90349be"): "index",
    bytes.fromhex("f803b1fead12644c840f2a1d2f7ad48c"): "media object index",
    bytes.fromhex("d03fb73c4a0c0348953dedf7b6228f0c"): "timecode index",
}
ASF_DATA = 50  # bytes of a data object before its first packet
FLV_SIZE = b"\x00\x08filesize\x00"  # how the size of the file is introduced among the facts that it begins with
HEAD = 4096  # bytes of a part that are looked at
MP4_STARTS = ("ftyp", "moov", "mdat", "free", "skip", "wide")

Part = tuple[str, int]  # the name of a part, and its whole size in bytes
Reader = Callable[[bytes, int], Part | None]  # from the first bytes of a part, and how many are left in the file


@dataclass(frozen=True, slots=True)
class Extent:
    """The top-level parts of a media file: their names in order, and the bytes declared and present."""

    names: tuple[str, ...]
    declared: int
    present: int

    @property
    def complete(self) -> bool:
        """Whether every declared byte is there."""
        return self.present >= self.declared

    @property
    def lacks_index(self) -> bool:
        """Whether this is an MP4 or QuickTime file that stops before the table of its frames."""
        return self.names[0] in MP4_STARTS and "moov" not in self.names


def read_extent(path: Path) -> Extent | None:
    """Walk the top-level parts of an MP4, QuickTime, Matroska, WebM, AVI, ASF or FLV file; ``None`` for any other."""
    present = path.stat().st_size
    names: list[str] = []
    position = 0
    with path.open("rb") as file:
        part = _reader(file.read(HEAD))
        while part is not None and position < present:
            file.seek(position)
            found = part(file.read(HEAD), present - position)
            if found is None:
                break  # trailing bytes that are no part: players ignore them, and so do we
            names.append(found[0])
            position += found[1]
    return Extent(tuple(names), position, present) if names else None


def _reader(start: bytes) -> Reader | None:
    if start[:4] == EBML:
        return _matroska
    if start[:4] == b"RIFF" and start[8:12] == b"AVI ":
        return _riff
    if start[:16] in ASF_OBJECTS:
        return _asf
    if start[:3] == b"FLV":
        return _flv
    return _mp4 if start[4:8].decode("latin-1") in MP4_STARTS else None


def _mp4(header: bytes, rest: int) -> Part | None:
    size, name = int.from_bytes(header[:4], "big"), header[4:8].decode("latin-1")
    if size == 1:
        size = int.from_bytes(header[8:16], "big")
    elif size == 0 and name == "mdat":
        size = rest  # to the end of the file
    return (name, size) if size >= 8 and name.isprintable() else None


def _riff(header: bytes, _rest: int) -> Part | None:
    size = int.from_bytes(header[4:8], "little")
    return ("RIFF", 8 + size + size % 2) if header[:4] == b"RIFF" else None


def _matroska(header: bytes, rest: int) -> Part | None:
    if header[:4] not in (EBML, SEGMENT) or not header[4:5]:
        return None
    length = 9 - header[4].bit_length()  # the zeros before the first one count the bytes of a size
    number, unknown = int.from_bytes(header[4 : 4 + length], "big"), (1 << 7 * length) - 1
    size = number & unknown
    name = "EBML" if header[:4] == EBML else "Segment"
    return name, rest if size == unknown else 4 + length + size  # a live recording does not know its size


def _asf(header: bytes, rest: int) -> Part | None:
    name, size = ASF_OBJECTS.get(header[:16]), int.from_bytes(header[16:24], "little")
    if name == "data" and size <= ASF_DATA:
        size = rest  # a live recording does not know it
    return (name, size) if name and size >= 24 else None


def _flv(header: bytes, rest: int) -> Part | None:
    """All of the file as one part: of the many small ones in it, only a walk through all would find the last."""
    if header[:3] != b"FLV":
        return None
    value = header.partition(FLV_SIZE)[2][:8]
    size = struct.unpack(">d", value)[0] if len(value) == 8 else 0.0
    return "FLV", int(size) if math.isfinite(size) and size > 0 else rest  # a live recording does not know it
