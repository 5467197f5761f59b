"""PyTorch's own exported programs (``.pt2``): what ExecuTorch, AOTInductor and C++ start from.

TorchScript would do the same; PyTorch 2.15 calls it deprecated and warns of every use.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from stemo.chatter import unremarked
from stemo.network.engine import Run
from stemo.network.export import any_batch
from stemo.network.standalone import Form

DESCRIPTION = "stemo.json"  # inside the file


def program(form: Form, described: Mapping[str, Any]) -> bytes:
    """``form`` as an exported program with its weights, ``described`` inside; any number of faces."""
    file = io.BytesIO()
    with unremarked():
        exported = torch.export.export(form.module, form.examples, dynamic_shapes=any_batch(form.examples))
        torch.export.save(exported, file, extra_files={DESCRIPTION: json.dumps(described)})
    return file.getvalue()


def open_program(path: Path) -> Run:
    """The program in a file that :func:`program` wrote, as a function of tensors. Open none that you do not trust."""
    with unremarked():
        module = torch.export.load(io.BytesIO(path.read_bytes())).module()

    def run(inputs: Sequence[Tensor]) -> Sequence[Tensor]:
        with torch.inference_mode():
            return module(*inputs)

    return run
