"""Weights in safetensors files: what one training leaves for another to start from."""

import os
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from polyclinic.core.errors import InvalidInput
from polyclinic.core.storage.blobs import write_atomic


def save_weights(network: nn.Module, path: Path) -> None:
    """Write every tensor of `network`, for `load_weights` of one with the same body."""
    tensors = {name: value.cpu().contiguous() for name, value in network.state_dict().items()}
    write_atomic(path, save(tensors))


def must_be_writable(path: Path) -> None:
    """Make the folder of `path`, for a file to be written long from now.

    Raises `InvalidInput` where there is no such folder to be had, or `path` is one itself.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInput(
            f"No file can be written here: {error.strerror}.", where=str(path)
        ) from None
    if path.is_dir() or not os.access(path.parent, os.W_OK):
        raise InvalidInput("No file can be written here.", where=str(path))


def load_weights(network: nn.Module, path: Path) -> None:
    """Take the tensors of `path` into `network`, in place; all of its `body` must be there.

    Tensors are found by their names in the network, or by their names in its body alone, as a
    publisher of the body writes them. What else fits, such as the head of the same labels, is taken
    too. A kernel for three channels is summed where this network sees one: this is exactly what it
    makes of a grey picture in three equal channels.
    Raises `InvalidInput` naming the file and the tensor.
    """
    try:
        stored = load_file(path)
    except SafetensorError as error:
        raise InvalidInput(f"Not a safetensors file: {error}", where=str(path)) from None
    own = network.state_dict()
    named = {name if name in own else f"body.{name}": value for name, value in stored.items()}
    found = {
        name: _for_channels(value, own[name].shape) for name, value in named.items() if name in own
    }
    fitting = {name: value for name, value in found.items() if value.shape == own[name].shape}
    missing = [name for name in own if name.startswith("body.") and name not in fitting]
    if missing:
        first = missing[0]
        there = f"it has {tuple(named[first].shape)}" if first in named else "it has none"
        raise InvalidInput(
            f"{len(missing)} of this network's tensors are not in the file: first {first!r} of "
            f"shape {tuple(own[first].shape)}; {there}.",
            where=str(path),
            remedy="Choose the model settings and channels that the weights were trained with.",
        )
    network.load_state_dict(fitting, strict=False)


def _for_channels(kernel: Tensor, shape: tuple[int, ...]) -> Tensor:
    if len(shape) == 4 and shape[1] == 1 and kernel.dim() == 4 and kernel.shape[1] == 3:
        return kernel.sum(dim=1, keepdim=True)
    return kernel
