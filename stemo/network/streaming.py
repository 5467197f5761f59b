"""Reading faces frame by frame: each frame is encoded once, and the last 16 are read together.

The fast path of :meth:`Network.forward`; :func:`read_whole` is the naive reference that a test holds equal to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from einops import rearrange, repeat
from torch import Tensor

from stemo.network.clip_buffer import ClipBuffer, Sighting, clip_views, gone, views_at
from stemo.network.engine import make_engine
from stemo.network.int8 import Twin
from stemo.network.model import (
    LANDMARK_FEATURES,
    FaceNetwork,
    Network,
    Prediction,
    calibrated_numbers,
)
from stemo.network.preprocessing import Preprocessing, views_in
from stemo.records import State

Values = tuple[list[float], float, float]  # probabilities, valence, arousal


@dataclass(frozen=True, slots=True, eq=False)
class Observation:
    """One face of one frame: aligned ``picture`` uint8 (224 224 3), ``landmarks`` (205,) or ``None``."""

    track_id: int
    picture: Tensor
    landmarks: Tensor | None


@dataclass(frozen=True, slots=True, eq=False)
class Sight:
    """A face of a frame, and the numbers of the views of it that are needed."""

    face: Observation
    views: tuple[int, ...]


class StreamReader:
    """Reads every face of a stream with one network pass per frame and face, batched over the faces of a frame.

    Every 1/25 s a face is seen in another of its views, and one that begins in all.
    """

    def __init__(
        self,
        network: FaceNetwork,
        preprocessing: Preprocessing,
        device: torch.device,
        backend: str = "auto",
        twin: Twin | None = None,
        threads: int | None = None,
    ) -> None:
        self.device = device
        self.engine = make_engine(network, preprocessing, device, backend, twin, threads)
        self.preprocessing = preprocessing
        self.length = network.length
        self.temperature = float(network.temperature)
        self.buffers: dict[int, ClipBuffer] = {}

    def read(self, faces: Sequence[Observation], time: float) -> list[Values]:
        """Faces of the frame at ``time`` seconds -> (probabilities, valence, arousal) of each, in their order."""
        return self.read_all([(faces, time)])[0]

    @torch.inference_mode()
    def read_all(self, frames: Sequence[tuple[Sequence[Observation], float]]) -> list[list[Values]]:
        """:meth:`read` for frames in a row, all their faces in one batch."""
        sights = self._sights(frames)
        encoded = iter(zip(sights, self._encode(sights), strict=True))
        clips = []
        for faces, time in frames:
            for face in faces:
                buffer = self.buffers.setdefault(face.track_id, ClipBuffer(self.length))
                sight, tokens = next(encoded)
                buffer.push(time, sight.views, tokens)
                clips.append(buffer.clip())
            self._forget(time)
        values = iter(self._read_clips(clips))
        return [[next(values) for _ in faces] for faces, _ in frames]

    @torch.inference_mode()
    def warm_up(self) -> None:
        """Read an empty picture, which leaves no trace: the first call of an engine is its slowest."""
        size = self.preprocessing.input_size
        face = Observation(0, torch.zeros(size, size, 3, dtype=torch.uint8), None)
        ((token,),) = self._encode([Sight(face, (0,))])
        self._read_clips([repeat(token, "c -> t c", t=self.length)])

    def state(self) -> State:
        """The buffers by track, in their order."""
        return {"buffers": [[track, buffer.state()] for track, buffer in self.buffers.items()]}

    def restore(self, state: State) -> None:
        """Go on from :meth:`state`."""
        self.buffers = {track: ClipBuffer(self.length) for track, _ in state["buffers"]}
        for track, buffer in state["buffers"]:
            self.buffers[track].restore(buffer, self.device)

    def _sights(self, frames: Sequence[tuple[Sequence[Observation], float]]) -> list[Sight]:
        """Every face of every frame, in its order."""
        last = {track: buffer.last for track, buffer in self.buffers.items()}
        sights = []
        for faces, time in frames:
            for face in faces:
                sights.append(Sight(face, views_at(time, last.get(face.track_id), self.length)))
                last[face.track_id] = Sighting(time, sights[-1].views[0])
            last = {track: seen for track, seen in last.items() if seen and not gone(seen.time, time)}
        return sights

    def _encode(self, sights: Sequence[Sight]) -> list[tuple[Tensor, ...]]:
        """The tokens (c,) of each view of each sight."""
        if not sights:
            return []
        faces = [sight.face for sight in sights for _ in sight.views]
        views = views_in(self.length, (number for sight in sights for number in sight.views))
        pictures = stacked([face.picture for face in faces]).to(self.device)
        frames, landmarks = self.preprocessing.fitted(pictures, views), stack_landmarks(faces).to(self.device)
        tokens = iter(self.engine.encode(frames, landmarks))
        return [tuple(next(tokens) for _ in sight.views) for sight in sights]

    def _read_clips(self, clips: Sequence[Tensor]) -> list[Values]:
        """The values of each clip (t c)."""
        if not clips:
            return []
        prediction = self.engine.read(stacked(clips))
        logits, *affects = (part.tolist() for part in prediction[:3])
        return [
            (calibrated_numbers(row, self.temperature), valence, arousal)
            for row, valence, arousal in zip(logits, *affects, strict=True)
        ]

    def _forget(self, time: float) -> None:
        stale = [key for key, buffer in self.buffers.items() if gone(buffer.times[-1], time)]
        for key in stale:
            del self.buffers[key]


def stacked(parts: Sequence[Tensor]) -> Tensor:
    """``torch.stack``, and of a single part without a copy."""
    return torch.stack(tuple(parts)) if len(parts) > 1 else parts[0].unsqueeze(0)


def stack_landmarks(faces: Sequence[Observation]) -> Tensor:
    """(n 205) landmark features, NaN where a face has none."""
    return torch.stack([_nothing() if face.landmarks is None else face.landmarks for face in faces])


def _nothing() -> Tensor:
    return torch.full((LANDMARK_FEATURES,), torch.nan)


def shown_clip(
    faces: Sequence[Observation], times: Sequence[float], length: int
) -> tuple[Tensor, Tensor, tuple[int, ...]]:
    """What a stream shows its network at the last of one face's frames, oldest first.

    The pictures (t 224 224 3) uint8, the landmarks (t 205), and the number of the view in which each is seen.
    """
    places, views = zip(*clip_views(times, length), strict=True)
    chosen = [faces[place] for place in places]
    return torch.stack([face.picture for face in chosen]), stack_landmarks(chosen), views


@torch.inference_mode()
def read_whole(
    network: Network, preprocessing: Preprocessing, faces: Sequence[Observation], times: Sequence[float]
) -> Prediction:
    """One face's frames from the first to the newest -> the newest frame's prediction, all from pixels."""
    pictures, landmarks, numbers = shown_clip(faces, times, network.length)
    clip = rearrange(preprocessing.fitted(pictures, views_in(network.length, numbers)), "t c h w -> 1 t c h w")
    return network.eval()(clip, rearrange(landmarks, "t f -> 1 t f"))
