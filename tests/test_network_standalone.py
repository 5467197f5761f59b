"""What is exported, before any file: the same readings as the stream and the clip, from pictures as they are cut."""

from __future__ import annotations

import pytest
import torch
from test_network_engine import awake

from stemo.network.architectures import build
from stemo.network.checkpoint import WeightFacts
from stemo.network.clip_buffer import turns
from stemo.network.clips import NetworkClips
from stemo.network.exported import CPU, ExportedNetwork, ExportedStream
from stemo.network.model import Network
from stemo.network.preprocessing import TURNS, WHOLE, Preprocessing
from stemo.network.standalone import PictureInput, forms
from stemo.network.streaming import Observation, StreamReader, stack_landmarks

FACTS = WeightFacts(size="tiny")


@pytest.fixture(scope="module")
def network() -> Network:
    network = awake(7, 3, "tiny")
    network.temperature.fill_(1.7)
    return network


def exported(network: Network) -> ExportedNetwork:
    """The step, run by torch instead of from a file."""
    step = forms(network, Preprocessing())[0]

    def run(inputs: object) -> list[torch.Tensor]:
        with torch.inference_mode():
            return step.module(*inputs)  # type: ignore[misc]

    return ExportedNetwork(run, "step", network.token_width, FACTS)


def observation(seed: int, track: int = 1) -> Observation:
    generator = torch.Generator().manual_seed(seed)
    picture = torch.randint(0, 255, (224, 224, 3), dtype=torch.uint8, generator=generator)
    return Observation(track, picture, None if seed % 5 == 0 else torch.randn(205, generator=generator))


@pytest.mark.parametrize(
    "preprocessing",
    [Preprocessing(), Preprocessing(48), Preprocessing(112, (0.5, 0.4, 0.3), (0.2, 0.3, 0.4), False)],
    ids=["stemo", "48 pixels", "colour"],
)
def test_pictures_are_prepared_as_everywhere_else(preprocessing: Preprocessing) -> None:
    pictures = torch.stack([observation(seed).picture for seed in range(3)])
    whole = PictureInput(preprocessing, (WHOLE,))(pictures, torch.zeros(1, dtype=torch.int64))
    torch.testing.assert_close(whole, preprocessing.fitted(pictures), atol=2e-5, rtol=0)
    chosen = torch.tensor([3, 0, 2])
    expected = preprocessing.fitted(pictures, [TURNS[view] for view in chosen])
    torch.testing.assert_close(PictureInput(preprocessing, TURNS)(pictures, chosen), expected, atol=2e-5, rtol=0)


@pytest.mark.slow
def test_the_step_reads_a_stream_of_25_frames_a_second_by_its_own_cache(network: Network) -> None:
    step, clip = forms(network, Preprocessing())
    reader = StreamReader(network, Preprocessing(), CPU, "torch")
    seen = [observation(seed) for seed in range(20)]
    blank = torch.full((4, 15, network.token_width), torch.nan)
    read: list[torch.Tensor] = []
    with torch.inference_mode():
        # a face begins in all views, as its first cache says
        first = torch.stack([seen[0].picture] * 4), stack_landmarks([seen[0]] * 4)
        of_views = step.module(*first, blank, torch.arange(4))[-1][:, -1]
        cache = of_views[turns(16)[:-1]].unsqueeze(0)
        for index, one in enumerate(seen):
            view = torch.tensor([index % 4])
            *read, cache = step.module(one.picture.unsqueeze(0), stack_landmarks([one]), cache, view)
            ((chances, valence, arousal),) = reader.read([one], index / 25)
            torch.testing.assert_close(read[0][0], torch.tensor(chances), atol=1e-5, rtol=0)
            torch.testing.assert_close(torch.cat(read[1:]), torch.tensor([valence, arousal]), atol=1e-5, rtol=0)
        last = torch.stack([one.picture for one in seen[-16:]]), stack_landmarks(seen[-16:])
        whole = clip.module(*(part.unsqueeze(0) for part in (*last, torch.arange(4, 20) % 4)))
    for one, other in zip(whole, read, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=0)


@pytest.mark.slow
def test_a_stream_of_any_rate_with_faces_that_come_and_go(network: Network) -> None:
    ours = ExportedStream(exported(network))
    reader = StreamReader(network, Preprocessing(), CPU, "torch")
    ours.warm_up()
    assert ours.buffers == {}
    times = [0.0, 0.1, 0.2, 0.21, 0.22, 0.5, 0.6, 2.5, 2.54, 1.0, 1.04]
    for index, time in enumerate(times):
        faces = [observation(10 * index + track, track) for track in range(3) if (index + track) % 4]
        assert len(faces) >= 2
        for one, other in zip(ours.read(faces, time), reader.read(faces, time), strict=True):
            assert one[0] == pytest.approx(other[0], abs=1e-5)
            assert one[1:] == pytest.approx(other[1:], abs=1e-5)
    assert ours.read([], 9.0) == []
    assert ours.buffers == {}


@pytest.mark.slow
def test_clips_of_any_frames(network: Network) -> None:
    ours, theirs = exported(network), NetworkClips(network, Preprocessing(), CPU)
    seen = [observation(seed) for seed in range(6)]
    pictures, landmarks = torch.stack([one.picture for one in seen]), stack_landmarks(seen)
    mixed = torch.randint(0, 6, (4, 16), generator=torch.Generator().manual_seed(0))
    stills = torch.arange(6).unsqueeze(-1).expand(-1, 16)
    for places in (mixed, stills):
        one, other = (reader.read(pictures, landmarks, places) for reader in (ours, theirs))
        torch.testing.assert_close(ours.probabilities(one), theirs.probabilities(other), atol=1e-5, rtol=0)
        torch.testing.assert_close(one.valence, other.valence, atol=1e-5, rtol=0)
        torch.testing.assert_close(one.arousal, other.arousal, atol=1e-5, rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("architecture", "size", "kinds"),
    [
        ("stemo", "base", ["step", "clip"]),
        ("stemo", "small", ["step", "clip"]),
        ("resnet_se", "base", ["still"]),
        ("resnet50", "base", ["still"]),
    ],
)
def test_every_architecture_has_forms_whose_examples_fit(architecture: str, size: str, kinds: list[str]) -> None:
    network = build(architecture, size, 5).eval()
    made = forms(network, Preprocessing(48))
    assert [form.kind for form in made] == kinds
    for form in made:
        assert len(form.examples) == len(form.inputs)
        with torch.inference_mode():
            outputs = form.module(*form.examples)
        assert len(outputs) == len(form.outputs)
        assert outputs[0].shape == (2, 5)
        torch.testing.assert_close(outputs[0].sum(-1), torch.ones(2))
