"""Exported files read as the network does, describe themselves, and can stand for it in every mode that needs none."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import ROOT
from test_network_engine import awake

from stemo.cli import main
from stemo.errors import ConfigError, OutputError, WeightsError
from stemo.modes import export
from stemo.modes.export import Outcome, Wanted, check
from stemo.modes.export_check import clip_differences
from stemo.network.architectures import build
from stemo.network.checkpoint import WeightFacts, load_weights
from stemo.network.engine import session_run
from stemo.network.executorch_file import lowered, open_lowered
from stemo.network.exported import CPU, beside, open_exported, open_session, open_weights
from stemo.network.model import FaceNetwork
from stemo.network.onnx_file import description, in_half, onnx_model, to_bytes
from stemo.network.preprocessing import TURNS
from stemo.network.standalone import forms
from stemo.network.torch_file import open_program, program
from stemo.recognizer import Recognizer

FACTS = WeightFacts(name="made", size="tiny", sha256="5" * 64, metrics={"accuracy": 0.5})


@pytest.fixture(scope="module")
def network() -> FaceNetwork:
    return awake(7, 1, "tiny")


@pytest.fixture(scope="module")
def files(network: FaceNetwork, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the step and the clip of ``network``, in fp32 and, as half_*, in fp16."""
    folder = tmp_path_factory.mktemp("exported")
    for form in forms(network, FACTS.preprocessing):
        model = onnx_model(form)
        for precision, start, made in (("fp32", "", model), ("fp16", "half_", in_half(model))):
            data = to_bytes(made, description(form, FACTS, precision))
            (folder / f"{start}{form.kind}.onnx").write_bytes(data)
    return folder


def inputs(kind: str, faces: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(faces)
    shape = (faces, 16) if kind == "clip" else (faces,)
    pictures = torch.randint(0, 255, (*shape, 224, 224, 3), dtype=torch.uint8, generator=generator)
    landmarks = torch.randn(*shape, 205, generator=generator)
    landmarks[0] = torch.nan
    cache = torch.randn(faces, 15, 368, generator=generator)
    cache[-1] = torch.nan
    views = torch.randint(0, len(TURNS), shape, generator=generator)
    return [pictures, landmarks, cache, views] if kind == "step" else [pictures, landmarks, views]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["step", "clip"])
def test_a_file_reads_like_torch_for_any_number_of_faces(files: Path, network: FaceNetwork, kind: str) -> None:
    form = next(form for form in forms(network, FACTS.preprocessing) if form.kind == kind)
    run = session_run(open_session((files / f"{kind}.onnx").read_bytes(), kind))
    for faces in (1, 2, 6) if kind == "step" else (1, 3):
        given = inputs(kind, faces)
        with torch.inference_mode():
            for one, other in zip(run(given), form.module(*given), strict=True):
                torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


@pytest.mark.slow
def test_half_as_large_and_nearly_the_same(files: Path) -> None:
    whole, half = ((files / f"{start}step.onnx").read_bytes() for start in ("", "half_"))
    assert 0.45 < len(half) / len(whole) < 0.6
    given = inputs("step", 4)
    read, nearly = (session_run(open_session(data, "step"))(given) for data in (whole, half))
    differences = [float((one - other).abs().max()) for one, other in zip(read[:3], nearly[:3], strict=True)]
    assert 0 < max(differences) < 0.02


@pytest.mark.slow
def test_a_file_describes_itself(files: Path) -> None:
    data = (files / "step.onnx").read_bytes()
    network, facts = open_weights(files / "step.onnx")
    assert facts == replace(FACTS, sha256=sha256(data).hexdigest())
    assert network.length == 16
    session = open_session(data, "step")
    said = session.get_modelmeta().custom_metadata_map
    assert json.loads(said["labels"]) == list(FACTS.labels)
    assert (said["opset"], said["precision"], said["weights_sha256"]) == ("20", "fp32", "5" * 64)
    assert list(json.loads(said["inputs"])) == [given.name for given in session.get_inputs()]
    assert list(json.loads(said["outputs"])) == [made.name for made in session.get_outputs()]
    assert "MIT" in said["licence"]
    assert str(ROOT).encode() not in data


@pytest.mark.slow
def test_other_files_are_errors_by_name(files: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"clip.onnx' cannot read a stream: expected NAME_step.onnx .* got a clip"):
        open_exported(files / "clip.onnx")
    step = tmp_path / "step.onnx"
    step.write_bytes((files / "step.onnx").read_bytes())
    beside(step).write_text(json.dumps({"sha256": "0" * 64}))
    with pytest.raises(WeightsError, match="were changed: expected sha256 000000000000"):
        open_exported(step)
    with pytest.raises(ConfigError, match="expected --backend onnx and --device cpu, got torch and cpu"):
        Recognizer(weights=files / "step.onnx", backend="torch").stream("torch")
    with pytest.raises(WeightsError, match=r"expected a .safetensors file here, got an ONNX file"):
        load_weights(files / "step.onnx")


def test_what_is_no_export_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.onnx").write_bytes(b"nothing of the kind")
    with pytest.raises(WeightsError, match="no ONNX file that can be run"):
        open_exported(tmp_path / "a.onnx")
    with pytest.raises(WeightsError, match="cannot be read: No such file"):
        open_exported(tmp_path / "b.onnx")
    for flags, words in (
        (["onxx"], "format 'onxx' is unknown: expected one of onnx, torch, executorch, got 'onxx'. Did you mean onnx?"),
        (["onnx", "--precision", "fp8"], "precision 'fp8' is unknown: expected one of fp32, fp16"),
        (["torch", "--precision", "fp16"], "expected fp32 with --export torch"),
    ):
        assert main(["--export", *flags]) == 2
        error = capsys.readouterr().err
        assert words in error
        assert error.count("\n") == 1


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    found = "stemo.modes.export_packages.find_spec"
    monkeypatch.setattr(found, lambda name: None if name == "onnxscript" else object())
    with pytest.raises(ConfigError, match=r"lacks the package 'onnxscript'.* pip install onnx onnxscript"):
        check(Wanted("onnx"))
    check(Wanted("torch"))
    monkeypatch.setattr(found, lambda _: None)
    with pytest.raises(ConfigError, match=r"lacks the package 'executorch'.* pip install executorch"):
        check(Wanted("executorch"))


def test_a_file_that_reads_otherwise_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = build("resnet_se").eval()
    (form,) = forms(network, FACTS.preprocessing)
    outcome, said = Outcome(tmp_path / "made_still.onnx", False), []
    monkeypatch.setattr(export, "largest_difference", lambda *_: (2e-4, 3))
    export.compare(form, network, FACTS, [], Wanted("onnx", "fp16"), outcome, said.append)
    assert "largest difference to the network 2.0e-04 in 3 readings (no limit)" in said[0]
    with pytest.raises(OutputError, match=r"expected readings within 0.0001 of the network's, got 2.0e-04"):
        export.compare(form, network, FACTS, [], Wanted("onnx"), outcome, said.append)
    monkeypatch.setattr(export, "largest_difference", lambda *_: (float("nan"), 3))
    with pytest.raises(OutputError):
        export.compare(form, network, FACTS, [], Wanted("onnx"), outcome, said.append)
    outcome.discard()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_stills_and_torch_programs(tmp_path: Path) -> None:
    network = build("resnet_se").eval()
    facts = replace(FACTS, architecture="resnet_se", size="base", input_size=48, clip_length=1)
    (form,) = forms(network, facts.preprocessing)
    pictures = torch.randint(0, 255, (5, 224, 224, 3), dtype=torch.uint8)
    with torch.inference_mode():
        expected = form.module(pictures)
    path = tmp_path / "still.onnx"
    path.write_bytes(to_bytes(onnx_model(form), description(form, facts, "fp32")))
    read, features = open_exported(path).step(
        pictures, torch.zeros(5, 205), torch.zeros(5, 0, 0), torch.zeros(5).long()
    )
    torch.testing.assert_close(read.logits.exp(), expected[0], atol=1e-5, rtol=0)
    assert features.shape == (5, 0)
    (tmp_path / "still.pt2").write_bytes(program(form, description(form, facts, "fp32")))
    for one, other in zip(open_program(tmp_path / "still.pt2")([pictures]), expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=0)


@pytest.mark.slow
def test_a_program_for_phones_reads_like_torch(network: FaceNetwork, tmp_path: Path) -> None:
    step, _ = forms(network, FACTS.preprocessing)
    (tmp_path / "step.pte").write_bytes(lowered(step))
    run = open_lowered(tmp_path / "step.pte")
    for faces in (1, 3):
        given = inputs("step", faces)
        with torch.inference_mode():
            for one, other in zip(run(given), step.module(*given), strict=True):
                torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


def test_the_comparison_sees_a_clip_that_is_read_otherwise(network: FaceNetwork) -> None:
    from test_network_standalone import observation

    clip = forms(network, FACTS.preprocessing)[1].module
    seen = [(index / 25, [observation(index)]) for index in range(18)]

    def skewed(given: Any) -> Any:
        with torch.inference_mode():
            probabilities, valence, arousal = clip(*given)
        return probabilities, valence + 0.01, arousal

    differences = clip_differences(skewed, "clip", network, FACTS, seen)
    assert differences.tolist() == pytest.approx([0.01], abs=1e-4)


def program_run(*arguments: str | Path, folder: Path) -> str:
    command = [sys.executable, str(ROOT / "main.py"), *map(str, arguments)]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    assert run.returncode == 0, run.stderr
    return run.stdout


@pytest.mark.slow
def test_the_shipped_network_on_real_clips(shared: Path, tmp_path: Path) -> None:
    clip = shared / "videos" / "several_faces.mp4"
    said = program_run("--export", "onnx", "--source", clip, "--output", "face.onnx", folder=tmp_path)
    differences = [float(value) for value in re.findall(r"difference to the network (\S+) in", said)]
    assert len(differences) == 2
    assert max(differences) < 1e-4
    assert re.search(r"ONNX opset 20, FP32 31\.\d MB, FP16 16\.\d MB", said)
    made = {path.name for path in tmp_path.iterdir()}
    assert made == {f"face_{kind}.onnx{end}" for kind in ("step", "clip") for end in ("", ".json")}

    expressive = shared / "videos" / "expressive_b.mp4"
    for source, end, least in ((clip, "1.5", 16), (expressive, "1", 25)):
        rows = {}
        for name, flags in {
            "file": ("--weights", str(tmp_path / "face_step.onnx")),
            "onnx": ("--backend", "onnx"),
            "torch": ("--backend", "torch"),
        }.items():
            output = tmp_path / f"{source.stem}_{name}"
            assert main(["--video", str(source), "--end", end, "--no-video", "--output", str(output), *flags]) == 0
            rows[name] = json.loads(output.with_name(f"{output.name}_results.json").read_text())
        assert len(rows["file"]) >= least
        for name in ("file", "onnx"):
            for one, other in zip(rows[name], rows["torch"], strict=True):
                assert one["box"] == other["box"]
                assert one["emotion"] == other["emotion"]
                if one["emotion"]:
                    for got, expected in ((one, other), (one["raw"], other["raw"])):
                        np.testing.assert_allclose(values(got), values(expected), atol=1e-4)


def values(read: dict[str, Any]) -> list[float]:
    return [*read["probabilities"].values(), read["valence"], read["arousal"]]


@pytest.mark.slow
def test_modes_with_a_file(files: Path, photo: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import cv2

    face = tmp_path / "data" / "happy" / "a.png"
    face.parent.mkdir(parents=True)
    cv2.imwrite(str(face), photo[60:420, 700:1100, ::-1])
    step = str(files / "step.onnx")
    assert main(["--evaluate", str(tmp_path / "data"), "--weights", step, "--backend", "onnx"]) == 0
    assert main(["--explain", str(face), "--weights", step, "--output", str(tmp_path / "why.png")]) == 2
    assert "an ONNX file, which has no gradients: --explain expected a .safetensors file" in capsys.readouterr().err
    assert main(["--explain", str(face), "--backend", "onnx", "--output", str(tmp_path / "why.png")]) == 0
    assert "PyTorch runs the network here" in capsys.readouterr().out
    assert len(Recognizer(weights=step).image(photo)) == 2
    assert Recognizer(weights=step).device == CPU
