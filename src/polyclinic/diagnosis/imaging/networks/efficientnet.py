"""EfficientNet (Tan and Le 2019, table 1), by MONAI."""

from typing import Any, Literal

from torch import Tensor, nn

from polyclinic.diagnosis.imaging.networks.network import Averaged, Scale
from polyclinic.diagnosis.imaging.networks.reduction import ReducingSettings

#: Repeats, kernel, stride, expansion, inputs and outputs of the seven stages of B0.
STAGES = (
    (1, 3, 1, 1, 32, 16),
    (2, 3, 2, 6, 16, 24),
    (2, 5, 2, 6, 24, 40),
    (3, 3, 2, 6, 40, 80),
    (3, 5, 1, 6, 80, 112),
    (4, 5, 2, 6, 112, 192),
    (1, 3, 1, 6, 192, 320),
)

#: The last stages of their size.
ENDS = (1, 2, 4)


class EfficientNetSettings(ReducingSettings):
    """EfficientNet, from `b0` to `b7`, each wider and deeper."""

    name: Literal["efficientnet"]
    variant: Literal["b0", "b1", "b2", "b3", "b4", "b5", "b6", "b7"] = "b0"


class EfficientNet(Averaged):
    """EfficientNet without its own pooling and head."""

    body: Any

    def __init__(
        self, settings: EfficientNetSettings, channels: int, size: int, labels: int, scale: Scale
    ) -> None:
        settings.require(f"efficientnet {settings.variant}", size)
        from monai.networks.nets import efficientnet

        width, depth, *_ = efficientnet.efficientnet_params[f"efficientnet-{settings.variant}"]
        # The first halvings are those of the second and third stage, after the stem's.
        full = {32: (), 16: (1,), 8: (1, 2)}[settings.reduction]
        blocks = [
            f"r{repeats}_k{kernel}_s{s}{s}_e{expansion}_i{inputs}_o{outputs}_se0.25"
            for index, (repeats, kernel, stride, expansion, inputs, outputs) in enumerate(STAGES)
            for s in [1 if index in full else stride]
        ]
        # MONAI pads for one size of picture, which must therefore be the right one.
        body: Any = efficientnet.EfficientNet(
            blocks, 2, channels, labels, width, depth, image_size=size
        )
        body.set_swish(memory_efficient=False)
        features = body._fc.in_features
        body._fc = nn.Identity()
        super().__init__(body, features, labels, settings.dropout, scale)

    def stages(self, pictures: Tensor) -> list[Tensor]:
        """The maps at 2, 4 and 8 times the last size, where they end, and the last ones."""
        body = self.body
        maps = body._swish(body._bn0(body._conv_stem(body._conv_stem_padding(pictures))))
        stages = []
        for index, stage in enumerate(body._blocks):
            maps = stage(maps)
            if index in ENDS:
                stages.append(maps)
        maps = body._swish(body._bn1(body._conv_head(body._conv_head_padding(maps))))
        return [*stages, maps]
