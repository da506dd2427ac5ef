"""A Transformer over a patient's visits, the last of which is the one that is asked about."""

import torch
from torch import Tensor, nn

from polyclinic.learning.build.attention import Block
from polyclinic.treatment.orders.models.settings import TransformerSettings


class VisitTransformer(nn.Module):
    """Log-odds (n, m) of treatments for sequences (n, t, channels) of visits.

    usual: (m,) log-odds of being ordered, where learning starts.
    """

    def __init__(
        self, settings: TransformerSettings, channels: int, steps: int, usual: Tensor
    ) -> None:
        super().__init__()
        self.embed = nn.Sequential(
            nn.Dropout(settings.dropout), nn.Linear(channels, settings.width)
        )
        self.place = nn.Parameter(torch.zeros(steps, settings.width))
        self.blocks = nn.ModuleList(
            Block(settings.width, settings.heads, settings.dropout) for _ in range(settings.depth)
        )
        self.norm = nn.LayerNorm(settings.width)
        self.score = nn.Linear(settings.width, len(usual))
        self.usual = nn.Parameter(usual.clone())

    def forward(self, visits: Tensor) -> Tensor:
        """Log-odds of sequences."""
        state = self.embed(visits) + self.place
        for block in self.blocks:
            state = block(state)
        scores: Tensor = self.score(self.norm(state[:, -1])) + self.usual
        return scores
