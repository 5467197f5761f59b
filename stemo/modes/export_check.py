"""Is an exported file the network? Both read the same real faces, frame by frame and as whole clips."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor

from stemo.capture import open_source
from stemo.config import RecognitionSettings
from stemo.errors import InputError
from stemo.faces.analyzer import FaceAnalyzer
from stemo.modes.demo import FPS, load_photograph, moving
from stemo.network.checkpoint import WeightFacts
from stemo.network.engine import Run, session_run
from stemo.network.executorch_file import open_lowered
from stemo.network.exported import CPU, ExportedNetwork, ExportedStream, open_session
from stemo.network.model import FaceNetwork, Network
from stemo.network.streaming import Observation, StreamReader, read_whole, shown_clip
from stemo.network.torch_file import open_program
from stemo.recognizer import observe
from stemo.records import Frame

FRAMES = 24  # more than a clip, so that the oldest are forgotten
Seen = list[tuple[float, list[Observation]]]  # time in seconds, and the faces of that moment


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """One face's moments, oldest first: ``times`` in seconds."""

    times: list[float]
    faces: list[Observation]


def look(clip: str | None, settings: RecognitionSettings) -> Seen:
    """The faces in the first frames of ``clip`` that show any, or of the demo's; raises InputError where none does."""
    with ExitStack() as stack:
        frames: Iterable[Frame]
        if clip is None:
            frames = (Frame(index, index / FPS, image) for index, image in enumerate(moving(load_photograph())))
        else:
            frames = stack.enter_context(open_source(clip, start=settings.start, end=settings.end))
        analyzer = stack.enter_context(
            FaceAnalyzer(
                settings.faces,
                landmarker=Path(settings.landmarker) if settings.landmarker else None,
                detector=settings.detector,
                face_weights=Path(settings.face_weights) if settings.face_weights else None,
            )
        )
        found = ((frame.time, [observe(face) for face in analyzer.analyze(frame)]) for frame in frames)
        seen = list(islice(((time, faces) for time, faces in found if faces), FRAMES))
    if not seen:
        raise InputError(f"clip {clip!r} shows no face: expected one to compare on, got none. Give another --source.")
    return seen


def largest_difference(
    kind: str, path: Path, form: str, network: FaceNetwork, facts: WeightFacts, seen: Seen
) -> tuple[float, int]:
    """The largest difference in a probability, valence or arousal between the file and ``network``; of how many."""
    run = open_run(path, form)
    differences = clip_differences if kind == "clip" else stream_differences
    found = differences(run, kind, network, facts, seen)
    return float(found.max()), len(found)


def open_run(path: Path, form: str) -> Run:
    """The file at ``path`` as a function of tensors: ``form`` is onnx, torch or executorch."""
    if form == "onnx":
        return session_run(open_session(path.read_bytes(), str(path)))
    return open_program(path) if form == "torch" else open_lowered(path)


def stream_differences(run: Run, kind: str, network: FaceNetwork, facts: WeightFacts, seen: Seen) -> Tensor:
    """Of every face of every frame (n), read as a stream by both."""
    width = network.token_width if isinstance(network, Network) else 0
    exported = ExportedStream(ExportedNetwork(run, kind, width, facts))
    reader = StreamReader(network, facts.preprocessing, CPU, "torch")
    return torch.cat(
        [_rows(exported.read(faces, time)).sub(_rows(reader.read(faces, time))).abs().amax(-1) for time, faces in seen]
    )


def clip_differences(run: Run, _kind: str, network: FaceNetwork, facts: WeightFacts, seen: Seen) -> Tensor:
    """Of every face (n), its last clip read from pixels by both, all in one batch."""
    assert isinstance(network, Network)
    tracks = tracks_of(seen)
    pictures, landmarks, views, expected = [], [], [], []
    for track in tracks:
        shown = shown_clip(track.faces, track.times, network.length)
        pictures.append(shown[0])
        landmarks.append(shown[1])
        views.append(shown[2])
        read = read_whole(network, facts.preprocessing, track.faces, track.times)
        expected.append(torch.cat([network.probabilities(read)[0], read.valence, read.arousal]))
    probabilities, valence, arousal = run((torch.stack(pictures), torch.stack(landmarks), torch.tensor(views)))
    got = torch.cat([probabilities, valence.unsqueeze(-1), arousal.unsqueeze(-1)], -1)
    return got.sub(torch.stack(expected)).abs().amax(-1)


def tracks_of(seen: Seen) -> list[Track]:
    """The faces one by one."""
    tracks: dict[int, Track] = {}
    for time, faces in seen:
        for face in faces:
            track = tracks.setdefault(face.track_id, Track([], []))
            track.times.append(time)
            track.faces.append(face)
    return list(tracks.values())


def _rows(read: list[tuple[list[float], float, float]]) -> Tensor:
    return torch.tensor([[*probabilities, valence, arousal] for probabilities, valence, arousal in read])
