"""Encoding in the background: nobody waits for it without need, nothing is lost, and its failures come out."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from fakes import SlowFilm, stamp

from stemo.errors import OutputError
from stemo.output.background import WAITING, Background, ResumableBackground

IMAGE = stamp(0, 96, 64)


def test_writing_does_not_wait_for_the_encoder_and_loses_nothing() -> None:
    film = SlowFilm()
    film.gate.put(None)
    background = Background(film, WAITING)
    for index in range(WAITING + 1):
        background.write(IMAGE, float(index))
    assert film.times == [0.0]
    for _ in range(WAITING):
        film.gate.put(None)
    background.close(keep=True)
    assert (film.times, film.ended) == ([float(index) for index in range(WAITING + 1)], "kept")


@pytest.mark.parametrize(("height", "width", "waiting"), [(2160, 3840, WAITING), (4320, 7680, 2)])
def test_pictures_up_to_4k_wait_as_ever(height: int, width: int, waiting: int) -> None:
    film = SlowFilm()
    image = np.broadcast_to(np.uint8(0), (height, width, 3))
    film.gate.put(None)
    background = Background(film, WAITING)
    background.write(image, 0.0)
    for index in range(1, waiting + 1):
        background.write(image, float(index))  # none of them waits for the gate
    assert film.times == [0.0]
    for _ in range(waiting):
        film.gate.put(None)
    background.close()
    assert len(film.times) == 1 + waiting


def test_an_encoder_that_cannot_begin_is_said_at_the_first_picture() -> None:
    film = SlowFilm(breaks=0)
    film.gate.put(None)
    background = Background(film)
    with pytest.raises(OutputError, match="disk full"):
        background.write(IMAGE, 0.0)
    background.abort()
    assert (film.times, film.ended) == ([], "aborted")


@pytest.mark.parametrize(("waiting", "pixels", "most"), [(2, 1 << 20, 2), (8, 2 * 96 * 64, 2), (8, 96, 1)])
def test_few_pictures_wait_at_once_and_of_large_ones_fewer(waiting: int, pixels: int, most: int) -> None:
    film = SlowFilm()
    film.gate.put(None)
    background = Background(film, waiting, pixels)
    written: list[int] = []

    def write() -> None:
        for index in range(6):
            background.write(IMAGE, float(index))
            written.append(index)

    writer = threading.Thread(target=write)
    writer.start()
    writer.join(0.2)
    # the first is done, most wait, and the encoder may hold one
    assert len(written) <= 2 + most
    for _ in range(5):
        film.gate.put(None)
    writer.join(10)
    background.close()
    assert (film.times, film.ended) == ([0.0, 1.0, 2.0, 3.0, 4.0, 5.0], "closed")


@pytest.mark.parametrize("ending", ["close", "write"])
def test_a_failure_of_the_encoder_comes_out_and_nobody_hangs(ending: str) -> None:
    film = SlowFilm(breaks=1)
    background = Background(film)
    for index in range(2):
        film.gate.put(None)
        background.write(IMAGE, float(index))
    ends = {"close": background.close, "write": lambda: [background.write(IMAGE, 2.0 + more) for more in range(9)]}
    with pytest.raises(OutputError, match="disk full"):
        ends[ending]()
    background.abort()
    assert (film.times, film.ended) == ([0.0], "aborted")


def test_any_fault_comes_out() -> None:
    class Broken(SlowFilm):
        def write(self, image: object, time: float) -> None:  # noqa: ARG002
            raise ZeroDivisionError("inside the encoder")

    background = Background(Broken())
    with pytest.raises(ZeroDivisionError):
        background.write(IMAGE, 0.0)
    background.abort()


def test_the_state_is_that_after_every_picture_written() -> None:
    film = SlowFilm()
    background = ResumableBackground(film)
    background.restore({"times": [-1.0]})
    film.gate.put(None)
    for index in range(2):
        background.write(IMAGE, float(index))
    threading.Timer(0.05, film.gate.put, [None]).start()
    assert background.state() == {"times": [-1.0, 0.0, 1.0]}
    film.gate.put(None)
    background.write(IMAGE, 2.0)
    background.close()
    assert film.times == [-1.0, 0.0, 1.0, 2.0]


def test_there_is_no_state_after_a_failure() -> None:
    film = SlowFilm(breaks=1)
    background = ResumableBackground(film)
    for index in range(2):
        film.gate.put(None)
        background.write(IMAGE, float(index))
    with pytest.raises(OutputError, match="disk full"):
        background.state()
    background.abort()
