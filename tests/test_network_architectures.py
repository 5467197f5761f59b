"""Every architecture learns in all its parts, describes itself, and reads a stream as it reads a whole."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from stemo.errors import ConfigError, WeightsError
from stemo.network.architectures import ARCHITECTURES, build, describe, name_of
from stemo.network.checkpoint import WeightFacts, load_weights, save_weights
from stemo.network.model import FaceNetwork, FrameFeatures
from stemo.network.preprocessing import Preprocessing
from stemo.network.streaming import Observation, StreamReader

KINDS = [(name, size) for name, kind in ARCHITECTURES.items() for size in kind.sizes]
LARGE = {("stemo", "base"): 7.9, ("stemo", "small"): 3.0, ("stemo", "tiny"): 1.03, ("resnet_se", "base"): 2.9}


def fresh(architecture: str, size: str, classes: int = 7) -> FaceNetwork:
    torch.manual_seed(1)
    return build(architecture, size, classes)


@pytest.mark.slow
@pytest.mark.parametrize(("architecture", "size"), KINDS)
def test_every_parameter_gets_a_gradient(architecture: str, size: str) -> None:
    network = fresh(architecture, size, 5).train()
    pixels = min(64, describe(architecture, size).input_size)
    # the parts that start at zero would keep others from a gradient
    for parameter in network.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.02)
    landmarks = torch.randn(12, 205)
    landmarks[0] = torch.nan
    features = network.encode_frames(torch.randn(12, 1, pixels, pixels), landmarks)
    clip = FrameFeatures(*(part.unsqueeze(1).expand(-1, network.length, -1) for part in features))
    read = network.read_clip(clip)
    assert read.logits.shape == (12, 5)
    (read.logits.square().sum() + read.valence.sum() + read.arousal.sum()).backward()
    assert [name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0] == []


@pytest.mark.parametrize(("kind", "millions"), LARGE.items())
def test_sizes_are_what_they_are_said_to_be(kind: tuple[str, str], millions: float) -> None:
    assert sum(p.numel() for p in fresh(*kind).parameters()) / 1e6 == pytest.approx(millions, rel=0.05)


@pytest.mark.slow
@pytest.mark.parametrize(("architecture", "size"), KINDS)
def test_saved_weights_read_the_same_stream(tmp_path: Path, architecture: str, size: str) -> None:
    network, described = fresh(architecture, size), describe(architecture, size)
    path = tmp_path / f"{name_of(architecture, size)}.safetensors"
    facts = WeightFacts(
        name=path.stem,
        architecture=architecture,
        size=size,
        clip_length=network.length,
        input_size=described.input_size,
    )
    save_weights(path, network, facts)
    loaded, found = load_weights(path)
    assert (found.architecture, found.size, found.input_size) == (architecture, size, described.input_size)
    preprocessing = Preprocessing(described.input_size)
    before, after = (last_reading(kept, preprocessing) for kept in (network.half().float().eval(), loaded))
    torch.testing.assert_close(before, after, atol=1e-3, rtol=0)


def last_reading(network: FaceNetwork, preprocessing: Preprocessing) -> torch.Tensor:
    """Probabilities, valence and arousal after three frames."""
    generator = torch.Generator().manual_seed(0)
    reader = StreamReader(network, preprocessing, torch.device("cpu"))
    pictures = [torch.randint(0, 255, (224, 224, 3), dtype=torch.uint8, generator=generator) for _ in range(3)]
    read = [
        reader.read([Observation(1, picture, torch.zeros(205))], index / 25)[0]
        for index, picture in enumerate(pictures)
    ]
    return torch.tensor([*read[-1][0], *read[-1][1:]])


def test_unknown_names_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected one of stemo, resnet_se, resnet50"):
        build("vgg")
    with pytest.raises(ConfigError, match="expected one of base, small, tiny, got 'huge'"):
        build("stemo", "huge")
    network = fresh("stemo", "tiny")
    save_weights(tmp_path / "w.safetensors", network, WeightFacts(size="small"))
    with pytest.raises(WeightsError, match="do not fit: expected those of stemo small"):
        load_weights(tmp_path / "w.safetensors")
