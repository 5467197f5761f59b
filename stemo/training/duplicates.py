"""Pictures that show the same: exact copies, and near ones (scaled, recompressed, brightened).

A near copy has nearly the same perceptual hash and, because aligned faces all resemble one another, nearly the same
pixels besides.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from stemo.records import Image
from stemo.training.datasets import Still

SIDE = 32  # pixels that a picture is brought to before comparing
DISTANCE = 8  # bits in which the hashes of near copies may differ
# Least correlation of their pixels. Of FER+'s 31,289 faces, 3,900 pairs have hashes as near as that and are no known
# copies; looked at in random tens, all above 0.9 are the same photograph, cut, watermarked or brightened otherwise,
# nine in ten between 0.85 and 0.9 are, and hardly one below 0.8.
LIKENESS = 0.93
BITS = np.array([bin(byte).count("1") for byte in range(256)], np.uint8)

Hashes = npt.NDArray[np.uint64]
Pair = tuple[int, int]


@dataclass(frozen=True)
class Duplicates:
    """Pairs of places in a list of ``count`` stills: ``exact`` and ``near`` copies; the ``hashes`` of all."""

    count: int
    hashes: Hashes
    exact: tuple[Pair, ...]
    near: tuple[Pair, ...]

    @cached_property
    def groups(self) -> list[list[int]]:
        """The places of each group of copies, from two on."""
        members: dict[int, list[int]] = {}
        for place, group in enumerate(connected(self.count, [*self.exact, *self.near])):
            members.setdefault(group, []).append(place)
        return [places for places in members.values() if len(places) > 1]


def find_duplicates(stills: Sequence[Still]) -> Duplicates:
    """The copies among ``stills``. An exact copy has the same pixels, whatever its file.

    Near ones are not looked for among pictures of one subject, which resemble one another and stay together anyway.
    """
    digests, hashes = [], np.zeros(len(stills), np.uint64)
    small = np.zeros((len(stills), SIDE, SIDE), np.uint8)
    for place, still in enumerate(tqdm(stills, "comparing", disable=None)):
        image = still.image
        digests.append(hashlib.sha256(repr(image.shape).encode() + image.tobytes()).digest())
        small[place] = thumbnail(image)
        hashes[place] = perceptual_hash(small[place])
    first: dict[bytes, int] = {}
    exact = tuple((first[d], place) for place, d in enumerate(digests) if first.setdefault(d, place) != place)
    alone = np.array(sorted(first.values()), np.int64)
    pairs = ((int(alone[a]), int(alone[b])) for a, b in close_pairs(hashes[alone], DISTANCE))
    strangers = (pair for pair in pairs if stills[pair[0]].subject != stills[pair[1]].subject)
    near = tuple(pair for pair in strangers if likeness(small[pair[0]], small[pair[1]]) >= LIKENESS)
    return Duplicates(len(stills), hashes, exact, near)


def thumbnail(image: Image) -> npt.NDArray[np.uint8]:
    """A picture (h w 3) as small gray pixels (32 32)."""
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    method = cv2.INTER_AREA if min(gray.shape) > SIDE else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(gray, (SIDE, SIDE), interpolation=method), np.uint8)


def perceptual_hash(small: npt.NDArray[np.uint8]) -> np.uint64:
    """The 64-bit perceptual hash of a thumbnail: which low frequencies of its cosine transform exceed their median.

    Zauner, "Implementation and benchmarking of perceptual image hash functions", Upper Austria Univ. 2010.
    """
    low = cv2.dct(small.astype(np.float32))[:8, :8].ravel()
    bits = low > np.median(low[1:])  # the first is the mean brightness
    return np.packbits(bits).view(">u8")[0].astype(np.uint64)


def close_pairs(hashes: Hashes, distance: int) -> Iterator[Pair]:
    """Places a < b of hashes that differ in at most ``distance`` bits, each pair once.

    Cut into one more band than bits may differ, such hashes agree in at least one band: only those are compared.
    """
    bands = distance + 1
    edges = [round(64 * band / bands) for band in range(bands + 1)]
    for band, (low, high) in enumerate(pairwise(edges)):
        keys = (hashes >> np.uint64(low)) & np.uint64((1 << (high - low)) - 1)
        for places in _equal(keys):
            for at, place in enumerate(places[:-1]):
                others = places[at + 1 :]
                differing = hashes[others] ^ hashes[place]
                for other in others[popcount(differing) <= distance]:
                    if not _agree(int(hashes[place]), int(hashes[other]), edges[: band + 1]):
                        yield int(place), int(other)


def popcount(values: Hashes) -> npt.NDArray[np.int64]:
    """The number of set bits of each value (n,)."""
    return BITS[np.ascontiguousarray(values).view(np.uint8).reshape(-1, 8)].sum(1)


def likeness(one: npt.NDArray[np.uint8], other: npt.NDArray[np.uint8]) -> float:
    """The correlation in [-1, 1] of two thumbnails; 0 where one of them is flat."""
    a, b = (part.astype(np.float64) - part.mean() for part in (one, other))
    size = np.linalg.norm(a) * np.linalg.norm(b)
    return float((a * b).sum() / size) if size > 0 else 0.0


def connected(count: int, pairs: Sequence[Pair]) -> list[int]:
    """For each of ``count`` places, the first place that ``pairs`` connect it with, through others or directly."""
    root = list(range(count))

    def find(place: int) -> int:
        while root[place] != place:
            root[place] = root[root[place]]
            place = root[place]
        return place

    for a, b in pairs:
        low, high = sorted((find(a), find(b)))
        root[high] = low
    return [find(place) for place in range(count)]


def _equal(keys: Hashes) -> Iterator[npt.NDArray[np.int64]]:
    """The places of each key that occurs more than once, ascending."""
    order = np.argsort(keys, kind="stable")
    starts = np.flatnonzero(np.diff(keys[order])) + 1
    yield from (places for places in np.split(order, starts) if len(places) > 1)


def _agree(a: int, b: int, edges: Sequence[int]) -> bool:
    """Whether two hashes agree in a band below the last edge, and so were compared there already."""
    differing = a ^ b
    return any(not (differing >> low) & ((1 << (high - low)) - 1) for low, high in pairwise(edges))
