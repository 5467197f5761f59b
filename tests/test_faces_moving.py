"""Real faces that move, all the way: six at a time, and two who pass each other."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import pytest
import torch

from stemo.faces import FaceAnalyzer
from stemo.network.checkpoint import WeightFacts
from stemo.network.model import Network
from stemo.network.preprocessing import Preprocessing
from stemo.network.streaming import StreamReader
from stemo.recognizer import FaceReader
from stemo.records import Face, Frame, Image

pytestmark = pytest.mark.slow

RATE = 25
RIGHT_MAN, LEFT_MAN = (982, 200), (590, 350)  # middles of the two faces in the photograph; one in profile
TILE = (420, 360)
Point = tuple[float, float]


def cut(photo: Image, middle: tuple[int, int], size: tuple[int, int], shift: tuple[int, int] = (0, 0)) -> Image:
    """A part of the photograph of that width and height."""
    left, top = middle[0] - size[0] // 2 + shift[0], middle[1] - size[1] // 2 + shift[1]
    return photo[top : top + size[1], left : left + size[0]]


def six(photo: Image, step: int) -> Image:
    """Two rows of three faces, each of which sways in its own time."""
    image = np.full((720, 1280, 3), 90, np.uint8)
    for place in range(6):
        turn = 2 * math.pi * step / RATE + place
        shift = round(10 * math.sin(turn)), round(6 * math.cos(turn))
        part = cut(photo, LEFT_MAN if place == 4 else RIGHT_MAN, TILE, shift)
        left, top = TILE[0] * (place % 3), TILE[1] * (place // 3)
        image[top : top + TILE[1], left : left + TILE[0]] = part if place % 2 else part[:, ::-1]
    return image


def tile_of(face: Face) -> int:
    """Where in :func:`six` a face is."""
    x, y = middle_of(face)
    return int(x // TILE[0]) + 3 * int(y // TILE[1])


def middle_of(face: Face) -> Point:
    return (face.box[0] + face.box[2]) / 2, (face.box[1] + face.box[3]) / 2


def test_six_moving_faces_have_six_ids_and_six_readings_all_the_way(photo: Image) -> None:
    reader = FaceReader(
        StreamReader(Network(size="tiny").eval(), Preprocessing(), torch.device("cpu"), "torch"),
        WeightFacts(size="tiny"),
    )
    first: dict[int, int] = {}
    with FaceAnalyzer(6) as analyzer:
        for step in range(12):
            faces = analyzer.analyze(Frame(step, step / RATE, six(photo, step)))
            places = {face.track_id: tile_of(face) for face in faces}
            if step == 0:
                first = places
                assert sorted(first) == [1, 2, 3, 4, 5, 6]
                assert sorted(first.values()) == [0, 1, 2, 3, 4, 5]
            assert places == first
            (affects,) = reader.read_all([(faces, step / RATE)])
            values = [[*affect.probabilities, affect.valence, affect.arousal] for affect in affects]
            assert np.isfinite(values).all()
            assert len(affects) == 6


@dataclass(frozen=True)
class Passing:
    """Two pictures of heads, of one size, that slide past each other over a blurred crowd; the second goes before."""

    crowd: Image
    heads: tuple[Image, Image]
    speed: int  # pixels per frame

    def __iter__(self) -> Iterator[tuple[Image, tuple[Point, Point]]]:
        """Pictures, and where the middles of both heads are in them."""
        height, width = self.heads[0].shape[:2]
        for way in range(0, 1240 - width, self.speed):
            image, corners = self.crowd.copy(), ((20 + way, 230), (1260 - width - way, 200))
            for head, (left, top) in zip(self.heads, corners, strict=True):
                image[top : top + height, left : left + width] = head
            first, second = ((left + width / 2, top + height / 2) for left, top in corners)
            yield image, (first, second)


@pytest.mark.parametrize(("profile", "speed"), [(False, 10), (False, 18), (True, 18)])
def test_two_who_slide_past_each_other_keep_their_ids(photo: Image, profile: bool, speed: int) -> None:
    size = (400, 390) if profile else (250, 310)  # a head in profile is seen with its shoulders only
    right_man = cut(photo, RIGHT_MAN, size)
    darker = np.asarray(right_man[:, ::-1] * 0.75, np.uint8)
    crowd = np.asarray(cv2.blur(photo, (151, 151)), np.uint8)
    heads = (cut(photo, LEFT_MAN, size) if profile else darker, right_man)
    ids: tuple[set[int], set[int]] = (set(), set())
    with FaceAnalyzer(2) as analyzer:
        for step, (image, middles) in enumerate(Passing(crowd, heads, speed)):
            faces = analyzer.find(Frame(step, step / RATE, image))
            assert {face.track_id for face in faces} <= {1, 2}
            if abs(middles[0][0] - middles[1][0]) > 1.2 * size[0]:
                seen = [min(faces, key=lambda face: math.dist(middle_of(face), middle)) for middle in middles]
                for face, middle, known in zip(seen, middles, ids, strict=True):
                    assert math.dist(middle_of(face), middle) < 60, step
                    known.add(face.track_id)
    assert sorted(ids, key=min) == [{1}, {2}]
