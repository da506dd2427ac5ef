"""A small residual network for small pictures."""

from typing import Literal

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from polyclinic.core.frozen import Frozen
from polyclinic.diagnosis.imaging.networks.network import Averaged, Scale


class ResidualSettings(Frozen):
    """A small residual network: three stages of `blocks` blocks, `width` channels doubling."""

    name: Literal["residual"]
    width: int = Field(default=16, ge=1)
    blocks: int = Field(default=2, ge=1)
    dropout: float = Field(default=0.2, ge=0.0, lt=1.0)


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


class Residual(Averaged):
    """A stem and three stages of residual blocks, global average pooling, a linear head."""

    def __init__(
        self, settings: ResidualSettings, channels: int, labels: int, scale: Scale
    ) -> None:
        width = settings.width
        stem = [nn.Conv2d(channels, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
        body = nn.Sequential(nn.Sequential(*stem))
        inputs = width
        for stage in range(3):
            outputs = width * 2**stage
            blocks = [
                Block(inputs if i == 0 else outputs, outputs, 2 if stage and i == 0 else 1)
                for i in range(settings.blocks)
            ]
            body.append(nn.Sequential(*blocks))
            inputs = outputs
        super().__init__(body, inputs, labels, settings.dropout, scale)

    def stages(self, pictures: Tensor) -> list[Tensor]:
        """The maps that each of the three stages ends with."""
        maps, stages = pictures, []
        for part in self.body.children():
            maps = part(maps)
            stages.append(maps)
        return stages[1:]
