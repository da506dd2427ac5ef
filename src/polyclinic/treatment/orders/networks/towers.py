"""Two towers: a patient's facts and a treatment's content meet as vectors of one space.

Source: Yi et al. 2019, Sampling-bias-corrected neural modeling for large corpus item
recommendations (RecSys), here with every treatment scored at once.
"""

import torch
from torch import Tensor, nn

from polyclinic.treatment.orders.models.settings import TwoTowerSettings


class TwoTowers(nn.Module):
    """Log-odds (n, m) of treatments for patients (n, d).

    content: (m, q) of the treatments, which stays as it is; usual: (m,) log-odds of being ordered,
    where learning starts.
    """

    content: Tensor

    def __init__(
        self, settings: TwoTowerSettings, width: int, content: Tensor, usual: Tensor
    ) -> None:
        super().__init__()
        self.register_buffer("content", content)
        self.patient = _tower(width, settings)
        self.treatment = _tower(content.shape[1], settings)
        self.usual = nn.Parameter(usual.clone())
        self.scale = settings.width**-0.5

    def forward(self, x: Tensor) -> Tensor:
        """Log-odds of patients (n, d)."""
        scores: Tensor = self.scale * self.patient(x) @ self.treatment(self.content).T + self.usual
        return scores


def _tower(inputs: int, settings: TwoTowerSettings) -> nn.Sequential:
    layers: list[nn.Module] = []
    for _ in range(settings.depth):
        layers += [nn.Linear(inputs, settings.width), nn.ReLU(), nn.Dropout(settings.dropout)]
        inputs = settings.width
    return nn.Sequential(*layers, nn.Linear(inputs, settings.width))


class Served(nn.Module):
    """A network whose one output is a tuple, as exporting wants it."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> tuple[Tensor]:
        """The network's scores."""
        return (self.network(x),)


def as_tensor(values: object) -> Tensor:
    """An array of numbers as single precision."""
    return torch.as_tensor(values, dtype=torch.float32)
