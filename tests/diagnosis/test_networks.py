import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from pictures import spots
from polyclinic.core.errors import InvalidInput
from polyclinic.core.frozen import Frozen
from polyclinic.diagnosis.imaging.augment import AugmentSettings, augment
from polyclinic.diagnosis.imaging.networks import (
    Network,
    NetworkSettings,
    Scale,
    Served,
    build_network,
    to_unit,
)
from polyclinic.diagnosis.imaging.networks.densenet import DenseNetSettings
from polyclinic.diagnosis.imaging.networks.efficientnet import EfficientNetSettings
from polyclinic.diagnosis.imaging.networks.residual import ResidualSettings
from polyclinic.diagnosis.imaging.networks.resnet import ResNetSettings
from polyclinic.diagnosis.imaging.networks.simple_cnn import SimpleCnnSettings
from polyclinic.diagnosis.imaging.networks.vit import ViTSettings
from polyclinic.learning.build.initialise import Pretrained, initialise
from polyclinic.learning.build.weights import save_weights
from polyclinic.learning.prepare.dataset import Part
from polyclinic.learning.serve.onnx_export import export_onnx
from polyclinic.learning.train.checkpoint import Epoch
from polyclinic.learning.train.classification import Classification
from polyclinic.learning.train.settings import TrainSettings
from polyclinic.learning.train.trainer import train

SMALL = ResidualSettings(name="residual", width=4, blocks=1)
RESNET = ResNetSettings(name="resnet", reduction=8)

SETTINGS = [
    SimpleCnnSettings(name="simple_cnn"),
    SMALL,
    RESNET,
    DenseNetSettings(name="densenet", reduction=8, layers=(2, 2, 2, 2)),
    EfficientNetSettings(name="efficientnet", reduction=8),
    ViTSettings(name="vit", patch=4, width=24, depth=2),
]


def network(settings: NetworkSettings, channels: int = 1, size: int = 16) -> Network:
    net = build_network(settings, channels, size, 3, Scale(0.4, 0.2))
    initialise(net, "kaiming", 0)
    return net.eval()


def name_of(settings: Frozen) -> str:
    return str(settings.model_dump()["name"])


@pytest.mark.parametrize("settings", SETTINGS, ids=name_of)
def test_the_maps_share_out_the_logit_exactly(settings: NetworkSettings) -> None:
    net = network(settings, size=28)
    with torch.no_grad():
        outputs = net.outputs(torch.rand(5, 1, 28, 28))
    assert outputs.maps.shape[2] >= 2
    shared = outputs.maps.sum((2, 3)) + net.head.bias
    assert torch.allclose(shared, outputs.logits, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "settings",
    [
        ResNetSettings(name="resnet", depth=50),
        DenseNetSettings(name="densenet"),
        EfficientNetSettings(name="efficientnet"),
        ViTSettings(name="vit"),
    ],
    ids=name_of,
)
def test_published_networks_as_published_have_features_that_a_covariance_can_hold(
    settings: NetworkSettings,
) -> None:
    with torch.no_grad():
        outputs = network(settings, 3, 64).outputs(torch.rand(2, 3, 64, 64))
    assert outputs.features.shape[1] <= 1024
    assert outputs.features.std() > 0
    side = 4 if name_of(settings) == "vit" else 2
    assert outputs.maps.shape == (2, 3, side, side)


@pytest.mark.parametrize("settings", SETTINGS, ids=name_of)
def test_every_weight_learns(settings: NetworkSettings) -> None:
    net = network(settings).train()
    net(torch.rand(4, 1, 16, 16)).square().sum().backward()
    still = [name for name, weight in net.named_parameters() if weight.grad is None]
    assert still == []


@pytest.mark.parametrize("settings", SETTINGS, ids=name_of)
def test_every_network_can_be_exported_and_agrees(settings: NetworkSettings) -> None:
    # The small networks take the grey pictures here, the large ones those in colour.
    channels = 1 if name_of(settings) in ("simple_cnn", "residual") else 3
    pictures = np.repeat(spots(8, 0)[0][:, None], channels, axis=1)
    net = network(settings, channels)
    assert len(export_onnx(Served([net]), pictures, ("logits", "features", "maps"))) > 1000


@pytest.mark.parametrize(
    ("settings", "size", "remedy"),
    [
        (SimpleCnnSettings(name="simple_cnn"), 3, "Enlarge"),
        (ResNetSettings(name="resnet"), 28, "reduction to 8"),
        (DenseNetSettings(name="densenet"), 63, "reduction to 16"),
        (EfficientNetSettings(name="efficientnet", reduction=8), 15, "residual"),
        (ViTSettings(name="vit"), 28, "1, 2, 4, 7, 14"),
        (ViTSettings(name="vit"), 16, "1, 2, 4, 8"),
    ],
    ids=str,
)
def test_pictures_too_small_for_a_network_are_refused_by_name_and_size(
    settings: NetworkSettings, size: int, remedy: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        network(settings, size=size)
    assert name_of(settings) in refused.value.detail
    assert f"{size} × {size}" in refused.value.detail
    assert remedy in (refused.value.remedy or "")


def test_monai_is_not_imported_before_such_a_network_is_built() -> None:
    code = "import sys, polyclinic.diagnosis.imaging.networks; sys.exit('monai' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_only_the_head_of_a_frozen_body_learns_and_the_run_can_be_resumed(tmp_path: Path) -> None:
    weights = tmp_path / "weights.safetensors"
    source = network(SMALL)
    source.train()(
        torch.rand(8, 1, 16, 16)
    )  # The running statistics are no longer those of the start.
    save_weights(source, weights)
    pictures, y = spots(32, 0)
    part = Part(pictures[:, None], y)
    settings = TrainSettings(epochs=2, batch_size=8, averaging=0.9, weight_decay=0.1)
    objective = Classification(part, part, 3, settings, to_unit)

    def run(checkpoint: Path | None, stop_after: int = 9) -> dict[str, Tensor]:
        net = build_network(SMALL, 1, 16, 3, Scale(0.1, 0.9))
        initialise(net, Pretrained(pretrained=weights, frozen=True), seed=1)

        def on_epoch(epoch: Epoch) -> None:
            if epoch.number == stop_after:
                raise KeyboardInterrupt

        train(
            net,
            objective,
            settings,
            seed=1,
            run="run",
            checkpoint=checkpoint,
            on_epoch=on_epoch,
        )
        return net.state_dict()

    trained, start = run(None), source.state_dict()
    changed = {name for name in start if not torch.equal(trained[name], start[name])}
    assert changed == {"head.weight", "head.bias"}
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "checkpoint", stop_after=1)
    resumed = run(tmp_path / "checkpoint")
    assert all(torch.equal(resumed[name], trained[name]) for name in trained)


def test_a_resnet_published_for_colour_sees_grey_pictures_as_three_equal_channels(
    tmp_path: Path,
) -> None:
    path = tmp_path / "resnet18.safetensors"
    colour = network(RESNET, channels=3)
    published = {**colour.body.state_dict(), "fc.weight": torch.ones(1000, 512)}
    assert {"conv1.weight", "bn1.running_var", "layer2.0.downsample.0.weight"} < set(published)
    save_file(published, path)
    grey = network(RESNET)
    initialise(grey, Pretrained(pretrained=path), seed=0)
    assert all(weight.requires_grad for weight in grey.parameters())
    grey.head.load_state_dict(colour.head.state_dict())
    pictures = torch.rand(4, 1, 16, 16)
    with torch.no_grad():
        seen = colour(pictures.expand(4, 3, 16, 16))
        assert torch.allclose(grey(pictures), seen, rtol=1e-3, atol=1e-3)
    deeper = network(ResNetSettings(name="resnet", depth=34, reduction=8))
    with pytest.raises(InvalidInput, match=r"body\.layer1\.2\.conv1\.weight"):
        initialise(deeper, Pretrained(pretrained=path), seed=0)


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
