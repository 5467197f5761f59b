"""``--demo``: the whole way on real faces, with nothing of the user's: an installed photograph made to move."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from stemo.config import RecognitionSettings
from stemo.errors import InputError
from stemo.modes.video import run_video
from stemo.output.data import output_name
from stemo.output.pending import make_folder
from stemo.output.video import VideoWriter
from stemo.records import Image

FPS = 25
SECONDS = 4
WIDTH, HEIGHT = 960, 540


def run_demo(folder: Path, settings: RecognitionSettings, say: Callable[[str], None]) -> int:
    """Make the clip, read it and say where the annotated video, the JSON and the contact sheet lie."""
    make_folder(folder, "demo folder")
    clip, output = folder / "zidane.mp4", folder / "demo.mp4"
    photograph = load_photograph()
    with VideoWriter(clip, WIDTH, HEIGHT, Fraction(FPS), overwrite=True) as writer:
        for index, image in enumerate(moving(photograph)):
            writer.write(image, index / FPS)
    code = run_video(str(clip), output, replace(settings, objects=False), False, True, say, contact_sheet=True)
    say(f"annotated video: {output}")
    say(f"readings:        {output_name(output, 'results.json')}")
    say(f"contact sheet:   {output_name(output, 'contact.png')}")
    return code


def load_photograph() -> Image:
    """``zidane.jpg`` of the installed ultralytics package, found without importing it: two people, RGB (h w 3)."""
    found = importlib.util.find_spec("ultralytics")
    if found is None or found.origin is None:
        raise InputError("demo picture 'zidane.jpg' is missing: expected it in ultralytics. pip install ultralytics")
    path = Path(found.origin).parent / "assets" / "zidane.jpg"
    picture = cv2.imread(str(path))
    if picture is None:
        raise InputError(f"demo picture {str(path)!r} cannot be read: expected a photograph. Reinstall ultralytics.")
    return np.ascontiguousarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB))  # type: ignore[return-value]


def moving(photograph: Image) -> Iterator[Image]:
    """Frames (h w 3) of a slow camera move over a still picture."""
    height, width = photograph.shape[:2]
    for index in range(FPS * SECONDS):
        turn = 2 * np.pi * index / (FPS * SECONDS)
        zoom = 1.08 + 0.06 * np.sin(turn)
        matrix = cv2.getRotationMatrix2D((width / 2, height / 2), 1.5 * np.sin(2 * turn), zoom)
        matrix[:, 2] += (0.01 * width * np.sin(turn), 0.01 * height * np.cos(turn))
        moved = cv2.warpAffine(photograph, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
        yield cv2.resize(moved, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)  # type: ignore[misc]
