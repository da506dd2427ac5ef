"""The textbook network."""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from polyclinic.core.frozen import Frozen
from polyclinic.diagnosis.imaging.networks.network import (
    Network,
    Outputs,
    Scale,
    moments,
    require_size,
)


class SimpleCnnSettings(Frozen):
    """The textbook network: one convolution, one pooling, one dense layer."""

    name: Literal["simple_cnn"]
    filters: int = Field(default=32, ge=1)


class SimpleCnn(Network):
    """Conv 3×3, ReLU, max-pool 2×2, flatten, dense: softmax is taken outside."""

    def __init__(
        self, settings: SimpleCnnSettings, channels: int, size: int, labels: int, scale: Scale
    ) -> None:
        require_size(size, 4, "simple_cnn", "Enlarge the pictures.")
        side = (size - 2) // 2
        head = nn.Linear(settings.filters * side * side, labels)
        super().__init__(nn.Conv2d(channels, settings.filters, 3), head, scale)

    def see(self, pictures: Tensor) -> Outputs:
        """The dense layer is linear in the pooled maps, so a place's share of a logit is exact."""
        pooled = functional.max_pool2d(functional.relu(self.body(pictures)), 2)
        filters, height, width = pooled.shape[1:]
        weights = self.head.weight.reshape(-1, filters, height, width)
        maps = torch.einsum("nfhw,kfhw->nkhw", pooled, weights)
        return Outputs(self.head(pooled.flatten(1)), moments([pooled]), maps)
