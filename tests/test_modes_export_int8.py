"""The place and the faces of an 8-bit twin are looked at first, and a twin is replaced without a moment's wrong one."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PilImage

from stemo.cli import main
from stemo.modes import export_int8
from stemo.network.checkpoint import WeightFacts, load_weights, save_weights
from stemo.network.int8 import FACTS, PARTS, Twin, find_twin, twin_path
from stemo.network.model import Network
from stemo.output.pending import Pending
from stemo.records import EMOTIONS

OLD, NEW = Twin(b"old frame", b"old clip"), Twin(b"new frame", b"new clip")


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """Weights with a twin that their description knows."""
    path = tmp_path / "small.safetensors"
    known = {part: hashlib.sha256(getattr(OLD, part)).hexdigest() for part in PARTS}
    metrics = {"valid": {"n": 7}, FACTS: {"sha256": known}}
    save_weights(path, Network(size="tiny"), WeightFacts(name="small", size="tiny", metrics=metrics))
    for part in PARTS:
        twin_path(path, part).write_bytes(getattr(OLD, part))
    return path


def twin_of(weights: Path) -> Twin | None:
    return find_twin(weights, load_weights(weights)[1])


def test_a_twin_replaces_another(weights: Path) -> None:
    assert twin_of(weights) == OLD
    export_int8._keep(weights, NEW, {"n": 3})
    assert twin_of(weights) == NEW
    metrics = json.loads(weights.with_suffix(".json").read_text())["metrics"]
    assert (metrics["valid"], metrics[FACTS]["n"]) == ({"n": 7}, 3)


@pytest.mark.parametrize("last", PARTS)
def test_weights_are_readable_when_a_twin_is_not_replaced_to_the_end(
    weights: Path, monkeypatch: pytest.MonkeyPatch, last: str
) -> None:
    class Interrupted(Pending):
        """Never gives the file of the ``last`` part its name."""

        def commit(self) -> Path:
            if self.path == twin_path(weights, last):
                raise KeyboardInterrupt
            return super().commit()

    monkeypatch.setattr(export_int8, "Pending", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        export_int8._keep(weights, NEW, {"n": 3})
    assert twin_of(weights) is None
    monkeypatch.undo()
    export_int8._keep(weights, NEW, {"n": 3})
    assert twin_of(weights) == NEW


def make_faces(folder: Path, people: int) -> Path:
    """One folder of pictures per emotion, nobody twice and no split named."""
    for person in range(people):
        category = folder / EMOTIONS[person % len(EMOTIONS)]
        category.mkdir(parents=True, exist_ok=True)
        PilImage.fromarray(np.full((48, 48), person, np.uint8)).save(category / f"person{person:03}.png")
    return folder


def test_people_are_kept_apart_where_the_data_name_no_splits(
    weights: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(weights.parent)
    faces = make_faces(weights.parent / "faces", 140)
    assert main(["--export", "int8", "--weights", str(weights), "--data", str(faces)]) == 2
    error = capsys.readouterr().err
    assert "expected 384 training faces and some for validation, got " in error
    train, valid = (int(word) for word in error.partition(", got ")[2].partition(". ")[0].split(" and "))
    assert train + valid == 140
    assert valid == pytest.approx(0.2 * 140, abs=14), "as many as the training keeps apart"


def test_the_place_is_looked_at_before_the_faces(weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    twin_path(weights, "clip").unlink()
    twin_path(weights, "clip").mkdir()
    assert main(["--export", "int8", "--weights", str(weights), "--data", "nowhere"]) == 2
    error = capsys.readouterr().err
    assert "cannot be kept: expected a place for files beside the weights, got: output " in error
    assert error.count("\n") == 1
