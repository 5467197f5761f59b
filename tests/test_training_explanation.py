"""Explanations are of this network, this face and this category: maps, frame weights and landmarks are checked."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from einops import rearrange
from torch import Tensor, nn

from stemo.faces.alignment import align
from stemo.faces.geometry import BLENDSHAPE_NAMES, FEATURE_SIZE, KEY_POINTS
from stemo.modes.demo import load_photograph
from stemo.network.architectures import build
from stemo.network.checkpoint import SHIPPED, load_weights
from stemo.network.model import FaceNetwork, FrameFeatures, Network, Prediction
from stemo.network.preprocessing import TURNS, Preprocessing
from stemo.network.streaming import Observation, read_whole, shown_clip
from stemo.training.explanation import Explainer, blendshape_scores, grad_cam, point_scores

CPU = torch.device("cpu")
FACES = ((890.0, 90.0, 1060.0, 285.0), (520.0, 215.0, 690.0, 455.0))  # boxes in the photograph


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    # sums depend on the number of threads, and that on the tests before: training would end elsewhere
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield
    torch.set_num_threads(threads)


class Corners(nn.Module):
    """Two maps (n 2 4 4) of brightness, each blind outside its corner: upper left, lower right."""

    def __init__(self) -> None:
        super().__init__()
        self._seen = torch.zeros(2, 4, 4)
        self._seen[0, :2, :2] = self._seen[1, 2:, 2:] = 1

    def forward(self, pictures: Tensor) -> Tensor:
        return nn.functional.adaptive_avg_pool2d(pictures, 4) * self._seen


class Linear(FaceNetwork):
    """The brightness of one corner for the first category, of another for the second; landmarks count linearly."""

    def __init__(self) -> None:
        super().__init__(2, 3, 2 + FEATURE_SIZE)
        self.encoder = Corners()
        self.weights = torch.randn(FEATURE_SIZE, 2)

    def encode_frames(self, frames: Tensor, landmarks: Tensor) -> FrameFeatures:
        maps = self.encoder(frames)
        return FrameFeatures(maps.mean((2, 3)), maps.amax((2, 3)), torch.nan_to_num(landmarks))

    def tokens(self, features: FrameFeatures) -> Tensor:
        return torch.cat([features.average, features.landmark], -1)

    def read(self, tokens: Tensor) -> Prediction:
        frames = torch.tensor([0.2, 0.3, 0.5]).repeat(len(tokens), 1)
        logits = tokens[:, -1, :2] + tokens[:, -1, 2:] @ self.weights
        return Prediction(logits, logits[:, 0].tanh(), logits[:, 0].sigmoid(), frames)


def _picture(seed: int = 0, size: int = 64) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (size, size, 3), np.uint8))


def _face(seed: int = 0, *, landmarks: bool = True, size: int = 64) -> Observation:
    features = torch.randn(FEATURE_SIZE, generator=torch.Generator().manual_seed(seed)) if landmarks else None
    return Observation(1, _picture(seed, size), features)


def _correlation(one: Tensor, other: Tensor) -> float:
    return float(torch.corrcoef(torch.stack([one.flatten(), other.flatten()]))[0, 1].nan_to_num())


def test_grad_cam_is_its_formula() -> None:
    maps, gradients = torch.randn(2, 3, 4, 5), torch.randn(2, 3, 4, 5)
    for n in range(2):
        naive = torch.zeros(4, 5)
        for c in range(3):
            naive += gradients[n, c].mean() * maps[n, c]
        naive = naive.clamp(min=0)
        torch.testing.assert_close(grad_cam(maps, gradients)[n], naive / naive.max())
    assert grad_cam(torch.ones(1, 2, 3, 3), -torch.ones(1, 2, 3, 3)).max() == 0


def test_a_network_that_looks_at_one_corner_is_hot_there() -> None:
    look = Explainer(Linear(), Preprocessing(64, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)), CPU).look(_face(), 0.0)
    # the newest is read alone, and its corners lie where its view shows them
    newest = [heat.flip(-1) if TURNS[0].mirrored else heat for heat in (look.explain(0).heat, look.explain(1).heat)]
    first, second = newest
    assert first[:2, :2].min() > 0.5
    assert first[2:].max() == first[:, 2:].max() == 0
    assert second[2:, 2:].min() > 0.5
    assert second[:2].max() == second[:, :2].max() == 0


def test_landmarks_of_a_linear_network_add_up_to_its_logit() -> None:
    network, face = Linear(), _face()
    assert face.landmarks is not None
    look = Explainer(network, Preprocessing(64), CPU).look(face, 0.0)
    added = look.explain(1).landmarks
    assert added is not None
    torch.testing.assert_close(added, face.landmarks * network.weights[:, 1])
    without = Explainer(network, Preprocessing(64), CPU).look(_face(landmarks=False), 0.0)
    torch.testing.assert_close(added.sum(), (look.prediction.logits - without.prediction.logits)[0, 1])
    assert without.explain(1).landmarks is None


def test_scores_are_those_of_their_features() -> None:
    features = torch.arange(FEATURE_SIZE, dtype=torch.float32)
    points, shapes = point_scores(features), blendshape_scores(features)
    assert (len(points), len(shapes)) == (len(KEY_POINTS), len(BLENDSHAPE_NAMES))
    assert points[1] == 3 + 4 + 5
    assert shapes[0] == 150
    assert shapes[-1] == 201


def test_blendshapes_have_the_names_that_mediapipe_gives_them() -> None:
    from mediapipe.tasks.python.vision.face_landmarker import Blendshapes

    assert tuple(shape.name.lower().replace("_", " ") for shape in Blendshapes) == BLENDSHAPE_NAMES


def test_frame_by_frame_is_the_same_as_the_whole_clip() -> None:
    network, preprocessing = Network(size="tiny").eval(), Preprocessing(64)
    faces = [_face(seed, landmarks=seed % 3 > 0) for seed in range(20)]
    times = [index / 25 for index in range(20)]
    explainer = Explainer(network, preprocessing, CPU)
    looks = [explainer.look(face, time) for face, time in zip(faces, times, strict=True)]
    whole = read_whole(network, preprocessing, faces, times)
    torch.testing.assert_close(looks[-1].prediction.logits, whole.logits, atol=1e-5, rtol=1e-4)
    found = looks[-1].explain(2)
    torch.testing.assert_close(found.frames, whole.frame_weights[0], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(found.heat, _whole_heat(network, preprocessing, faces, times, 2), atol=1e-4, rtol=1e-3)


def _whole_heat(
    network: Network, preprocessing: Preprocessing, faces: list[Observation], times: list[float], category: int
) -> Tensor:
    """The newest frame's heat from one pass over the whole clip: the naive reference."""
    kept: list[Tensor] = []

    def keep(_module: nn.Module, _inputs: object, output: Tensor) -> None:
        output.retain_grad()
        kept.append(output)

    handle = network.spatial.register_forward_hook(keep)
    shown, landmarks, numbers = shown_clip(faces, times, network.length)
    views = [TURNS[number] for number in numbers]
    clip = rearrange(preprocessing.fitted(shown, views), "t c h w -> 1 t c h w")
    prediction = network(clip, rearrange(landmarks, "t f -> 1 t f"))
    prediction.logits[0, category].backward()
    handle.remove()
    assert kept[0].grad is not None
    heat = grad_cam(kept[0][-1:], kept[0].grad[-1:])[0]
    return heat.flip(-1) if views[-1].mirrored else heat


def test_the_network_is_left_as_it_was() -> None:
    network = Network(size="tiny").eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    explainer = Explainer(network, Preprocessing(64), CPU)
    for time in (0.0, 0.04, 9.0):
        explainer.look(_face(), time).explain(0)
    assert all(parameter.grad is None for parameter in network.parameters())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert not network.spatial._forward_hooks


@pytest.mark.parametrize(("architecture", "size"), [("stemo", "tiny"), ("resnet_se", "base"), ("resnet50", "base")])
def test_every_architecture_can_be_explained(architecture: str, size: str) -> None:
    network = build(architecture, size)
    explainer = Explainer(network, Preprocessing(64), CPU)
    for time in (0.0, 0.04):
        found = explainer.look(_face(), time).explain(3)
    assert found.heat.ndim == 2
    assert 0 <= found.heat.min() <= found.heat.max() <= 1
    assert len(found.frames) == network.length
    assert float(found.frames.sum()) == pytest.approx(1, abs=1e-5)
    assert (found.landmarks is not None) == (architecture == "stemo")


def _stripes(*, lying: tuple[int, int] | None, standing: tuple[int, int] | None, rng: np.random.Generator) -> Tensor:
    """A dim noisy picture (112 112 3) with lying stripes at one place (row, column), standing ones at another."""
    picture = rng.integers(90, 166, (112, 112, 1)).repeat(3, axis=2)
    bars = np.tile(np.where(np.arange(32) // 4 % 2 == 0, 255, 0)[:, None], (1, 32))
    for place, pattern in ((lying, bars), (standing, bars.T)):
        if place is not None:
            picture[place[0] : place[0] + 32, place[1] : place[1] + 32] = pattern[..., None]
    return torch.from_numpy(picture.astype(np.uint8))


def _train_on_stripes(network: Network, preprocessing: Preprocessing, rng: np.random.Generator) -> float:
    """Teach that lying stripes, anywhere, are the first category and standing ones the second; the last loss."""
    optimiser = torch.optim.AdamW(network.parameters(), 2e-3)
    nothing = torch.full((16, 1, FEATURE_SIZE), torch.nan)
    last = 0.0
    for _ in range(60):
        labels = rng.integers(0, 2, 16)
        places = [(int(rng.integers(0, 80)), int(rng.integers(0, 80))) for _ in labels]
        pictures = [
            _stripes(lying=place if label == 0 else None, standing=place if label == 1 else None, rng=rng)
            for label, place in zip(labels, places, strict=True)
        ]
        clips = rearrange(preprocessing(torch.stack(pictures)), "b c h w -> b 1 c h w")
        loss = nn.functional.cross_entropy(network(clips, nothing).logits, torch.from_numpy(labels))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        last = loss.item()
    return last


@pytest.mark.slow
def test_a_trained_network_points_at_what_it_has_learned() -> None:
    rng = np.random.default_rng(0)
    network, preprocessing = Network(2, size="tiny"), Preprocessing(112)
    assert _train_on_stripes(network, preprocessing, rng) < 0.3
    both = _stripes(lying=(8, 8), standing=(72, 72), rng=rng)
    look = Explainer(network, preprocessing, CPU).look(Observation(1, both, None), 0.0)
    lying, standing = look.explain(0).heat, look.explain(1).heat
    assert lying[:3, :3].sum() > 2 * lying[4:, 4:].sum()
    assert standing[4:, 4:].sum() > 2 * standing[:3, :3].sum()


def _crops() -> list[Tensor]:
    """Aligned crops of two photographed people, each also mirrored."""
    photo = load_photograph()
    crops = [align(photo, None, box) for box in FACES]
    return [torch.from_numpy(np.ascontiguousarray(view)) for crop in crops for view in (crop, crop[:, ::-1])]


def _heats(network: FaceNetwork, crops: list[Tensor], category: int) -> list[Tensor]:
    explainer = Explainer(network, Preprocessing(), CPU)
    return [explainer.look(Observation(n, crop, None), 0.0).explain(category).heat for n, crop in enumerate(crops)]


def _alike(one: list[Tensor], other: list[Tensor]) -> float:
    return float(np.mean([_correlation(*pair) for pair in zip(one, other, strict=True)]))


@pytest.mark.slow
def test_maps_depend_on_what_the_network_has_learned() -> None:
    """The sanity check of Adebayo et al., "Sanity Checks for Saliency Maps", NeurIPS 2018: weights randomised."""
    if not SHIPPED.exists():
        pytest.skip(f"needs the shipped weights, {SHIPPED.name}")
    network, _ = load_weights(SHIPPED)
    crops, happy = _crops(), 3
    learned = _heats(network, crops, happy)

    # a little noise in the picture changes little, so what follows is not chance
    noise = [(crop.float() + 2 * torch.randn(crop.shape)).clamp(0, 255).to(torch.uint8) for crop in crops]
    assert _alike(learned, _heats(network, noise, happy)) > 0.8

    # another category is explained by other places
    assert _alike(learned, _heats(network, crops, 5)) < 0.8

    # all weights random, and the heads alone
    random = [_alike(learned, _heats(Network(), crops, happy)) for _ in range(3)]
    assert np.mean(random) < 0.4
    shuffled, _ = load_weights(SHIPPED)
    assert isinstance(shuffled, Network)
    shuffled.heads.category = Network().heads.category
    assert _alike(learned, _heats(shuffled, crops, happy)) < 0.8
