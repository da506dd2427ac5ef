"""Visible initialisation: which weights a network starts from is said in the recipe."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from polyclinic.core.digest import sha256
from polyclinic.core.errors import IntegrityError, InvalidInput, NotFound
from polyclinic.core.frozen import Frozen


class Pretrained(Frozen):
    """Start from the tensors of a safetensors file; the head may differ in shape.

    `sha256` says which file it must be; a recipe as it was run names it always.
    """

    pretrained: Path
    sha256: str | None = None


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
    return Pretrained(pretrained=path, sha256=digest)


def initialise(network: nn.Module, init: Init, seed: int) -> None:
    """Set every weight of `network` in place, from `seed` alone.

    Matrices and kernels follow the scheme, biases start at 0, normalisation scales at 1. From a
    file, every tensor outside `head` must be there with its shape.
    Raises `InvalidInput` naming the file and the tensors.
    """
    torch.manual_seed(seed)
    scheme = SCHEMES["kaiming" if isinstance(init, Pretrained) else init]
    for name, parameter in network.named_parameters():
        if parameter.dim() > 1:
            scheme(parameter.data)
        else:
            nn.init.constant_(parameter.data, 0.0 if name.endswith("bias") else 1.0)
    if isinstance(init, Pretrained):
        _load(network, init.pretrained)


def _load(network: nn.Module, path: Path) -> None:
    try:
        stored = load_file(path)
    except SafetensorError as error:
        raise InvalidInput(f"Not a safetensors file: {error}", where=str(path)) from None
    own = network.state_dict()
    fitting = {
        name: tensor
        for name, tensor in stored.items()
        if name in own and own[name].shape == tensor.shape
    }
    missing = [name for name in own if name not in fitting and not name.startswith("head.")]
    if missing:
        raise InvalidInput(
            f"The file lacks {len(missing)} tensors of this network or has them in another shape, "
            f"first {missing[0]!r}.",
            where=str(path),
            remedy="Choose the model settings that the weights were trained with.",
        )
    network.load_state_dict(fitting, strict=False)
