"""Copies are found whatever was done to them, and other faces are not taken for copies."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import made_data
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stemo.records import EMOTIONS, Image
from stemo.training.datasets import Still
from stemo.training.duplicates import (
    close_pairs,
    connected,
    find_duplicates,
    likeness,
    perceptual_hash,
    popcount,
    thumbnail,
)


def still(image: Image, subject: str = "", name: str = "") -> Still:
    zero = np.zeros(7, np.float32)
    return Still(name or subject, image, zero, 0.0, 0.5, 0, "", subject or name)


def faces(count: int) -> list[Image]:
    return [made_data.face(EMOTIONS[index % 7], index) for index in range(count)]


def recompressed(image: Image) -> Image:
    return np.asarray(cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 60])[1], 1), np.uint8)


COPIES: dict[str, Callable[[Image], Image]] = {
    "larger": lambda image: np.asarray(cv2.resize(image, (112, 112), interpolation=cv2.INTER_CUBIC), np.uint8),
    "recompressed": recompressed,
    "brighter": lambda image: np.clip(image * 1.15 + 10, 0, 255).astype(np.uint8),
    "cut": lambda image: np.ascontiguousarray(image[1:, :-1]),
}


@pytest.mark.parametrize("change", COPIES)
def test_a_changed_copy_is_near(change: str) -> None:
    originals = faces(20)
    stills = [still(image, f"p{index}") for index, image in enumerate(originals)]
    stills.append(still(COPIES[change](originals[7]), "copy"))
    found = find_duplicates(stills)
    assert found.exact == ()
    assert found.near == ((7, 20),)
    assert found.groups == [[7, 20]]


def test_exact_copies_and_chains_of_copies() -> None:
    a, b, c = faces(3)
    found = find_duplicates(
        [still(x, name=str(n)) for n, x in enumerate((a, b, a.copy(), c, a.copy(), recompressed(a)))]
    )
    assert found.exact == ((0, 2), (0, 4))
    assert found.near == ((0, 5),)
    assert found.groups == [[0, 2, 4, 5]]


def test_pictures_of_one_person_are_no_near_copies_of_each_other() -> None:
    (a,) = faces(1)
    assert find_duplicates([still(a, "Ann"), still(recompressed(a), "Ann")]).near == ()
    assert find_duplicates([still(a, "Ann"), still(a.copy(), "Ann")]).exact == ((0, 1),)


def test_flat_pictures_are_not_alike() -> None:
    flat = [still(np.full((48, 48, 3), value, np.uint8), name=str(value)) for value in (10, 20, 30)]
    assert find_duplicates(flat).groups == []
    assert likeness(thumbnail(flat[0].image), thumbnail(flat[1].image)) == 0


def test_the_hash_follows_the_picture_not_its_brightness() -> None:
    one, other = (thumbnail(image) for image in faces(2))
    darker = (one * 0.5).astype(np.uint8)
    assert popcount(np.array([perceptual_hash(one) ^ perceptual_hash(darker)])) <= 4
    assert popcount(np.array([perceptual_hash(one) ^ perceptual_hash(other)])) > 8


@given(st.lists(st.integers(0, 2**64 - 1), min_size=2, max_size=25), st.integers(0, 9), st.data())
@settings(max_examples=60)
def test_close_pairs_are_those_of_the_naive_search(values: list[int], distance: int, data: st.DataObject) -> None:
    for value in values[:5]:  # neighbours, or there would hardly be any pair
        for bit in data.draw(st.lists(st.integers(0, 63), max_size=12)):
            value ^= 1 << bit
        values.append(value)
    hashes = np.array(values, np.uint64)
    naive = {(a, b) for b in range(len(values)) for a in range(b) if (values[a] ^ values[b]).bit_count() <= distance}
    found = list(close_pairs(hashes, distance))
    assert set(found) == naive
    assert len(found) == len(naive)


def test_connected() -> None:
    assert connected(6, [(4, 2), (5, 4), (0, 1)]) == [0, 0, 2, 3, 2, 2]
