"""Visual and landmark features -> one vector, and the three heads that read it."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class CrossModalFusion(nn.Module):
    """Concatenate, project and refine: (visual, landmark) -> 768 features, about 2.1 M parameters."""

    def __init__(self, visual: int, landmark: int, width: int = 768, hidden: int = 1024, dropout: float = 0.2) -> None:
        super().__init__()
        self.norm_visual = nn.LayerNorm(visual)
        self.norm_landmark = nn.LayerNorm(landmark)
        self.enter = nn.Linear(visual + landmark, width)
        self.refine = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, hidden), nn.GELU(), nn.Dropout(dropout), nn.Linear(hidden, width)
        )

    def forward(self, visual: Tensor, landmark: Tensor) -> Tensor:
        """(b 512), (b 128) -> (b 768)."""
        joined = torch.cat([self.norm_visual(visual), self.norm_landmark(landmark)], -1)
        x = self.enter(joined)
        return x + self.refine(x)


class Heads(nn.Module):
    """Valence (tanh), arousal (sigmoid) and category logits, each through a hidden layer of its own; about 1.1 M."""

    def __init__(self, inputs: int, classes: int, hidden: int = 464, dropout: float = 0.3) -> None:
        super().__init__()

        def head(outputs: int) -> nn.Sequential:
            return nn.Sequential(
                nn.LayerNorm(inputs),
                nn.Linear(inputs, hidden),
                nn.GELU(),
                nn.Dropout(dropout),
                nn.Linear(hidden, outputs),
            )

        self.valence, self.arousal, self.category = head(1), head(1), head(classes)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(b c) -> logits (b k), valence (b) in [-1, 1], arousal (b) in [0, 1]."""
        valence = torch.tanh(self.valence(x)).squeeze(-1)
        arousal = torch.sigmoid(self.arousal(x)).squeeze(-1)
        return self.category(x), valence, arousal
