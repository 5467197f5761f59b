"""The network's two graphs in 8-bit integers: half the time on processors with instructions for it.

Weights get a scale per channel, activations one each, from the ranges that real faces show (Jacob et al., CVPR 2018).
The landmark encoder, the LSTM, all softmaxes and the last layers stay in float: they are small, and sensitive.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from einops import rearrange
from torch import Tensor

from stemo.chatter import unremarked
from stemo.network.export import CLIP_INPUTS, CLIP_OUTPUTS, FRAME_INPUTS, FRAME_OUTPUTS, ClipPart, FramePart, trace
from stemo.network.folding import folded
from stemo.network.model import Network

FRAME_OPERATIONS = ["Conv", "Clip", "Relu", "Add", "Mul", "GlobalAveragePool", "Concat", "Gemm"]
CLIP_OPERATIONS = ["MatMul", "Gemm", "Conv"]
BATCH = 32
WARNINGS, ERRORS = 2, 3  # as ONNX Runtime counts them

Given = dict[str, np.ndarray]


def quantise(network: Network, frames: Tensor, landmarks: Tensor) -> tuple[bytes, bytes]:
    """The frame part and the clip part as ONNX files with 8-bit weights.

    ``frames`` (n 1 128 128) normalised and ``landmarks`` (n 205) of a few hundred various faces say how large the
    activations become. Needs the package onnx.
    """
    network = folded(network, gray=True)
    clips = passing(_encode(network, frames, landmarks), network.length)
    frame = trace(FramePart(network), (frames[:2], landmarks[:2]), FRAME_INPUTS, FRAME_OUTPUTS)
    clip = trace(ClipPart(network), (clips[:2],), CLIP_INPUTS, CLIP_OUTPUTS)
    return (
        _quantised(frame, FRAME_OPERATIONS, FRAME_INPUTS, (frames, landmarks), exact=_landmark_layers, maps=True),
        _quantised(clip, CLIP_OPERATIONS, CLIP_INPUTS, (clips,), exact=partial(_last_layers, network)),
    )


def passing(tokens: Tensor, length: int) -> Tensor:
    """Clips (n t c) in which a face (n c) gives way to the next one, each time at another frame."""
    count = len(tokens)
    change = torch.arange(count) % length  # frames of the face before
    newer = rearrange(torch.arange(length), "t -> 1 t") >= rearrange(change, "n -> n 1")
    places = torch.where(
        newer, rearrange(torch.arange(count), "n -> n 1"), rearrange(torch.arange(count) - 1, "n -> n 1")
    )
    return tokens[places]


@torch.inference_mode()
def _encode(network: Network, frames: Tensor, landmarks: Tensor) -> Tensor:
    batches = zip(frames.split(BATCH), landmarks.split(BATCH), strict=True)
    return torch.cat([network.encode(*batch) for batch in batches])


class Ranges:
    """Batches of inputs, as ONNX Runtime's calibration asks for them."""

    def __init__(self, names: Sequence[str], inputs: Sequence[Tensor]) -> None:
        self._batches = self._each(names, inputs)

    def get_next(self) -> Given | None:
        """The next batch; ``None`` after the last."""
        return next(self._batches, None)

    @staticmethod
    def _each(names: Sequence[str], inputs: Sequence[Tensor]) -> Iterator[Given]:
        for parts in zip(*(part.split(BATCH) for part in inputs), strict=True):
            yield {name: part.contiguous().numpy() for name, part in zip(names, parts, strict=True)}


def _quantised(
    model: Any,
    operations: list[str],
    names: Sequence[str],
    inputs: Sequence[Tensor],
    *,
    exact: Callable[[Any], list[str]],
    maps: bool = False,
) -> bytes:
    """``model`` in 8 bits, but for the nodes of its graph that ``exact`` names.

    All its means are of feature ``maps`` (b c h w), or none is.
    """
    import onnx
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

    with tempfile.TemporaryDirectory() as folder:
        plain, small = Path(folder) / "plain.onnx", Path(folder) / "small.onnx"
        _simplify(model, plain, maps=maps)
        with _quiet():
            quantize_static(
                plain,
                small,
                Ranges(names, inputs),  # type: ignore[arg-type]
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=operations,
                nodes_to_exclude=exact(onnx.load(plain).graph),
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                calibrate_method=CalibrationMethod.MinMax,
                extra_options={"WeightSymmetric": True},
            )
        return _cleaned(small)


def _landmark_layers(graph: Any) -> list[str]:
    """The nodes of the frame part that work on landmarks."""
    found, reached = [], {"landmarks"}
    for node in graph.node:
        if not reached.isdisjoint(node.input):
            found.append(node.name)
            reached.update(node.output)
    return found


def _last_layers(network: Network, graph: Any) -> list[str]:
    """The nodes of the clip part that say logits, valence and arousal.

    In 8 bits readings would go up and down in steps.
    """
    heads = network.heads.named_children()
    weights = {f"network.heads.{name}.{len(list(head.children())) - 1}.weight" for name, head in heads}
    return [node.name for node in graph.node if not weights.isdisjoint(node.input)]


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep back advice to prepare graphs in a way that writes wrong shapes into these, and remarks on shapes."""
    import onnxruntime as ort

    ort.set_default_logger_severity(ERRORS)
    try:
        with unremarked():
            yield
    finally:
        ort.set_default_logger_severity(WARNINGS)


def _simplify(model: Any, path: Path, *, maps: bool) -> None:
    """Write ``model`` with its constants folded, and without the shapes that would bind it to the traced batch."""
    import onnx
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(path)
    options.log_severity_level = ERRORS
    ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    simple = onnx.load(path)
    simple.graph.ClearField("value_info")
    if maps:
        _count_means(simple.graph)
        convolve_scales(simple.graph)
    onnx.save(simple, path)


def _count_means(graph: Any) -> None:
    """Take means over places by pooling and over channels by a convolution: both count in integers.

    A float mean adds in another order when there are more faces, and the last bit of it decides a rounding.
    """
    from onnx import helper, numpy_helper

    constants = {value.name: value for value in graph.initializer}
    nodes = []
    for node in graph.node:
        if node.op_type != "ReduceMean":
            nodes.append(node)
            continue
        axes = numpy_helper.to_array(constants[node.input[1]])
        keep = any(attribute.name == "keepdims" and attribute.i for attribute in node.attribute)
        out = node.output[0]
        pooled = out if keep else f"{out}_pooled"
        if len(axes) == 2:
            nodes.append(helper.make_node("GlobalAveragePool", [node.input[0]], [pooled], f"{node.name}_pool"))
        else:
            graph.initializer.append(numpy_helper.from_array(_channel_mean(graph, node.input[0]), f"{out}_weights"))
            nodes.append(helper.make_node("Conv", [node.input[0], f"{out}_weights"], [pooled], f"{node.name}_conv"))
        if not keep:
            graph.initializer.append(numpy_helper.from_array(axes.astype(np.int64), f"{out}_axes"))
            nodes.append(helper.make_node("Squeeze", [pooled, f"{out}_axes"], [out], f"{node.name}_squeeze"))
    graph.ClearField("node")
    graph.node.extend(nodes)


def _channel_mean(graph: Any, name: str) -> np.ndarray:
    """Weights (1 c 1 1) that take the mean over the channels of ``name``, which a convolution's scaled output is."""
    shapes = {value.name: value.dims for value in graph.initializer}
    made = {output: node for node in graph.node for output in node.output}
    while made[name].op_type != "Conv":
        name = next(given for given in made[name].input if given in made)
    channels = shapes[made[name].input[1]][0]
    return np.full((1, channels, 1, 1), 1 / channels, np.float32)


def convolve_scales(graph: Any) -> None:
    """Take products with a constant per channel (c 1 1) as convolutions: in a fifth of the time, and exactly.

    Such a constant has a scale per channel then, as weights do, not one for all of them.
    """
    from onnx import helper, numpy_helper

    constants = {value.name: value for value in graph.initializer}
    for place, node in enumerate(graph.node):
        scale = next((name for name in node.input if name in constants), None)
        if node.op_type != "Mul" or scale is None or list(constants[scale].dims[1:]) != [1, 1]:
            continue
        weights = rearrange(numpy_helper.to_array(constants[scale]), "c 1 1 -> c 1 1 1")
        graph.initializer.append(numpy_helper.from_array(weights, f"{node.output[0]}_weights"))
        given = [next(name for name in node.input if name != scale), f"{node.output[0]}_weights"]
        convolution = helper.make_node("Conv", given, node.output, f"{node.name}_conv", group=len(weights))
        graph.node[place].CopyFrom(convolution)


def _cleaned(path: Path) -> bytes:
    import onnx

    model = onnx.load(path)
    model.graph.ClearField("value_info")
    return model.SerializeToString(deterministic=True)
