"""The network as ONNX graphs, in the two parts that streaming runs: what one frame gives, and what a clip says.

The shipped graphs carry no weights: their initialisers have the names of a folded :class:`Network`'s parameters, and
``engine.py`` fills them in from the verified weights. They change with the architecture only. Written anew with
``python -c "from stemo.network.export import write_graphs; write_graphs()"`` (needs ``pip install stemo[export]``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from stemo.chatter import unremarked
from stemo.network.folding import folded
from stemo.network.model import CLIP_LENGTH, LANDMARK_FEATURES, SIZES, Network
from stemo.network.preprocessing import INPUT_SIZE

GRAPHS = Path(__file__).with_name("graphs")
OPSET = 20
PICTURE = (1, INPUT_SIZE, INPUT_SIZE)  # gray
FRAME_INPUTS, FRAME_OUTPUTS = ("pictures", "landmarks"), ("tokens",)
CLIP_INPUTS, CLIP_OUTPUTS = FRAME_OUTPUTS, ("logits", "valence", "arousal", "frame_weights")


class FramePart(nn.Module):
    """:meth:`Network.encode` as a module."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, pictures: Tensor, landmarks: Tensor) -> Tensor:
        """(n 1 128 128), (n 205) -> (n c)."""
        return self.network.encode(pictures, landmarks)


class ClipPart(nn.Module):
    """:meth:`Network.read` as a module."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(b t c) -> logits (b k), valence (b), arousal (b), frame weights (b t)."""
        read = self.network.read(tokens)
        return read.logits, read.valence, read.arousal, read.frame_weights


def write_graphs(folder: Path = GRAPHS) -> None:
    """Write ``<size>_frame.onnx`` and ``<size>_clip.onnx`` of every size, without weights, to ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    for size in SIZES:
        network = folded(Network(size=size), gray=True)
        pictures, landmarks = torch.zeros(2, *PICTURE), torch.zeros(2, LANDMARK_FEATURES)
        clip = torch.zeros(2, CLIP_LENGTH, network.token_width)
        frame = trace(FramePart(network), (pictures, landmarks), FRAME_INPUTS, FRAME_OUTPUTS)
        (folder / f"{size}_frame.onnx").write_bytes(_without_weights(frame))
        reading = trace(ClipPart(network), (clip,), CLIP_INPUTS, CLIP_OUTPUTS)
        (folder / f"{size}_clip.onnx").write_bytes(_without_weights(reading))


def trace(part: nn.Module, inputs: tuple[Tensor, ...], names: tuple[str, ...], outputs: tuple[str, ...]) -> Any:
    """``part`` as an ONNX model whose first dimension, the batch, may be any."""
    with unremarked():
        program = torch.onnx.export(
            part,
            inputs,
            dynamo=True,
            optimize=False,  # ONNX Runtime does it when it loads, and parameters keep their names
            opset_version=OPSET,
            input_names=names,
            output_names=outputs,
            dynamic_shapes=any_batch(inputs),
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    _settle_shapes(model.graph)
    return model


def _settle_shapes(graph: Any) -> None:
    """Make constants of the dimensions that ``graph`` asks for although they never change.

    PyTorch asks for the width of the LSTM's memory in every run, and runtimes then cut its weights up anew each time.
    """
    from onnx import numpy_helper

    known = {value.name: value.type.tensor_type.shape.dim for value in graph.value_info}
    nodes = []
    for node in graph.node:
        dimensions = _asked_for(node, known) if node.op_type == "Shape" else []
        if dimensions and all(dimension.HasField("dim_value") for dimension in dimensions):
            values = np.array([dimension.dim_value for dimension in dimensions], np.int64)
            graph.initializer.append(numpy_helper.from_array(values, node.output[0]))
        else:
            nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)


def _asked_for(node: Any, known: Mapping[str, Sequence[Any]]) -> Sequence[Any]:
    """The dimensions of a ``known`` value that the Shape ``node`` takes; none of another value."""
    given = {attribute.name: attribute.i for attribute in node.attribute}
    return known.get(node.input[0], [])[given.get("start", 0) : given.get("end")]


def any_batch(inputs: tuple[Tensor, ...]) -> tuple[dict[int, Any], ...]:
    """The first dimension of all ``inputs`` together may be any, as exporters want it said."""
    batch = torch.export.Dim("batch", min=1, max=4096)
    return tuple({0: batch} for _ in inputs)


def _without_weights(model: Any) -> bytes:
    """The model's bytes, its parameters marked as given from outside and the exporter's notes removed."""
    without_notes(model)
    for tensor in model.graph.initializer:
        if tensor.name.startswith("network."):
            tensor.ClearField("raw_data")
            tensor.data_location = tensor.EXTERNAL
            tensor.external_data.add(key="location", value="weights")
    return model.SerializeToString(deterministic=True)


def without_notes(model: Any) -> None:
    """Remove the exporter's notes from ``model``: they name places on the machine it ran on."""
    for node in model.graph.node:
        for note in ("doc_string", "metadata_props"):
            node.ClearField(note)
    for value in (*model.graph.value_info, *model.graph.input, *model.graph.output, *model.graph.initializer):
        value.ClearField("metadata_props")
    model.graph.ClearField("metadata_props")
    model.graph.ClearField("value_info")
    model.ClearField("metadata_props")
