"""Every architecture by its flag: trained, evaluated, exported and run on a video with its own weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import made_data
import pytest
import yaml
from test_training_own_classes import face_video

from stemo.cli import main
from stemo.network.checkpoint import load_weights
from stemo.records import EMOTIONS

SHORT: dict[str, Any] = {
    **{"name": "r", "epochs": 1, "clip_epochs": 1, "joint_epochs": 0, "batch": 7},
    **{"small_size": 32, "full_size": 32, "views": 1, "landmarks": False},
}
KINDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {  # its flags, and the forms that it is exported in
    "stemo_small": (("--size", "small"), ("step", "clip")),
    "stemo_tiny": (("--size", "tiny"), ()),  # half a minute to export, and tests/test_modes_export.py does
    "resnet_se": (("--architecture", "resnet_se"), ("still",)),
    "resnet50": (("--architecture", "resnet50"), ("still",)),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_each_architecture_from_training_to_video(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    flags, forms = KINDS[name]
    data = str(made_data.image_folder(tmp_path / "faces", count=1, splits=("train", "val")))
    Path("short.yaml").write_text(yaml.safe_dump({"training": SHORT}), encoding="utf-8")
    weights = Path("runs/r") / f"{name}.safetensors"

    def said(*arguments: str) -> str:
        assert main([*arguments]) == 0
        return capsys.readouterr().out

    assert f"wrote {weights} and {name}.json" in said("--train", "--config", "short.yaml", "--data", data, *flags)
    facts = load_weights(weights)[1]
    assert facts.trained
    assert (facts.name, facts.training_data, facts.metrics["valid"]["n"]) == (name, "faces", 7)

    found = said("--evaluate", data, "--split", "val", "--weights", str(weights))
    assert "n:             7 faces" in found
    assert f"accuracy:      {facts.metrics['valid']['accuracy']:.2%}" in found

    video = str(face_video(tmp_path / "in.mp4"))
    if forms:
        shown = said("--export", "onnx", "--weights", str(weights), "--source", video, "--output", "exported")
        assert shown.count("largest difference to the network") == len(forms)
        made = {f"{name}_{form}.onnx{more}" for form in forms for more in ("", ".json")}
        assert {path.name for path in Path("exported").iterdir()} == made

    assert "out.mp4" in said("--video", video, "--weights", str(weights), "--output", "out.mp4")
    rows = json.loads(Path("out_results.json").read_text(encoding="utf-8"))
    assert {row["frame"] for row in rows} == {0, 1, 2}
    assert all(row["emotion"] in EMOTIONS and set(row["probabilities"]) == set(EMOTIONS) for row in rows)
    meta = json.loads(Path("out_meta.json").read_text(encoding="utf-8"))
    assert meta["model"]["name"] == name
