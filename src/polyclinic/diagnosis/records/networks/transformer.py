"""A Transformer's encoder (Vaswani et al. 2017), normalised before blocks (Xiong et al. 2020)."""

import torch
from torch import Tensor, nn

from polyclinic.diagnosis.records.models.settings import TransformerSettings
from polyclinic.learning.build.attention import Block


class Transformer(nn.Module):
    """The state (b, width) of the last row of a series (b, t, channels); t is `settings.steps`."""

    def __init__(self, settings: TransformerSettings, channels: int) -> None:
        super().__init__()
        self.embed = nn.Linear(channels, settings.width)
        self.place = nn.Parameter(torch.zeros(settings.steps, settings.width))
        self.blocks = nn.ModuleList(
            Block(settings.width, settings.heads, settings.dropout) for _ in range(settings.layers)
        )
        self.norm = nn.LayerNorm(settings.width)

    def forward(self, series: Tensor) -> Tensor:
        """The state of the last row, which has looked at all of them."""
        state = self.embed(series) + self.place
        for block in self.blocks:
            state = block(state)
        last: Tensor = self.norm(state[:, -1])
        return last
