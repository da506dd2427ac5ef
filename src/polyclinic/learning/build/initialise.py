"""Visible initialisation: which weights a network starts from is said in the recipe."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from polyclinic.core.digest import sha256
from polyclinic.core.errors import IntegrityError, NotFound
from polyclinic.core.frozen import Frozen
from polyclinic.learning.build.weights import load_weights


class Pretrained(Frozen):
    """Start from the tensors of a safetensors file; the head may differ in shape.

    The file was written by `weights.save_weights` of a network with the same body, or holds the
    tensors of that body alone, as files of torchvision's and timm's ResNets do. `sha256` says which
    file it must be; a recipe as it was run names it always. `frozen`: only the head learns;
    otherwise everything does.
    """

    pretrained: Path
    sha256: str | None = None
    frozen: bool = False


Init = Literal["kaiming", "xavier", "orthogonal"] | Pretrained

#: He et al. 2015; Glorot and Bengio 2010; Saxe, McClelland and Ganguli 2014.
SCHEMES: dict[str, Callable[[Tensor], Tensor]] = {
    "kaiming": lambda weight: nn.init.kaiming_normal_(weight, nonlinearity="relu"),
    "xavier": nn.init.xavier_uniform_,
    "orthogonal": nn.init.orthogonal_,
}


def pinned(init: Init, folder: Path) -> Init:
    """The choice with its file, given relative to `folder`, named by digest.

    Raises `NotFound` where the file is not there, `IntegrityError` where it is another one.
    """
    if not isinstance(init, Pretrained):
        return init
    path = folder / init.pretrained
    if not path.is_file():
        raise NotFound("The file of pretrained weights is not there.", where=str(path))
    digest = sha256(path.read_bytes())
    if init.sha256 not in (None, digest):
        raise IntegrityError(
            f"The pretrained weights are not those of the recipe: digest {digest}.", where=str(path)
        )
    return init.model_copy(update={"pretrained": path, "sha256": digest})


def initialise(network: nn.Module, init: Init, seed: int) -> None:
    """Set every weight of `network` in place, from `seed` alone.

    Matrices and kernels follow the scheme, biases start at 0, normalisation scales at 1. With a
    file, that is the head's part; the `body` comes from the file (`weights.load_weights`, which may
    raise), and asks for no gradients where it is frozen.
    """
    torch.manual_seed(seed)
    scheme = SCHEMES["kaiming" if isinstance(init, Pretrained) else init]
    for name, parameter in network.named_parameters():
        if parameter.dim() > 1:
            scheme(parameter.data)
        else:
            nn.init.constant_(parameter.data, 0.0 if "bias" in name.rpartition(".")[2] else 1.0)
    if isinstance(init, Pretrained):
        load_weights(network, init.pretrained)
        network.get_submodule("body").requires_grad_(not init.frozen)
