"""ONNX files that stand alone: graph, weights and a description of themselves in one.

What else can be made of a model's weights goes into :data:`PRECISIONS`. Needs ``pip install stemo[export]``; reading
the files (``exported.py``) does not.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

import stemo
from stemo.network.checkpoint import WeightFacts
from stemo.network.export import OPSET, trace, without_notes
from stemo.network.standalone import Form

NOTE = (
    "Expressions are not inner states: this describes what a face shows, with errors. Do not use it to judge, select "
    "or watch people."
)


def onnx_model(form: Form) -> Any:
    """``form`` as an ONNX model in fp32 with its weights, any number of faces; nothing in it names this machine."""
    model = trace(form.module, form.examples, tuple(form.inputs), tuple(form.outputs))
    without_notes(model)
    return model


def in_half(model: Any) -> Any:
    """The same model, its matrices and kernels kept as fp16 and read as fp32: half the size, and any runtime runs it.

    Runtimes undo the casts once, when they load. What is smaller than a matrix, or beyond fp16, stays as it is.
    """
    from onnx import TensorProto, helper, numpy_helper

    half = type(model)()
    half.CopyFrom(model)
    casts = []
    for tensor in half.graph.initializer:
        if tensor.data_type != TensorProto.FLOAT or len(tensor.dims) < 2 or math.prod(tensor.dims) < 64:
            continue
        with np.errstate(over="ignore"):
            values = numpy_helper.to_array(tensor).astype(np.float16)
        if np.isfinite(values).all():
            name = tensor.name
            tensor.CopyFrom(numpy_helper.from_array(values, f"{name}_fp16"))
            casts.append(helper.make_node("Cast", [f"{name}_fp16"], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *half.graph.node]
    del half.graph.node[:]
    half.graph.node.extend(nodes)
    return half


def _as_it_is(model: Any) -> Any:
    return model


PRECISIONS: dict[str, Callable[[Any], Any]] = {"fp32": _as_it_is, "fp16": in_half}


def description(form: Form, facts: WeightFacts, precision: str) -> dict[str, Any]:
    """What an exported file says of itself: what goes in and comes out, whose weights they are, and their licence."""
    return {
        "stemo_version": stemo.__version__,
        "name": facts.name,
        "kind": form.kind,
        "architecture": facts.architecture,
        "size": facts.size,
        "precision": precision,
        "opset": OPSET,
        "labels": list(facts.labels),
        "inputs": form.inputs,
        "outputs": form.outputs,
        "clip_length": facts.clip_length,
        "fps": facts.fps,
        "weights_sha256": facts.sha256,
        "training_data": facts.training_data,
        "licence": facts.licence,
        "note": NOTE,
        "weights": asdict(facts),
    }


def to_bytes(model: Any, described: Mapping[str, Any]) -> bytes:
    """The model as a file, ``described`` in its metadata: texts as they are, everything else as JSON."""
    del model.metadata_props[:]
    for key, value in described.items():
        model.metadata_props.add(key=key, value=value if isinstance(value, str) else json.dumps(value))
    return model.SerializeToString(deterministic=True)
