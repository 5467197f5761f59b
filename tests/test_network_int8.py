"""The 8-bit twin reads nearly as the network does, is known to be whole, and is taken only where it pays."""

from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from stemo.cli import main
from stemo.errors import ConfigError, WeightsError
from stemo.network import int8
from stemo.network.checkpoint import SHIPPED, WeightFacts, load_weights, save_weights
from stemo.network.engine import OnnxEngine, make_engine, session_options, session_run
from stemo.network.export import OPSET
from stemo.network.exported import open_session
from stemo.network.int8 import FACTS, PARTS, Twin, find_twin, twin_path
from stemo.network.model import Network
from stemo.network.preprocessing import Preprocessing
from stemo.network.quantising import convolve_scales, passing, quantise
from stemo.network.streaming import Observation, StreamReader
from stemo.recognizer import Recognizer

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def network() -> Network:
    """A small network whose temporal parts do something."""
    torch.manual_seed(0)
    network = Network(size="tiny").eval()
    with torch.no_grad():
        for value in network.parameters():
            value.add_(torch.randn_like(value) * 0.05)
    return network


@pytest.fixture(scope="module")
def twin(network: Network) -> Twin:
    torch.manual_seed(1)
    return Twin(*quantise(network, torch.randn(48, 1, 128, 128), torch.randn(48, 205)))


def test_faces_give_way_at_every_frame() -> None:
    count, length = 20, 16
    numbers = torch.arange(count, dtype=torch.float32).unsqueeze(-1)
    clips = passing(numbers, length).squeeze(-1)
    assert clips.shape == (count, length)
    for place, clip in enumerate(clips.tolist()):
        before = place % length
        assert clip == [(place - 1) % count] * before + [place] * (length - before)


@pytest.mark.slow
def test_the_twin_reads_nearly_as_the_network(network: Network, twin: Twin) -> None:
    torch.manual_seed(2)
    pictures, landmarks = torch.randn(8, 1, 128, 128), torch.randn(8, 205)
    landmarks[0] = torch.nan
    exact, small = OnnxEngine(network), OnnxEngine(network, twin=twin)
    one, other = exact.encode(pictures, landmarks), small.encode(pictures, landmarks)
    assert one.shape == other.shape
    for part, close in zip(one.split(network.token_parts, -1), other.split(network.token_parts, -1), strict=True):
        assert torch.nn.functional.cosine_similarity(part, close).min() > 0.99
    landmarks_of = one[:, -network.token_parts[-1] :], other[:, -network.token_parts[-1] :]
    torch.testing.assert_close(*landmarks_of, atol=1e-5, rtol=0)  # they stay in float
    clip = one.unsqueeze(1).expand(-1, 16, -1).contiguous()
    logits = exact.read(clip).logits, small.read(clip).logits
    assert not torch.equal(*logits), "something was quantised"
    assert (logits[0] - logits[1]).abs().mean() < 0.1 * logits[0].std()


def test_a_product_with_a_constant_per_channel_is_a_convolution() -> None:
    scale = np.array([0.001, -7.0, 0.3], np.float32).reshape(3, 1, 1)
    product = helper.make_node("Mul", ["scale", "x"], ["y"], "product")
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3, 4, 5]) for name in "xy"]
    graph = helper.make_graph([product], "g", ends[:1], ends[1:], [numpy_helper.from_array(scale, "scale")])
    convolve_scales(graph)
    assert [node.op_type for node in graph.node] == ["Conv"]
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
    (read,) = session_run(open_session(model.SerializeToString(), "g"))([torch.arange(120.0).reshape(2, 3, 4, 5)])
    torch.testing.assert_close(read, torch.arange(120.0).reshape(2, 3, 4, 5) * torch.from_numpy(scale), atol=0, rtol=0)


@pytest.mark.slow
def test_readings_of_the_twin_know_more_than_256_steps(network: Network, twin: Twin) -> None:
    torch.manual_seed(2)
    engine, count = OnnxEngine(network, twin=twin), 600
    ends = torch.randn(2, 1, 16, network.token_width)
    between = torch.lerp(ends[0], ends[1], torch.linspace(0, 1, count)[:, None, None])
    read = engine.read(between)
    for values in (*read.logits.T, read.valence, read.arousal):
        assert values.unique().numel() > 400


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 5])
def test_a_batch_is_read_as_its_faces_are(network: Network, twin: Twin, count: int) -> None:
    torch.manual_seed(3)
    engine = OnnxEngine(network, twin=twin)
    pictures, landmarks = torch.randn(count, 1, 128, 128), torch.randn(count, 205)
    together = engine.encode(pictures, landmarks)
    for place in range(count):
        alone = engine.encode(pictures[place : place + 1], landmarks[place : place + 1])
        torch.testing.assert_close(together[place], alone[0], atol=1e-4, rtol=1e-3)


@pytest.mark.slow
def test_graphs_are_half_the_size_of_fp16_and_the_same_again(network: Network, twin: Twin) -> None:
    torch.manual_seed(1)
    assert Twin(*quantise(network, torch.randn(48, 1, 128, 128), torch.randn(48, 205))) == twin
    parameters = sum(value.numel() for value in network.parameters())
    assert len(twin.frame) + len(twin.clip) < 2 * parameters


@pytest.fixture
def weights(tmp_path: Path, network: Network) -> Path:
    """The small network's weights, and beside them the bytes of a twin that the description knows."""
    path = tmp_path / "small.safetensors"
    twins = {part: f"the {part}".encode() for part in PARTS}
    known = {FACTS: {"sha256": {part: hashlib.sha256(data).hexdigest() for part, data in twins.items()}}}
    save_weights(path, network, WeightFacts(name="small", size="tiny", metrics=known))
    for part, data in twins.items():
        twin_path(path, part).write_bytes(data)
    return path


def test_a_twin_is_found_beside_its_weights(weights: Path) -> None:
    _, facts = load_weights(weights)
    assert find_twin(weights, facts) == Twin(b"the frame", b"the clip")
    assert find_twin(weights, WeightFacts()) is None


@pytest.mark.parametrize("part", PARTS)
def test_a_changed_or_missing_twin_is_one_line(weights: Path, part: str) -> None:
    _, facts = load_weights(weights)
    twin_path(weights, part).write_bytes(b"another")
    with pytest.raises(WeightsError, match=r"have been changed: expected sha256 .* pass --backend onnx"):
        find_twin(weights, facts)
    twin_path(weights, part).unlink()
    with pytest.raises(WeightsError, match=r"cannot be read: expected the 8-bit twin .* pass --backend onnx"):
        find_twin(weights, facts)


@pytest.mark.parametrize(
    ("text", "there"),
    [
        ("flags\t\t: fpu sse avx512f avx512_vnni\n", True),
        ("processor : 0\nFeatures : fp asimd asimddp\n", True),
        ("flags : fpu sse avx2\n", False),
        ("", False),
    ],
)
def test_a_processor_tells_what_it_can(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, there: bool) -> None:
    (tmp_path / "cpuinfo").write_text(text)
    monkeypatch.setattr(int8, "CPU_FACTS", tmp_path / "cpuinfo")
    monkeypatch.setattr("platform.system", lambda: "Linux")
    assert int8.has_instructions() == there


@pytest.mark.parametrize(
    ("able", "backends", "read"),
    [(True, ("auto", "int8", "onnx"), 1), (False, ("auto", "onnx", "torch"), 0), (False, ("int8",), 1)],
)
def test_a_recognizer_reads_its_twin_once_and_only_where_it_runs_it(
    weights: Path, monkeypatch: pytest.MonkeyPatch, able: bool, backends: tuple[str, ...], read: int
) -> None:
    searched: list[Path] = []
    monkeypatch.setattr("stemo.network.engine.has_instructions", lambda: able)
    monkeypatch.setattr("stemo.recognizer.find_twin", lambda path, _facts: searched.append(path))
    monkeypatch.setattr("stemo.recognizer.StreamReader", lambda *given: given)
    recognizer = Recognizer(weights=weights, device="cpu")
    for backend in backends * 2:
        recognizer.stream(backend)
    assert searched == [weights] * read


@pytest.mark.slow
@pytest.mark.parametrize("able", [True, False])
def test_auto_takes_the_twin_where_the_processor_is_made_for_it(
    network: Network, twin: Twin, monkeypatch: pytest.MonkeyPatch, able: bool
) -> None:
    monkeypatch.setattr("stemo.network.engine.has_instructions", lambda: able)
    torch.manual_seed(4)
    given = torch.randn(2, 1, 128, 128), torch.randn(2, 205)

    def tokens(backend: str) -> torch.Tensor:
        return make_engine(network, Preprocessing(), CPU, backend, twin).encode(*given)

    torch.testing.assert_close(tokens("auto"), tokens("int8" if able else "onnx"), atol=0, rtol=0)
    assert not torch.equal(tokens("int8"), tokens("onnx"))


PRECISE = "session.x64quantprecision"


@pytest.mark.parametrize("able", [True, False])
def test_products_are_summed_precisely_where_the_processor_would_not(
    monkeypatch: pytest.MonkeyPatch, able: bool
) -> None:
    monkeypatch.setattr("stemo.network.engine.has_instructions", lambda: able)
    options = session_options(1)
    if able:
        with pytest.raises(RuntimeError, match=PRECISE):
            options.get_session_config_entry(PRECISE)
    else:
        assert options.get_session_config_entry(PRECISE) == "1"


@pytest.mark.slow
def test_the_precise_way_reads_to_the_bit_as_a_processor_with_instructions(monkeypatch: pytest.MonkeyPatch) -> None:
    if not int8.has_instructions():
        pytest.skip("needs a processor with instructions for 8-bit integers")
    network, facts = load_weights(SHIPPED)
    assert isinstance(network, Network)
    twin = find_twin(SHIPPED, facts)
    engines = [OnnxEngine(network, twin=twin)]
    monkeypatch.setattr("stemo.network.engine.has_instructions", lambda: False)
    engines.append(OnnxEngine(network, twin=twin))
    torch.manual_seed(5)
    pictures, landmarks = torch.randn(2, 1, 128, 128), torch.randn(2, 205)
    clip = torch.rand(2, 16, network.token_width)
    own, precise = ([engine.encode(pictures, landmarks), *engine.read(clip)] for engine in engines)
    assert all(torch.equal(one, other) for one, other in zip(own, precise, strict=True))


def test_int8_without_a_twin_says_so(network: Network) -> None:
    with pytest.raises(ConfigError, match="'int8' cannot be used: these weights have no 8-bit twin"):
        make_engine(network, Preprocessing(), CPU, "int8")


@pytest.mark.slow
def test_the_shipped_weights_have_a_twin_that_streams() -> None:
    network, facts = load_weights(SHIPPED)
    twin = find_twin(SHIPPED, facts)
    assert twin is not None
    assert facts.metrics[FACTS]["accuracy_lost"] <= 0.005
    rng = np.random.default_rng(0)
    faces = [Observation(1, torch.from_numpy(rng.integers(0, 256, (224, 224, 3), np.uint8)), None) for _ in range(20)]

    def values(backend: str) -> np.ndarray:
        reader = StreamReader(network, facts.preprocessing, CPU, backend, twin)
        return np.array([reader.read([face], index / 25)[0][0] for index, face in enumerate(faces)])

    small, exact = values("int8"), values("onnx")
    np.testing.assert_allclose(small.sum(1), 1, atol=1e-5)
    assert np.abs(small - exact).mean() < 0.03


@pytest.mark.slow
def test_the_shipped_twin_reads_frames_in_a_row_as_each_by_itself(shared: Path) -> None:
    ways = [
        [
            reading.raw
            for reading in Recognizer(backend="int8", batch=batch).video(shared / "videos" / "expressive_b.mp4")
        ]
        for batch in (1, 4)
    ]
    pairs = [(one, other) for one, other in zip(*ways, strict=True) if one and other]
    assert len(pairs) > 50
    for one, other in pairs:
        assert np.abs(np.subtract(one.probabilities, other.probabilities)).max() <= 1e-4
        assert abs(one.valence - other.valence) <= 1e-4


@pytest.mark.slow
def test_export_int8_makes_scores_and_keeps_a_twin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], network: Network
) -> None:
    save_weights(tmp_path / "small.safetensors", network, WeightFacts(name="small", size="tiny"))
    rng = np.random.default_rng(0)
    with (tmp_path / "fer2013.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["emotion", "pixels", "Usage"])
        for place in range(400):
            pixels = " ".join(map(str, rng.integers(0, 256, 48 * 48)))
            writer.writerow([place % 7, pixels, "Training" if place < 390 else "PublicTest"])
    monkeypatch.chdir(tmp_path)
    given = ["--export", "int8", "--weights", "small.safetensors", "--data", "fer2013.csv"]
    monkeypatch.setattr("stemo.modes.export_int8.MOST", 1.0)  # weights that were never trained may lose anything
    assert main(given) == 0
    told = capsys.readouterr().out
    assert "n:         10 faces" in told
    described = json.loads((tmp_path / "small.json").read_text())["metrics"][FACTS]
    assert described["n"] == 10
    _, facts = load_weights(tmp_path / "small.safetensors")
    assert find_twin(tmp_path / "small.safetensors", facts) is not None
    monkeypatch.setattr("stemo.modes.export_int8.MOST", -1.0)
    assert main(given) == 2
    assert "loses too much" in capsys.readouterr().err
    assert json.loads((tmp_path / "small.json").read_text())["metrics"][FACTS] == described


@pytest.mark.parametrize(
    ("flags", "said"),
    [([], "needs faces: expected --data"), (["--data", "fer2013.csv"], "expected 384 training faces")],
)
def test_export_int8_says_what_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], flags: list[str], said: str
) -> None:
    pixels = " ".join(["128"] * 48 * 48)
    rows = ["emotion,pixels,Usage", *(f"{place},{pixels},Training" for place in range(7)), f"6,{pixels},PublicTest"]
    (tmp_path / "fer2013.csv").write_text("\n".join(rows) + "\n")
    monkeypatch.chdir(tmp_path)
    assert main(["--export", "int8", *flags]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
