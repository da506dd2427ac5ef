"""Residual networks (He et al. 2016, table 1), by MONAI."""

from typing import Any, Literal

from torch import Tensor

from polyclinic.diagnosis.imaging.networks.network import Averaged, Scale
from polyclinic.diagnosis.imaging.networks.reduction import ReducingSettings

#: The kind of block, and how many each stage has.
BLOCKS = {
    18: ("basic", [2, 2, 2, 2]),
    34: ("basic", [3, 4, 6, 3]),
    50: ("bottleneck", [3, 4, 6, 3]),
}


class ResNetSettings(ReducingSettings):
    """ResNet with `depth` layers. Its body's tensors have the names and shapes of torchvision's."""

    name: Literal["resnet"]
    depth: Literal[18, 34, 50] = 18


class ResNet(Averaged):
    """ResNet without its own pooling and head."""

    body: Any

    def __init__(
        self, settings: ResNetSettings, channels: int, size: int, labels: int, scale: Scale
    ) -> None:
        settings.require(f"resnet {settings.depth}", size)
        from monai.networks.nets.resnet import ResNet as MonaiResNet

        block, layers = BLOCKS[settings.depth]
        body = MonaiResNet(
            block,
            layers,
            [64, 128, 256, 512],
            spatial_dims=2,
            n_input_channels=channels,
            conv1_t_stride=1 if settings.reduction == 8 else 2,
            no_max_pool=settings.reduction < 32,
            feed_forward=False,
            bias_downsample=False,
        )
        super().__init__(body, body.in_planes, labels, settings.dropout, scale)

    def stages(self, pictures: Tensor) -> list[Tensor]:
        """The maps that each of the four stages ends with."""
        body = self.body
        maps = body.act(body.bn1(body.conv1(pictures)))
        if not body.no_max_pool:
            maps = body.maxpool(maps)
        stages = []
        for stage in (body.layer1, body.layer2, body.layer3, body.layer4):
            maps = stage(maps)
            stages.append(maps)
        return stages
