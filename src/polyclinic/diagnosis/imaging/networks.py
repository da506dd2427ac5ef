"""The networks that a recipe can choose, and what each shows beside its logits.

Every network maps pictures (n, channels, size, size) in [0, 1] to `Outputs`, in one pass.
"""

from abc import ABC, abstractmethod
from typing import Annotated, Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from polyclinic.core.frozen import Frozen


class SimpleCnnSettings(Frozen):
    """The textbook network: one convolution, one pooling, one dense layer."""

    name: Literal["simple_cnn"]
    filters: int = Field(default=32, ge=1)


class ResidualSettings(Frozen):
    """A small residual network: three stages of `blocks` blocks, `width` channels doubling."""

    name: Literal["residual"]
    width: int = Field(default=16, ge=1)
    blocks: int = Field(default=2, ge=1)
    dropout: float = Field(default=0.2, ge=0.0, lt=1.0)


NetworkSettings = Annotated[SimpleCnnSettings | ResidualSettings, Field(discriminator="name")]


class Outputs(NamedTuple):
    """What one pass gives.

    logits: (n, k). features: (n, d), in which distance measures unfamiliarity. maps: (n, k, h, w),
    class-activation maps: their sum over h and w, plus the head's bias, is the logit.
    """

    logits: Tensor
    features: Tensor
    maps: Tensor


class Network(nn.Module, ABC):
    """Normalises pictures by the training set's mean and deviation, then sees."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, mean: float, deviation: float) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean))
        self.register_buffer("deviation", torch.tensor(deviation))

    @abstractmethod
    def see(self, pictures: Tensor) -> Outputs:
        """Everything that the network says of normalised pictures (n, c, h, w)."""

    def outputs(self, pictures: Tensor) -> Outputs:
        """Everything that the network says of pictures (n, c, h, w) in [0, 1]."""
        return self.see((pictures - self.mean) / self.deviation)

    def forward(self, pictures: Tensor) -> Tensor:
        """The logits (n, k) of pictures (n, c, h, w) in [0, 1]."""
        return self.outputs(pictures).logits


class SimpleCnn(Network):
    """Conv 3×3, ReLU, max-pool 2×2, flatten, dense: softmax is taken outside."""

    def __init__(
        self, settings: SimpleCnnSettings, channels: int, size: int, labels: int, scale: "Scale"
    ) -> None:
        super().__init__(scale.mean, scale.deviation)
        side = (size - 2) // 2
        self.convolution = nn.Conv2d(channels, settings.filters, 3)
        self.head = nn.Linear(settings.filters * side * side, labels)

    def see(self, pictures: Tensor) -> Outputs:
        """The dense layer is linear in the pooled maps, so a place's share of a logit is exact."""
        pooled = functional.max_pool2d(functional.relu(self.convolution(pictures)), 2)
        filters, height, width = pooled.shape[1:]
        weights = self.head.weight.reshape(-1, filters, height, width)
        maps = torch.einsum("nfhw,kfhw->nkhw", pooled, weights)
        return Outputs(self.head(pooled.flatten(1)), _moments([pooled]), maps)


class Block(nn.Module):
    """A residual block of two 3×3 convolutions (He et al. 2016, basic block)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.skip: nn.Module = nn.Identity()
        if stride > 1 or inputs != outputs:
            self.skip = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, maps: Tensor) -> Tensor:
        """Maps (n, inputs, h, w) to (n, outputs, h / stride, w / stride)."""
        return functional.relu(self.body(maps) + self.skip(maps))


class Residual(Network):
    """Three stages of residual blocks, global average pooling, a linear head."""

    def __init__(
        self, settings: ResidualSettings, channels: int, labels: int, scale: "Scale"
    ) -> None:
        super().__init__(scale.mean, scale.deviation)
        width = settings.width
        self.stem = nn.Sequential(
            nn.Conv2d(channels, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()
        )
        self.stages = nn.ModuleList()
        inputs = width
        for stage in range(3):
            outputs = width * 2**stage
            blocks = [
                Block(inputs if i == 0 else outputs, outputs, 2 if stage and i == 0 else 1)
                for i in range(settings.blocks)
            ]
            self.stages.append(nn.Sequential(*blocks))
            inputs = outputs
        self.dropout = nn.Dropout(settings.dropout)
        self.head = nn.Linear(inputs, labels)

    def see(self, pictures: Tensor) -> Outputs:
        """The head is linear in the averaged maps, so a place's share of a logit is exact."""
        maps = self.stem(pictures)
        stages = []
        for stage in self.stages:
            maps = stage(maps)
            stages.append(maps)
        shares = torch.einsum("nfhw,kf->nkhw", maps, self.head.weight)
        shares = shares / (maps.shape[2] * maps.shape[3])
        logits = self.head(self.dropout(maps.mean((2, 3))))
        return Outputs(logits, _moments(stages), shares)


class Scale(NamedTuple):
    """Mean and standard deviation of the training pictures' values in [0, 1]."""

    mean: float
    deviation: float


def build_network(
    settings: NetworkSettings, channels: int, size: int, labels: int, scale: Scale
) -> Network:
    """The network that the recipe chose, for pictures (channels, size, size) and k labels."""
    match settings:
        case SimpleCnnSettings():
            return SimpleCnn(settings, channels, size, labels, scale)
        case ResidualSettings():
            return Residual(settings, channels, labels, scale)


class Served(nn.Module):
    """A network as it is exported: whole pictures (n, c, h, w) uint8 in, all `Outputs` out."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits, features and maps."""
        outputs = self.network.outputs(to_unit(pictures))
        return outputs.logits, outputs.features, outputs.maps


def to_unit(pictures: Tensor) -> Tensor:
    """Pictures of uint8 as float32 in [0, 1]."""
    return pictures.float() / 255.0


def _moments(stages: list[Tensor]) -> Tensor:
    """Mean and deviation over each map of each stage: (n, 2 · total channels)."""
    parts = []
    for maps in stages:
        mean = maps.mean((2, 3))
        variance = (maps - mean[:, :, None, None]).square().mean((2, 3))
        parts += [mean, (variance + 1e-6).sqrt()]
    return torch.cat(parts, 1)
