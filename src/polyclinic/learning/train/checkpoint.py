"""Checkpoints: all that a run needs to go on, in one safetensors file, written atomically."""

import json
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.optim import Optimizer

from polyclinic.core.errors import IntegrityError
from polyclinic.core.frozen import Frozen
from polyclinic.core.storage.blobs import write_atomic


class Epoch(Frozen):
    """One finished epoch: mean training loss and validation loss."""

    number: int
    train_loss: float
    validation_loss: float


class Progress(Frozen):
    """How far a run has come. `run` identifies the run: data, recipe and seed."""

    run: str
    history: tuple[Epoch, ...] = ()

    @property
    def best(self) -> Epoch | None:
        """The epoch of the lowest validation loss, the earliest on a tie."""
        return min(self.history, key=lambda epoch: epoch.validation_loss, default=None)


@dataclass
class State:
    """The tensors of a run: the network, its average, the best average so far, the optimiser."""

    network: nn.Module
    average: nn.Module
    best: dict[str, Tensor]
    optimizer: Optimizer


def save_checkpoint(path: Path, state: State, progress: Progress) -> None:
    """Write the run's state."""
    tensors = {
        **_prefixed("network", state.network.state_dict()),
        **_prefixed("average", state.average.state_dict()),
        **_prefixed("best", state.best),
        **{
            f"optimizer.{index}.{name}": value
            for index, slots in state.optimizer.state_dict()["state"].items()
            for name, value in slots.items()
            if isinstance(value, Tensor)
        },
    }
    # The average may be the network itself; safetensors refuses tensors that share memory.
    copies = {name: tensor.detach().cpu().clone() for name, tensor in tensors.items()}
    write_atomic(path, save(copies, {"progress": progress.model_dump_json()}))


def load_checkpoint(path: Path, state: State, run: str) -> Progress:
    """Bring `state` to where the run stopped; a missing file is a run not yet begun.

    Raises `IntegrityError` where the file is damaged or of another run.
    """
    if not path.exists():
        return Progress(run=run)
    remedy = "Delete the file to begin this training anew."
    try:
        with safe_open(path, "pt") as file:
            progress = Progress.model_validate(json.loads(file.metadata()["progress"]))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise IntegrityError(
            f"The checkpoint is damaged: {error}", where=str(path), remedy=remedy
        ) from None
    if progress.run != run:
        raise IntegrityError("The checkpoint is of another run.", where=str(path), remedy=remedy)
    state.network.load_state_dict(_under("network", tensors))
    state.average.load_state_dict(_under("average", tensors))
    state.best = _under("best", tensors)
    slots: dict[int, dict[str, Tensor]] = {}
    for name, tensor in _under("optimizer", tensors).items():
        index, slot = name.split(".", 1)
        slots.setdefault(int(index), {})[slot] = tensor
    groups = state.optimizer.state_dict()["param_groups"]
    state.optimizer.load_state_dict({"state": slots, "param_groups": groups})
    return progress


def _prefixed(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    start = f"{prefix}."
    return {
        name.removeprefix(start): tensor
        for name, tensor in tensors.items()
        if name.startswith(start)
    }
