"""What ``--doctor`` tries out on small samples: codecs, weights, third-party assets, the network and MediaPipe."""

from __future__ import annotations

import shlex
import tempfile
import time
import wave
from fractions import Fraction
from functools import partial
from pathlib import Path

from stemo.assets import ASSETS, cache_folder, found, remedy, verify
from stemo.errors import StemoError
from stemo.modes.doctor import Check, Trouble
from stemo.modes.doctor_packages import reinstall

WEIGHTS = Path(__file__).parents[1] / "weights"
NEEDED = "stemo_base.safetensors"
WHEELS = "pip install --force-reinstall --only-binary av av"
LANDMARKER = "face_landmarker"
FOR = {
    "face_detection_yunet": "for --detector yunet",
    "yolov8n": "for --objects",
    "face_identity": "for --train --start-from face_identity",
}
PICTURES, RATE = 3, 25


def model_checks() -> list[Check]:
    """The checks of this file, in the order of their lines."""
    restore = _restore()
    names = sorted({NEEDED, *(path.name for path in WEIGHTS.glob("*.safetensors"))})
    return [
        Check("H.264", h264, True, WHEELS),
        Check("AAC", aac, True, WHEELS),
        *(Check(f"weights {Path(name).stem}", partial(weights, name), name == NEEDED, restore) for name in names),
        # where --video runs the twin, a damaged one fails the network below
        *(Check(f"8-bit {Path(name).stem}", partial(twin, name), mend=restore) for name in names),
        Check("network", network, True, restore),
        *(Check(name, partial(asset, name), name == LANDMARKER, remedy(name)) for name in ASSETS),
        Check("finding faces", faces, True, "pip install --force-reinstall mediapipe"),
    ]


def h264() -> str:
    """Whether a short video can be written as --video writes it, and read back."""
    with tempfile.TemporaryDirectory(prefix="stemo-doctor-") as folder:
        path = _video(Path(folder) / "a.mp4")
        levels = _levels(path)
    if len(levels) != PICTURES or any(abs(level - 80 * place) > 8 for place, level in enumerate(levels)):
        raise Trouble(f"{PICTURES} pictures were written, and what came back is not they: {levels}")
    return f"{PICTURES} pictures encoded and decoded"


def aac() -> str:
    """Whether sound that mp4 does not carry becomes AAC."""
    from stemo.capture import open_source

    with tempfile.TemporaryDirectory(prefix="stemo-doctor-") as folder:
        sound = Path(folder) / "a.wav"
        with wave.open(str(sound), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(48_000)
            file.writeframes(bytes(2 * 9600))
        with open_source(_video(Path(folder) / "a.mp4", sound)) as source:
            heard = source.info.has_audio
    if not heard:
        raise Trouble("sound was written, and none came back")
    return "sound encoded"


def weights(name: str) -> str:
    """What the weights ``name`` say of themselves, once their sha256 is right and they fit their network."""
    from stemo.network.checkpoint import load_weights

    _, facts = load_weights(WEIGHTS / name)
    described = f"{facts.architecture} {facts.size}, {len(facts.labels)} classes"
    return f"sha256 {facts.sha256[:12]} verified, {described}{'' if facts.trained else ', not trained'}"


def twin(name: str) -> str:
    """Whether the 8-bit twin of the weights ``name``, where they have one, is the one that was measured."""
    from stemo.network.checkpoint import load_weights
    from stemo.network.int8 import find_twin

    _, facts = load_weights(WEIGHTS / name)
    return "sha256 of both graphs verified" if find_twin(WEIGHTS / name, facts) else "these weights have no 8-bit twin"


def network() -> str:
    """Whether the network runs as ``--video`` runs it, in what, and how long one face takes."""
    import torch

    from stemo.network.streaming import Observation
    from stemo.recognizer import Recognizer

    reader = Recognizer(weights=WEIGHTS / NEEDED).stream("auto")
    reader.warm_up()
    began = time.monotonic()
    ((chances, _, _),) = reader.read([Observation(1, torch.zeros(224, 224, 3, dtype=torch.uint8), None)], 0.0)
    passed = time.monotonic() - began
    if abs(sum(chances) - 1) > 1e-3:
        raise Trouble(f"probabilities of an empty picture sum to {sum(chances):g}: expected 1")
    return f"{type(reader.engine).__name__} on {reader.device}, {passed * 1000:.0f} ms for one face"


def asset(name: str) -> str:
    """Where the asset ``name`` lies, once its sha256 is right."""
    use = FOR.get(name)
    path = found(name)
    if path is None:
        absent = f"neither in STEMO_ASSETS, nor in {cache_folder()}, nor in an installed package"
        raise Trouble(f"{absent} ({use})" if use else absent, remedy(name))
    try:
        verify(name, path)
    except StemoError as error:
        raise Trouble(f"{path} is not the published file: its sha256 differs", remedy(name, path)) from error
    return f"{path}, sha256 verified"


def faces() -> str:
    """Whether MediaPipe loads the landmarker and looks at a picture."""
    import numpy as np

    from stemo.faces.analyzer import FaceAnalyzer
    from stemo.records import Frame

    asset(LANDMARKER)  # where that is wrong, another mediapipe mends nothing
    with FaceAnalyzer(1) as analyzer:
        seen = analyzer.analyze(Frame(0, 0.0, np.zeros((240, 320, 3), np.uint8)))
    if seen:
        raise Trouble("a face was found in a black picture")
    return "MediaPipe runs"


def _restore() -> str:
    """The command that brings the shipped weights back: from the checkout, where this is one."""
    root = WEIGHTS.parents[1]
    if (root / ".git").exists():
        return f"git -C {shlex.quote(str(root))} checkout -- {WEIGHTS.relative_to(root).as_posix()}"
    return reinstall()


def _video(path: Path, sound: Path | None = None) -> Path:
    import numpy as np

    from stemo.output.sound import Excerpt
    from stemo.output.video import VideoWriter

    with VideoWriter(path, 64, 48, Fraction(RATE), Excerpt(sound)) as writer:
        for place in range(PICTURES):
            writer.write(np.full((48, 64, 3), 80 * place, np.uint8), place / RATE)
    return path


def _levels(path: Path) -> list[float]:
    from stemo.capture import open_source

    with open_source(path) as source:
        return [float(frame.image.mean()) for frame in source]
