"""DenseNet (Huang et al. 2017, table 1), by MONAI."""

from typing import Annotated, Any, Literal

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from polyclinic.diagnosis.imaging.networks.network import Averaged, Scale
from polyclinic.diagnosis.imaging.networks.reduction import ReducingSettings

Layers = Annotated[int, Field(ge=1)]


class DenseNetSettings(ReducingSettings):
    """DenseNet with so many `layers` in its four blocks: those of DenseNet-121 unless given.

    (6, 12, 32, 32) makes it DenseNet-169, (6, 12, 48, 32) DenseNet-201.
    """

    name: Literal["densenet"]
    layers: tuple[Layers, Layers, Layers, Layers] = (6, 12, 24, 16)


class DenseNet(Averaged):
    """DenseNet without its own pooling and head."""

    body: Any

    def __init__(
        self, settings: DenseNetSettings, channels: int, size: int, labels: int, scale: Scale
    ) -> None:
        settings.require(settings.name, size)
        from monai.networks.nets.densenet import DenseNet as MonaiDenseNet

        body: Any = MonaiDenseNet(2, channels, labels, block_config=settings.layers).features
        if settings.reduction < 32:
            body.pool0 = nn.Identity()
        if settings.reduction == 8:
            body.conv0.stride = (1, 1)
        super().__init__(body, body.norm5.num_features, labels, settings.dropout, scale)

    def stages(self, pictures: Tensor) -> list[Tensor]:
        """The maps after each of the three transitions and at the end."""
        maps, stages = pictures, []
        for name, part in self.body.named_children():
            maps = part(maps)
            if name.startswith("transition"):
                stages.append(maps)
        return [*stages, functional.relu(maps)]
