"""The camera, over a stand-in for OpenCV's device: colours, time, and what happens when the plug is pulled."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction

import cv2
import numpy as np
import pytest

from stemo.capture import Camera, camera
from stemo.errors import InputError, TruncatedError
from stemo.faces import tracking


class Device:
    """Three blue pictures (BGR), then nothing."""

    def __init__(self, index: int, pictures: int = 3) -> None:
        self.left, self.released, self.index = pictures, False, index

    def isOpened(self) -> bool:
        return True

    def get(self, _property: int) -> float:
        return 30000 / 1001

    def read(self) -> tuple[bool, np.ndarray | None]:
        self.left -= 1
        return (True, np.full((48, 64, 3), (255, 0, 0), np.uint8)) if self.left >= 0 else (False, None)

    def release(self) -> None:
        self.released = True


def test_pictures_are_rgb_with_rising_times_until_the_plug_is_pulled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "VideoCapture", Device)
    monkeypatch.setattr("stemo.capture.camera.PATIENCE", 0.0)
    frames = []
    with pytest.raises(TruncatedError, match="camera 2 stopped: expected"), Camera(2) as camera:
        frames.extend(camera)
    assert (camera.info.kind, camera.info.width, camera.info.height) == ("camera", 64, 48)
    assert camera.info.fps == Fraction(30000, 1001)
    assert [frame.index for frame in frames] == [0, 1, 2]
    assert all((frame.image == (0, 0, 255)).all() and frame.image.flags.c_contiguous for frame in frames)
    times = [frame.time for frame in frames]
    assert times[0] == 0.0
    assert times == sorted(times)


def test_a_camera_that_opens_but_shows_nothing_is_no_camera(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "VideoCapture", lambda index: Device(index, pictures=0))
    with pytest.raises(InputError, match="camera 0 cannot be opened: expected"):
        Camera(0)


def test_a_camera_may_stall_for_as_long_as_its_faces_are_remembered() -> None:
    assert camera.PATIENCE >= tracking.STALE


def test_importing_capture_loads_no_heavy_library() -> None:
    code = "import sys, stemo.capture; print(sorted({'av', 'cv2', 'PIL'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"
