"""Reading faces frame by frame: each frame is encoded once, and the last 16 are read together.

The fast path of :meth:`Network.forward`; :func:`read_whole` is the naive reference that a test holds equal to it.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from einops import rearrange, repeat
from torch import Tensor

from stemo.network.engine import make_engine
from stemo.network.int8 import Twin
from stemo.network.model import (
    CLIP_LENGTH,
    LANDMARK_FEATURES,
    FaceNetwork,
    FrameFeatures,
    Network,
    Prediction,
    calibrated,
)
from stemo.network.preprocessing import Preprocessing
from stemo.records import State

BUFFER_FPS = 25.0
Values = tuple[list[float], float, float]  # probabilities, valence, arousal
LONGEST_GAP = 1.0  # seconds without a face after which a buffer starts anew


@dataclass(frozen=True, slots=True, eq=False)
class Observation:
    """One face of one frame: aligned ``picture`` uint8 (224 224 3), ``landmarks`` (205,) or ``None``."""

    track_id: int
    picture: Tensor
    landmarks: Tensor | None


class ClipBuffer:
    """The last frames of one face, by time: 16 places, 1/25 s apart, the newest frame in the last.

    Each place holds the frame nearest to its time, so a 60-fps video and a 15-fps camera show the same motion. Places
    before the first frame repeat it.
    """

    def __init__(self, length: int = CLIP_LENGTH, fps: float = BUFFER_FPS) -> None:
        self.length = length
        self.fps = fps
        self.times: list[float] = []
        self.items: list[FrameFeatures] = []

    def push(self, time: float, features: FrameFeatures) -> None:
        """Add the features of a frame (each (c,)); a step back in time or a long gap empties the buffer first."""
        if self.times and not 0 <= time - self.times[-1] <= LONGEST_GAP:
            self.times.clear()
            self.items.clear()
        self.times.append(time)
        self.items.append(features)
        self._forget(time - self.length / self.fps)

    def clip(self) -> FrameFeatures:
        """The buffer's features (t c) each, oldest first."""
        chosen = [self.items[place] for place in nearest_places(self.times, self.length, self.fps)]
        return FrameFeatures(*(torch.stack(parts) for parts in zip(*chosen, strict=True)))

    def state(self) -> State:
        """The frames' times and features, as arrays (t c)."""
        parts = zip(*self.items, strict=True)
        return {"times": list(self.times), "features": [torch.stack(part).cpu().numpy() for part in parts]}

    def restore(self, state: State, device: torch.device) -> None:
        """Go on from :meth:`state`, on any device."""
        features = [torch.from_numpy(part).to(device) for part in state["features"]]
        self.times = list(state["times"])
        self.items = [FrameFeatures(*frame) for frame in zip(*features, strict=True)]

    def _forget(self, before: float) -> None:
        # one frame at or before the oldest place's time must stay
        drop = max(0, bisect.bisect_right(self.times, before) - 1)
        del self.times[:drop], self.items[:drop]


def nearest_places(times: Sequence[float], length: int, fps: float) -> list[int]:
    """Indices into ``times`` (ascending) of the frames nearest to the ``length`` moments ending at the newest."""
    moments = [times[-1] - back / fps for back in reversed(range(length))]
    return [_nearest(times, moment) for moment in moments]


def _nearest(times: Sequence[float], moment: float) -> int:
    right = bisect.bisect_left(times, moment)
    if right == 0:
        return 0
    if right == len(times):
        return len(times) - 1
    return right if times[right] - moment < moment - times[right - 1] else right - 1


class StreamReader:
    """Reads every face of a stream with one network pass per frame and face, batched over the faces of a frame."""

    def __init__(
        self,
        network: FaceNetwork,
        preprocessing: Preprocessing,
        device: torch.device,
        backend: str = "auto",
        twin: Twin | None = None,
    ) -> None:
        self.device = device
        self.engine = make_engine(network, preprocessing, device, backend, twin)
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
        features = iter(self._encode([face for faces, _ in frames for face in faces]))
        clips = []
        for faces, time in frames:
            for face in faces:
                buffer = self.buffers.setdefault(face.track_id, ClipBuffer(self.length))
                buffer.push(time, next(features))
                clips.append(buffer.clip())
            self._forget(time)
        values = iter(self._read_clips(clips))
        return [[next(values) for _ in faces] for faces, _ in frames]

    @torch.inference_mode()
    def warm_up(self) -> None:
        """Read an empty picture, which leaves no trace: the first call of an engine is its slowest."""
        size = self.preprocessing.input_size
        face = Observation(0, torch.zeros(size, size, 3, dtype=torch.uint8), None)
        (features,) = self._encode([face])
        self._read_clips([FrameFeatures(*(repeat(part, "c -> t c", t=self.length) for part in features))])

    def state(self) -> State:
        """The buffers by track, in their order."""
        return {"buffers": [[track, buffer.state()] for track, buffer in self.buffers.items()]}

    def restore(self, state: State) -> None:
        """Go on from :meth:`state`."""
        self.buffers = {track: ClipBuffer(self.length) for track, _ in state["buffers"]}
        for track, buffer in state["buffers"]:
            self.buffers[track].restore(buffer, self.device)

    def _encode(self, faces: Sequence[Observation]) -> list[FrameFeatures]:
        """The features of each face by itself, each part (c,)."""
        if not faces:
            return []
        pictures = torch.stack([face.picture for face in faces]).to(self.device)
        landmarks = stack_landmarks(faces).to(self.device)
        features = self.engine.encode_frames(self.preprocessing.fitted(pictures), landmarks)
        return [FrameFeatures(*parts) for parts in zip(*features, strict=True)]

    def _read_clips(self, clips: Sequence[FrameFeatures]) -> list[Values]:
        """The values of each clip, each part (t c)."""
        if not clips:
            return []
        prediction = self.engine.read_clip(FrameFeatures(*(torch.stack(parts) for parts in zip(*clips, strict=True))))
        probabilities = calibrated(prediction.logits, self.temperature).tolist()
        return list(zip(probabilities, prediction.valence.tolist(), prediction.arousal.tolist(), strict=True))

    def _forget(self, time: float) -> None:
        stale = [key for key, buffer in self.buffers.items() if abs(time - buffer.times[-1]) > LONGEST_GAP]
        for key in stale:
            del self.buffers[key]


def stack_landmarks(faces: Sequence[Observation]) -> Tensor:
    """(n 205) landmark features, NaN where a face has none."""
    none = torch.full((LANDMARK_FEATURES,), torch.nan)
    return torch.stack([none if face.landmarks is None else face.landmarks for face in faces])


@torch.inference_mode()
def read_whole(
    network: Network, preprocessing: Preprocessing, faces: Sequence[Observation], times: Sequence[float]
) -> Prediction:
    """One face's frames from the first to the newest -> the newest frame's prediction, all from pixels."""
    chosen = [faces[place] for place in nearest_places(times, network.length, BUFFER_FPS)]
    pictures = preprocessing.fitted(torch.stack([face.picture for face in chosen]))
    clip = rearrange(pictures, "t c h w -> 1 t c h w")
    return network.eval()(clip, rearrange(stack_landmarks(chosen), "t f -> 1 t f"))
