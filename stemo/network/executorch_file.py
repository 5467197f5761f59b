"""Programs for phones and small boards (``.pte``): ExecuTorch's, with XNNPACK for their processors.

Needs ``pip install stemo[mobile]``.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from stemo.chatter import quiet, unremarked
from stemo.network.engine import Run
from stemo.network.standalone import Form


def lowered(form: Form) -> bytes:
    """``form`` with its weights as a program for one face, or clip, a call: its shapes are laid out beforehand."""
    one = tuple(example[:1].contiguous() for example in form.examples)
    with quiet(), unremarked():
        from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
        from executorch.exir import to_edge_transform_and_lower

        exported = torch.export.export(form.module, one)
        return to_edge_transform_and_lower(exported, partitioner=[XnnpackPartitioner()]).to_executorch().buffer


def open_lowered(path: Path) -> Run:
    """The program in a file that :func:`lowered` made, as a function of any number of faces or clips."""
    with quiet(), unremarked():
        from executorch.runtime import Runtime

        # from the file, since bytes would have to live as long as the program
        method = Runtime.get().load_program(path).load_method("forward")
    assert method is not None

    def run(inputs: Sequence[Tensor]) -> Sequence[Tensor]:
        rows = zip(*(part.split(1) for part in inputs), strict=True)
        # what comes out is the program's own memory, which the next call writes over
        read = [[part.clone() for part in method.execute([part.contiguous() for part in row])] for row in rows]
        return [torch.cat(parts) for parts in zip(*read, strict=True)]

    return run
