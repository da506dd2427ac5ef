"""The networks that a recipe can choose, and what each shows beside its logits."""

from typing import Annotated

from pydantic import Field

from polyclinic.diagnosis.imaging.networks.densenet import DenseNet, DenseNetSettings
from polyclinic.diagnosis.imaging.networks.efficientnet import EfficientNet, EfficientNetSettings
from polyclinic.diagnosis.imaging.networks.network import Network, Outputs, Scale
from polyclinic.diagnosis.imaging.networks.residual import Residual, ResidualSettings
from polyclinic.diagnosis.imaging.networks.resnet import ResNet, ResNetSettings
from polyclinic.diagnosis.imaging.networks.served import Served, to_unit
from polyclinic.diagnosis.imaging.networks.simple_cnn import SimpleCnn, SimpleCnnSettings
from polyclinic.diagnosis.imaging.networks.vit import ViT, ViTSettings

__all__ = [
    "Network",
    "NetworkSettings",
    "Outputs",
    "Scale",
    "Served",
    "build_network",
    "to_unit",
]

NetworkSettings = Annotated[
    SimpleCnnSettings
    | ResidualSettings
    | ResNetSettings
    | DenseNetSettings
    | EfficientNetSettings
    | ViTSettings,
    Field(discriminator="name"),
]


def build_network(
    settings: NetworkSettings, channels: int, size: int, labels: int, scale: Scale
) -> Network:
    """The network that the recipe chose, for pictures (channels, size, size) and k labels.

    Raises `InvalidInput` naming the network and the size where it cannot take such pictures.
    """
    match settings:
        case SimpleCnnSettings():
            return SimpleCnn(settings, channels, size, labels, scale)
        case ResidualSettings():
            return Residual(settings, channels, labels, scale)
        case ResNetSettings():
            return ResNet(settings, channels, size, labels, scale)
        case DenseNetSettings():
            return DenseNet(settings, channels, size, labels, scale)
        case EfficientNetSettings():
            return EfficientNet(settings, channels, size, labels, scale)
        case ViTSettings():
            return ViT(settings, channels, size, labels, scale)
