"""Running what ``--export`` wrote: a file instead of a network, for streams and for clips."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from einops import repeat
from torch import Tensor

from stemo.errors import ConfigError, WeightsError
from stemo.network.checkpoint import WeightFacts, check_facts, load_weights, read_weights
from stemo.network.clip_buffer import ClipBuffer
from stemo.network.clips import seen_in_turns
from stemo.network.engine import Run, session_options, session_run
from stemo.network.model import LANDMARK_FEATURES, FaceNetwork, Prediction
from stemo.network.standalone import PICTURE
from stemo.network.streaming import Observation, Sight, StreamReader, Values, stack_landmarks

SUFFIX = ".onnx"
STEP_INPUTS = ("pictures", "landmarks", "cache", "views")
CPU = torch.device("cpu")


class ExportedNetwork:
    """An exported step (or still), ``run`` by whatever can; :func:`open_exported` makes one of an ONNX file."""

    def __init__(self, run: Run, kind: str, width: int, facts: WeightFacts) -> None:
        self._run, self._kind, self.facts = run, kind, facts
        self.length = facts.clip_length
        self.unknown = torch.full((width,), torch.nan)  # in a cache: a place that shows the new frame

    def step(self, pictures: Tensor, landmarks: Tensor, cache: Tensor, views: Tensor) -> tuple[Prediction, Tensor]:
        """(b 224 224 3) uint8, (b 205), (b t-1 c), (b) -> the reading, and the new frames' tokens (b c).

        The logits are those of the calibrated probabilities; the frames' weights are not known (NaN).
        """
        if self._kind == "still":
            probabilities, valence, arousal = self._run((pictures,))
            tokens = cache.new_zeros(len(pictures), 0)
        else:
            probabilities, valence, arousal, new_cache = self._run((pictures, landmarks, cache, views))
            tokens = new_cache[:, -1]
        weights = torch.full((len(pictures), self.length), torch.nan)
        return Prediction(probabilities.log(), valence, arousal, weights), tokens

    def read(self, pictures: Tensor, landmarks: Tensor, places: Tensor) -> Prediction:
        """As :class:`stemo.network.clips.ClipReader` says."""
        shown, views, places = seen_in_turns(places)
        pictures, landmarks, newest = pictures[shown], landmarks[shown], places[:, -1]
        cache = repeat(self.unknown, "c -> n t c", n=len(places), t=self.length - 1)
        if self.length > 1:
            blank = repeat(self.unknown, "c -> n t c", n=len(pictures), t=self.length - 1)
            cache = self.step(pictures, landmarks, blank, views)[1][places[:, :-1]]
        return self.step(pictures[newest], landmarks[newest], cache, views[newest])[0]

    def probabilities(self, prediction: Prediction) -> Tensor:
        """Calibrated probabilities (b k)."""
        return prediction.logits.softmax(-1)

    def check(self, backend: str, device: torch.device) -> None:
        """Raise :class:`ConfigError` where an ONNX file cannot be run so."""
        if backend not in ("auto", "onnx") or device.type != "cpu":
            raise ConfigError(
                f"weights {self.facts.name!r} are an ONNX file: expected --backend onnx and --device cpu, got "
                f"{backend} and {device}. For others give the .safetensors they were exported from."
            )


class ExportedStream(StreamReader):
    """:class:`StreamReader` over an exported step: one call per frame, batched over its faces."""

    def __init__(self, network: ExportedNetwork) -> None:
        self.network = network
        self.device, self.length = CPU, network.length
        self.buffers: dict[int, ClipBuffer] = {}

    def read_all(self, frames: Sequence[tuple[Sequence[Observation], float]]) -> list[list[Values]]:
        """Frames in a row, one after the other: a step needs the tokens of the step before."""
        return [self._step(faces, time) for faces, time in frames]

    def _step(self, faces: Sequence[Observation], time: float) -> list[Values]:
        if not faces:
            self._forget(time)
            return []
        sights, landmarks = self._sights([(faces, time)]), stack_landmarks(faces)
        others = self._others(sights, landmarks)
        buffers = [self.buffers.setdefault(face.track_id, ClipBuffer(self.length)) for face in faces]
        new = self.network.unknown
        for buffer, sight, other in zip(buffers, sights, others, strict=True):
            buffer.push(time, sight.views, [new, *other])
        cache = torch.stack([buffer.clip()[:-1] for buffer in buffers])
        pictures = torch.stack([face.picture for face in faces])
        read, tokens = self.network.step(pictures, landmarks, cache, torch.tensor([s.views[0] for s in sights]))
        for buffer, token in zip(buffers, tokens, strict=True):
            buffer.tokens = [token if kept is new else kept for kept in buffer.tokens]
        self._forget(time)
        return list(
            zip(
                self.network.probabilities(read).tolist(),
                read.valence.tolist(),
                read.arousal.tolist(),
                strict=True,
            )
        )

    def _others(self, sights: Sequence[Sight], landmarks: Tensor) -> list[list[Tensor]]:
        """The tokens of each sight's views but the first."""
        pairs = [(place, view) for place, sight in enumerate(sights) for view in sight.views[1:]]
        others: list[list[Tensor]] = [[] for _ in sights]
        if pairs:
            places, views = (list(part) for part in zip(*pairs, strict=True))
            pictures = torch.stack([sights[place].face.picture for place in places])
            blank = repeat(self.network.unknown, "c -> n t c", n=len(places), t=self.length - 1)
            tokens = self.network.step(pictures, landmarks[places], blank, torch.tensor(views))[1]
            for place, token in zip(places, tokens, strict=True):
                others[place].append(token)
        return others

    def warm_up(self) -> None:
        """Read an empty picture, which leaves no trace."""
        cache = repeat(self.network.unknown, "c -> 1 t c", t=self.length - 1)
        landmarks = torch.full((1, LANDMARK_FEATURES), torch.nan)
        self.network.step(torch.zeros(1, *PICTURE, dtype=torch.uint8), landmarks, cache, torch.tensor([0]))


def open_weights(path: Path) -> tuple[FaceNetwork | ExportedNetwork, WeightFacts]:
    """A network from safetensors, or an exported one from ONNX, and what it says of itself.

    Raises :class:`WeightsError` as :func:`load_weights` and :func:`open_exported` do.
    """
    if not is_exported(path):
        return load_weights(path)
    network = open_exported(path)
    return network, network.facts


def is_exported(weights: Path | str | None) -> bool:
    """Whether the name is that of an ONNX file."""
    return weights is not None and Path(weights).suffix.lower() == SUFFIX


def beside(path: Path) -> Path:
    """Where the description of an exported file lies as well: ``face_step.onnx.json``."""
    return path.with_name(path.name + ".json")


def open_exported(path: Path) -> ExportedNetwork:
    """The step or still in an ONNX file of ``--export onnx``; where its JSON lies beside it, it is verified by that.

    Raises :class:`WeightsError` for a file that cannot be read, was changed, or is something else, and
    :class:`ConfigError` without ONNX Runtime.
    """
    data = read_weights(path)
    sha256 = hashlib.sha256(data).hexdigest()
    _verify(path, sha256)
    session = open_session(data, str(path))
    described = session.get_modelmeta().custom_metadata_map
    kind = described.get("kind")
    if kind not in ("step", "still") or "weights" not in described:
        raise WeightsError(
            f"weights {str(path)!r} cannot read a stream: expected NAME_step.onnx or NAME_still.onnx of --export onnx, "
            f"got {f'a {kind}' if kind else 'another ONNX file'}."
        )
    facts = check_facts(path, {**json.loads(described["weights"]), "sha256": sha256}, "its metadata")
    if kind == "step" and len(session.get_inputs()) != len(STEP_INPUTS):
        names = ", ".join(given.name for given in session.get_inputs())
        raise WeightsError(
            f"weights {str(path)!r} are of another version of stemo: expected the inputs {', '.join(STEP_INPUTS)}, got "
            f"{names}. Export them again."
        )
    width = session.get_inputs()[2].shape[-1] if kind == "step" else 0
    return ExportedNetwork(session_run(session), kind, width, facts)


def open_session(data: bytes, name: str) -> Any:
    """ONNX Runtime's session of a file's ``data`` on the CPU. Raises as :func:`open_exported` does, with ``name``."""
    try:
        import onnxruntime as ort
        from onnxruntime.capi import onnxruntime_pybind11_state as state  # pyright: ignore[reportAttributeAccessIssue]
    except ImportError as error:
        raise ConfigError(
            f"weights {name!r} cannot be run: the package onnxruntime is missing: pip install onnxruntime."
        ) from error
    faults = (state.Fail, state.InvalidArgument, state.InvalidGraph, state.InvalidProtobuf, state.NotImplemented)
    try:
        return ort.InferenceSession(data, session_options(), providers=["CPUExecutionProvider"])
    except faults as error:
        reason = str(error).splitlines()[0]
        raise WeightsError(f"weights {name!r} are no ONNX file that can be run: {reason}. Export it again.") from error


def _verify(path: Path, sha256: str) -> None:
    """Raise :class:`WeightsError` where the JSON beside ``path`` knows another sha256 of it."""
    try:
        known = json.loads(beside(path).read_text(encoding="utf-8")).get("sha256")
    except (OSError, ValueError, AttributeError):
        return  # the file describes itself
    if known != sha256:
        raise WeightsError(
            f"weights {str(path)!r} were changed: expected sha256 {str(known)[:12]}, got {sha256[:12]}. "
            "Export them again."
        )
