"""ONNX Runtime and torch give the same readings, whatever the weights; the shipped graphs are today's network."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest
import torch
from conftest import ROOT
from einops import repeat

from stemo.errors import ConfigError
from stemo.network.checkpoint import SHIPPED, load_weights
from stemo.network.engine import OnnxEngine, TorchEngine, make_engine, network_threads, session_options
from stemo.network.export import GRAPHS
from stemo.network.model import LANDMARK_FEATURES, SIZES, Network
from stemo.network.preprocessing import Preprocessing
from stemo.processors import processor_groups

CPU = torch.device("cpu")


def awake(classes: int, seed: int, size: str = "base") -> Network:
    """A network in which no parameter is zero or one, so that none can be forgotten unseen."""
    torch.manual_seed(seed)
    network = Network(classes, size=size).eval()
    with torch.no_grad():
        for name, value in network.state_dict().items():
            if value.dtype == torch.float32 and value.ndim:
                value.add_(torch.rand_like(value) * 0.1 if "running_var" in name else torch.randn_like(value) * 0.02)
    return network


@pytest.mark.slow
@pytest.mark.parametrize(
    ("classes", "faces", "size"), [(7, 1, "base"), (7, 3, "base"), (5, 2, "base"), (7, 1, "small"), (7, 2, "tiny")]
)
def test_onnx_reads_like_torch(classes: int, faces: int, size: str) -> None:
    network = awake(classes, faces, size)
    engine, pictures = OnnxEngine(network), torch.randn(faces, 1, 128, 128)
    landmarks = torch.randn(faces, 205)
    landmarks[0] = torch.nan
    clip = torch.rand(faces, 16, network.token_width)
    with torch.inference_mode():
        for one, other in zip(
            (network.encode(pictures, landmarks), *network.read(clip)),
            (engine.encode(pictures, landmarks), *engine.read(clip)),
            strict=True,
        ):
            torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


@pytest.mark.slow
def test_every_parameter_reaches_the_graphs() -> None:
    network = awake(7, 0)
    pictures, landmarks = torch.randn(1, 1, 128, 128), torch.randn(1, 205)
    clip = torch.rand(1, 16, network.token_width)

    def all_of(engine: OnnxEngine) -> list[torch.Tensor]:
        absent = engine.encode(pictures, torch.full((1, 205), torch.nan))
        return [engine.encode(pictures, landmarks), absent, *engine.read(clip)]

    before = all_of(OnnxEngine(network))
    for part in ("spatial", "place", "landmark", "temporal", "channel", "recent", "fusion", "heads"):
        changed = awake(7, 0)
        with torch.no_grad():
            for value in getattr(changed, part).parameters():
                value.mul_(1.1)
        after = all_of(OnnxEngine(changed))
        assert any(not torch.equal(one, other) for one, other in zip(before, after, strict=True)), part


def test_auto_takes_onnx_on_a_processor_and_torch_elsewhere() -> None:
    network = Network()
    assert isinstance(make_engine(network, Preprocessing(), CPU), OnnxEngine)
    assert isinstance(make_engine(network, Preprocessing(gray=False), CPU), TorchEngine)
    assert isinstance(make_engine(network, Preprocessing(), CPU, "torch"), TorchEngine)


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["stemo", "resnet_se"])
def test_half_precision_reads_nearly_the_same_and_hands_on_full_precision(architecture: str) -> None:
    weights = {"stemo": SHIPPED, "resnet_se": SHIPPED.with_name("resnet_se.safetensors")}[architecture]
    network, facts = load_weights(weights)
    size = facts.preprocessing.input_size
    frames, landmarks = torch.randn(3, 1, size, size), torch.randn(3, 205)
    exact, half = TorchEngine(network, CPU), TorchEngine(network, CPU, torch.float16)
    with torch.inference_mode():
        expected, tokens = (engine.encode(frames, landmarks) for engine in (exact, half))
        assert tokens.dtype == torch.float32
        assert not torch.equal(expected, tokens)
        clips = [repeat(part, "n c -> n t c", t=network.length) for part in (expected, tokens)]
        one, other = (engine.read(clip) for engine, clip in zip((exact, half), clips, strict=True))
    torch.testing.assert_close(network.probabilities(other), network.probabilities(one), atol=0.01, rtol=0)
    torch.testing.assert_close(other.valence, one.valence, atol=0.01, rtol=0)


def test_unusable_backends_say_why() -> None:
    with pytest.raises(ConfigError, match="unknown: expected one of auto, torch, onnx, int8"):
        make_engine(Network(), Preprocessing(), CPU, "tensorrt")
    with pytest.raises(ConfigError, match="another input"):
        make_engine(Network(), Preprocessing(gray=False), CPU, "onnx")
    with pytest.raises(ConfigError, match=r"expected device cpu, got cuda\. Use --device cpu\..*Use --backend torch\."):
        make_engine(Network(), Preprocessing(), torch.device("cuda"), "onnx")


@pytest.mark.slow
def test_shipped_graphs_are_those_of_the_network(tmp_path: object) -> None:
    pytest.importorskip("onnxscript")
    code = f"import pathlib, stemo.network.export as e\ne.write_graphs(pathlib.Path({str(tmp_path)!r}))"
    # the exporter warns of its own future, which is not ours to mend
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], cwd=ROOT, check=True, capture_output=True)
    import onnx

    names = sorted(path.name for path in GRAPHS.glob("*.onnx"))
    assert names == sorted(f"{size}_{part}.onnx" for size in SIZES for part in ("frame", "clip"))
    for name in names:
        fresh = onnx.load(f"{tmp_path}/{name}", load_external_data=False)
        shipped = onnx.load(str(GRAPHS / name), load_external_data=False)
        assert [node.op_type for node in fresh.graph.node] == [node.op_type for node in shipped.graph.node]


class Remembering(torch.nn.Module):
    """An LSTM over (b t c), as in the clip part."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = torch.nn.LSTM(6, 4, batch_first=True, bidirectional=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.lstm(x)[0]


@pytest.mark.slow
def test_a_graph_asks_for_its_batch_only() -> None:
    pytest.importorskip("onnxscript")
    code = """
import sys; sys.path.insert(0, "tests")
import numpy as np, onnxruntime, torch
from stemo.network.export import trace
from test_network_engine import Remembering
part = Remembering().eval()
model = trace(part, (torch.zeros(2, 5, 6),), ("x",), ("y",))
asked = [{a.name: a.i for a in node.attribute} for node in model.graph.node if node.op_type == "Shape"]
assert all(dimensions.get("start", 0) == 0 for dimensions in asked), asked
x = torch.randn(3, 5, 6, generator=torch.Generator().manual_seed(0))
(y,) = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": x.numpy()})
np.testing.assert_allclose(y, part(x).detach().numpy(), atol=1e-5)
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], cwd=ROOT, check=True)


@pytest.mark.parametrize(
    ("threads", "expected", "spinning"), [(None, network_threads(), "0"), (3, 3, "1")], ids=["beside others", "alone"]
)
def test_a_thread_waits_awake_only_where_no_other_stage_works_and_never_between_two_frames(
    threads: int | None, expected: int, spinning: str
) -> None:
    options = session_options(threads)
    assert options.intra_op_num_threads == expected
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == spinning
    assert options.get_session_config_entry("session.force_spinning_stop") == "1"


LINUX = pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="needs Linux, which can be told processors")
AFFINITIES = "session.intra_op_thread_affinities"


@LINUX
def test_threads_of_a_live_network_have_processors_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 3, 5, 8, 9, 12})
    monkeypatch.setattr("stemo.processors.container_processors", lambda: None)
    assert session_options(3).get_session_config_entry(AFFINITIES) == "6,9;10,13"  # counted from one; 0 and 3 are left
    for threads in (None, 1, 7):  # beside others, alone, and more than there are
        with pytest.raises(RuntimeError, match=AFFINITIES):
            session_options(threads).get_session_config_entry(AFFINITIES)


@LINUX
def test_the_thread_that_asks_a_live_network_keeps_off_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    there, asked = os.sched_getaffinity(0), []
    if len(there) < 2:
        pytest.skip("needs two processors")
    monkeypatch.setattr("stemo.network.engine.session_run", lambda _: lambda _: [asked.append(os.sched_getaffinity(0))])
    for threads in (2, None):
        make_engine(Network(), Preprocessing(), CPU, threads=threads).encode(torch.zeros(0), torch.zeros(0))
        assert os.sched_getaffinity(0) == there
    assert asked == [set(processor_groups(2)[0]), there]


@pytest.mark.slow
def test_between_two_frames_a_live_network_leaves_the_processors_alone() -> None:
    engine = make_engine(Network(), Preprocessing(), CPU, threads=2)
    given = torch.randn(1, 1, 128, 128), torch.randn(1, LANDMARK_FEATURES)
    taken = 0.0
    for _ in range(40):
        engine.encode(*given)
        before = time.process_time()
        time.sleep(0.01)
        taken += time.process_time() - before
    assert taken < 0.2  # a thread that waited awake would have taken all of the 0.4 s
