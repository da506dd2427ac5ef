from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from polyclinic.core.errors import IntegrityError, InvalidInput, NotFound
from polyclinic.learning.build.initialise import Pretrained, initialise, pinned


class Net(nn.Module):
    def __init__(self, width: int = 256, labels: int = 2) -> None:
        super().__init__()
        self.body = nn.Linear(128, width)
        self.norm = nn.BatchNorm1d(width)
        self.head = nn.Linear(width, labels)


@pytest.mark.parametrize(
    ("scheme", "deviation"),
    [("kaiming", (2 / 128) ** 0.5), ("xavier", (2 / (128 + 256)) ** 0.5)],
)
def test_a_scheme_sets_the_spread_of_the_weights(scheme: str, deviation: float) -> None:
    net = Net()
    initialise(net, scheme, seed=0)  # type: ignore[arg-type]
    assert net.body.weight.std().item() == pytest.approx(deviation, rel=0.05)
    assert not net.body.bias.any()
    assert (net.norm.weight == 1).all()


def test_orthogonal_columns_are_orthogonal() -> None:
    net = Net()
    initialise(net, "orthogonal", seed=0)
    assert torch.allclose(net.body.weight.T @ net.body.weight, torch.eye(128), atol=1e-4)


def test_the_seed_decides() -> None:
    nets = [Net(), Net(), Net()]
    for net, seed in zip(nets, (1, 1, 2), strict=True):
        initialise(net, "kaiming", seed)
    assert torch.equal(nets[0].body.weight, nets[1].body.weight)
    assert not torch.equal(nets[0].body.weight, nets[2].body.weight)


def test_pretrained_weights_are_taken_and_the_head_may_differ(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    source = Net(labels=5)
    save_file(source.state_dict(), path)
    net = Net(labels=2)
    initialise(net, Pretrained(pretrained=path), seed=0)
    assert torch.equal(net.body.weight, source.body.weight)
    assert net.head.weight.shape == (2, 256)


def test_weights_of_another_network_or_no_file_are_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    with pytest.raises(NotFound):
        pinned(Pretrained(pretrained=Path("weights.safetensors")), tmp_path)
    save_file(Net(width=64).state_dict(), path)
    with pytest.raises(InvalidInput, match=r"body\.weight"):
        initialise(Net(), Pretrained(pretrained=path), seed=0)
    path.write_bytes(b"not tensors")
    with pytest.raises(InvalidInput, match="safetensors"):
        initialise(Net(), Pretrained(pretrained=path), seed=0)


def test_pretrained_weights_are_named_by_digest_and_another_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_file(Net().state_dict(), path)
    first = pinned(Pretrained(pretrained=Path("weights.safetensors")), tmp_path)
    assert isinstance(first, Pretrained)
    assert pinned(first, tmp_path) == first
    save_file(Net().state_dict(), path)
    with pytest.raises(IntegrityError, match="not those"):
        pinned(first, tmp_path)
