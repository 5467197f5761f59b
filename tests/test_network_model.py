"""The network: budget, ranges, gradients, and what landmarks that are not there do."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stemo.network.cost import part_costs
from stemo.network.model import LANDMARK_FEATURES, Network, calibrated, calibrated_numbers

BUDGET = {
    "spatial CNN": 3.2e6,
    "multi-scale temporal attention": 0.8e6,
    "dynamic channel + spatial attention": 0.5e6,
    "landmark processor": 0.3e6,
    "cross-modal fusion": 2.1e6,
    "heads": 1.1e6,
}


@pytest.fixture(scope="module")
def network() -> Network:
    torch.manual_seed(0)
    return Network().eval()


def clips(batch: int = 2, length: int = 16, size: int = 64) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    pictures = torch.randn(batch, length, 3, size, size, generator=generator)
    return pictures, torch.randn(batch, length, LANDMARK_FEATURES, generator=generator)


def test_every_part_is_within_a_tenth_of_its_budget(network: Network) -> None:
    costs = {cost.name: cost.parameters for cost in part_costs(network)}
    assert costs.keys() == BUDGET.keys()
    for name, budget in BUDGET.items():
        assert abs(costs[name] - budget) <= 0.1 * budget, name
    assert sum(costs.values()) == sum(p.numel() for p in network.parameters())


def test_a_frame_costs_at_most_a_gmac(network: Network) -> None:
    macs = {cost.name: cost.macs for cost in part_costs(network)}
    assert 0.1e9 < macs["spatial CNN"] <= 1.0e9
    assert all(count > 0 for count in macs.values())


def test_predictions_have_their_shapes_and_ranges(network: Network) -> None:
    with torch.inference_mode():
        prediction = network(*clips())
        probabilities = network.probabilities(prediction)
    assert prediction.logits.shape == (2, 7)
    assert bool((prediction.valence.abs() <= 1).all())
    assert bool(((prediction.arousal >= 0) & (prediction.arousal <= 1)).all())
    torch.testing.assert_close(probabilities.sum(-1), torch.ones(2))
    torch.testing.assert_close(prediction.frame_weights.sum(-1), torch.ones(2))


@pytest.mark.slow
def test_every_parameter_gets_a_gradient() -> None:
    torch.manual_seed(0)
    network = Network().train()
    # gates and residual parts that start at zero pass no gradient on; a step of training moves them
    for parameter in network.parameters():
        if not bool(parameter.detach().any()):
            torch.nn.init.normal_(parameter, std=0.1)
    pictures, landmarks = clips(4)
    landmarks[0] = torch.nan
    prediction = network(pictures, landmarks)
    (prediction.logits.square().sum() + prediction.valence.sum() + prediction.arousal.sum()).backward()
    without = [name for name, p in network.named_parameters() if p.grad is None or not bool(p.grad.abs().sum() > 0)]
    assert without == []


def test_missing_landmarks_give_the_learned_none(network: Network) -> None:
    features = torch.randn(3, LANDMARK_FEATURES)
    features[1] = torch.nan
    features[2, 7] = torch.nan
    with torch.no_grad():
        network.landmark.none.copy_(torch.arange(128.0))
        encoded = network.landmark(features)
        network.landmark.none.zero_()
    torch.testing.assert_close(encoded[1], torch.arange(128.0))
    torch.testing.assert_close(encoded[2], torch.arange(128.0))
    assert not torch.allclose(encoded[0], torch.arange(128.0))


def test_modality_dropout_hides_some_landmarks_in_training_only() -> None:
    network = Network()
    features = torch.randn(400, LANDMARK_FEATURES)
    hidden = (network.train().landmark(features) == network.landmark.none).all(-1)
    assert 0.2 < hidden.float().mean().item() < 0.4
    assert not (network.eval().landmark(features) == network.landmark.none).all(-1).any()


def test_temperature_softens_probabilities_and_keeps_the_order(network: Network) -> None:
    with torch.inference_mode():
        prediction = network(*clips())
        sharp = network.probabilities(prediction)
        network.temperature.fill_(3.0)
        soft = network.probabilities(prediction)
        network.temperature.fill_(1.0)
    assert bool((soft.max(-1).values < sharp.max(-1).values).all())
    assert bool((soft.argmax(-1) == sharp.argmax(-1)).all())


@given(st.lists(st.floats(-1e4, 1e4, width=32), min_size=1, max_size=9), st.floats(0.05, 20))
def test_a_face_alone_is_calibrated_as_all_together(logits: list[float], temperature: float) -> None:
    expected = calibrated(torch.tensor([logits], dtype=torch.double), temperature)[0]
    found = torch.tensor(calibrated_numbers(logits, temperature))
    torch.testing.assert_close(found, expected.float(), atol=1e-6, rtol=0)
