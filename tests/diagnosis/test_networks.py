import numpy as np
import pytest
import torch

from pictures import spots
from polyclinic.diagnosis.imaging.augment import AugmentSettings, augment
from polyclinic.diagnosis.imaging.networks import (
    Network,
    ResidualSettings,
    Scale,
    Served,
    SimpleCnnSettings,
    build_network,
)
from polyclinic.learning.build.initialise import initialise
from polyclinic.learning.serve.onnx_export import export_onnx

SETTINGS = [
    SimpleCnnSettings(name="simple_cnn"),
    ResidualSettings(name="residual", width=4, blocks=1),
]


def network(settings: SimpleCnnSettings | ResidualSettings, channels: int = 1) -> Network:
    net = build_network(settings, channels, 16, 3, Scale(0.4, 0.2))
    initialise(net, "kaiming", 0)
    return net.eval()


@pytest.mark.parametrize("settings", SETTINGS)
def test_the_maps_share_out_the_logit_exactly(
    settings: SimpleCnnSettings | ResidualSettings,
) -> None:
    net = network(settings)
    with torch.no_grad():
        outputs = net.outputs(torch.rand(5, 1, 16, 16))
    bias = net.head.bias
    assert torch.allclose(outputs.maps.sum((2, 3)) + bias, outputs.logits, atol=1e-4)


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("channels", [1, 3])
def test_every_network_can_be_exported_and_agrees(
    settings: SimpleCnnSettings | ResidualSettings, channels: int
) -> None:
    pictures = np.repeat(spots(8, 0)[0][:, None], channels, axis=1)
    model = export_onnx(
        Served(network(settings, channels)), pictures, ("logits", "features", "maps")
    )
    assert len(model) > 1000


def test_augmentation_moves_pictures_but_is_bound_to_its_generator() -> None:
    pictures = torch.from_numpy(spots(6, 0)[0][:, None]).float() / 255
    settings = AugmentSettings(rotate=10, shift=0.1, zoom=0.1, contrast=0.2, mirror=True)

    def draw(seed: int) -> torch.Tensor:
        return augment(pictures, settings, torch.Generator().manual_seed(seed))

    assert torch.equal(draw(0), draw(0))
    assert not torch.equal(draw(0), draw(1))
    assert not torch.equal(draw(0), pictures)
    assert draw(0).min() >= 0
    assert draw(0).max() <= 1


def test_no_augmentation_leaves_pictures_as_they_are() -> None:
    pictures = torch.from_numpy(spots(6, 0)[0][:, None]).float() / 255
    same = augment(pictures, AugmentSettings(), torch.Generator())
    assert torch.allclose(same, pictures, atol=1e-5)
