"""Weights that the summary writes can be read by themselves, wherever they lie."""

from __future__ import annotations

from pathlib import Path

import pytest

from stemo.cli import main
from stemo.network.checkpoint import SHIPPED, load_weights
from stemo.network.int8 import FACTS
from stemo.recognizer import Recognizer


@pytest.mark.slow
def test_a_copy_of_the_shipped_weights_does_not_name_a_twin_that_it_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stemo.network.engine.has_instructions", lambda: True)
    copy = tmp_path / "new.safetensors"
    assert main(["--weights", str(copy)]) == 0
    metrics, shipped = load_weights(copy)[1].metrics, load_weights(SHIPPED)[1].metrics
    assert FACTS in shipped
    assert metrics == {name: value for name, value in shipped.items() if name != FACTS}
    assert Recognizer(weights=copy, device="cpu").engine == "onnx"
    Recognizer(weights=copy, device="cpu").stream("auto")
