"""The training loop: seeded, resumable at every epoch, free of any department."""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn

from polyclinic.core.errors import InvalidInput
from polyclinic.learning.train.checkpoint import (
    Epoch,
    Progress,
    State,
    load_checkpoint,
    save_checkpoint,
)
from polyclinic.learning.train.settings import TrainSettings


class Diverged(InvalidInput):
    """The loss is no longer a number."""


class Objective(Protocol):
    """What is minimised, and on which examples."""

    examples: int

    def loss(self, network: nn.Module, rows: Tensor, generator: torch.Generator) -> Tensor:
        """Mean loss, a scalar, of the training examples `rows` (b,), int64.

        Every random choice, such as augmentation, is drawn from `generator`.
        """
        ...

    def validation_loss(self, network: nn.Module) -> float:
        """Mean loss on the validation part; lower is better."""
        ...


@dataclass(frozen=True)
class Trained:
    """The network with its best weights, in evaluation mode, and what each epoch gave."""

    network: nn.Module
    progress: Progress


def train(
    network: nn.Module,
    objective: Objective,
    settings: TrainSettings,
    *,
    seed: int,
    run: str,
    checkpoint: Path | None = None,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
) -> Trained:
    """Minimise `objective` from where `checkpoint` stands; `run` says whose checkpoint it must be.

    Every epoch's random choices follow from `seed` and the epoch's number alone, so that a run
    killed at any moment and started again ends with the same bits on the same CPU. An incomplete
    last batch of an epoch is left out. On a GPU the forward pass runs in bfloat16 where it can.
    Parameters that ask for no gradients stay as they are, and with them the running statistics of
    their modules.
    Raises `Diverged` where the loss is not a number, naming the epoch.
    """
    torch.set_num_threads(settings.threads)
    torch.use_deterministic_algorithms(True, warn_only=torch.cuda.is_available())
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = network.to(device)
    average = network if settings.averaging is None else copy.deepcopy(network)
    state = State(network, average, {}, _optimizer(network, settings))
    progress = Progress(run=run)
    if checkpoint is not None:
        progress = load_checkpoint(checkpoint, state, run)
    while len(progress.history) < settings.epochs and not _stalled(progress, settings):
        number = len(progress.history) + 1
        train_loss = _epoch(state, objective, settings, seed, number, device)
        average.eval()
        epoch = Epoch(
            number=number,
            train_loss=train_loss,
            validation_loss=objective.validation_loss(average),
        )
        if not math.isfinite(epoch.train_loss + epoch.validation_loss):
            raise Diverged(
                "The loss is no longer a number.",
                where=f"epoch {number}",
                remedy="Lower train.learning_rate.",
            )
        progress = Progress(run=run, history=(*progress.history, epoch))
        if progress.best == epoch:
            state.best = {name: value.clone() for name, value in average.state_dict().items()}
        if checkpoint is not None:
            save_checkpoint(checkpoint, state, progress)
        on_epoch(epoch)
    network.load_state_dict(state.best)
    return Trained(network.eval(), progress)


def _optimizer(network: nn.Module, settings: TrainSettings) -> torch.optim.Optimizer:
    rate, decay = settings.learning_rate, settings.weight_decay
    weights = [parameter for parameter in network.parameters() if parameter.requires_grad]
    match settings.optimizer:
        case "adam":
            return torch.optim.Adam(weights, rate, weight_decay=decay)
        case "adamw":
            return torch.optim.AdamW(weights, rate, weight_decay=decay)
        case "sgd":
            return torch.optim.SGD(weights, rate, momentum=0.9, weight_decay=decay)


def _into_training(network: nn.Module) -> None:
    """Training mode, but for modules with no parameter to train: these see as they will serve."""
    network.train()
    for module in network.modules():
        parameters = list(module.parameters())
        if parameters and not any(parameter.requires_grad for parameter in parameters):
            module.eval()


def _stalled(progress: Progress, settings: TrainSettings) -> bool:
    if settings.patience is None or progress.best is None:
        return False
    return len(progress.history) - progress.best.number >= settings.patience


def _rate(settings: TrainSettings, done: float) -> float:
    """The learning rate when the fraction `done` of all steps is done."""
    warm_up = 0.2
    match settings.schedule:
        case "constant":
            factor = 1.0
        case "cosine":
            factor = (1 + math.cos(math.pi * done)) / 2
        case "one-cycle" if done < warm_up:
            factor = 0.04 + 0.96 * done / warm_up
        case "one-cycle":
            factor = (1 + math.cos(math.pi * (done - warm_up) / (1 - warm_up))) / 2
    return settings.learning_rate * factor


def _epoch(
    state: State,
    objective: Objective,
    settings: TrainSettings,
    seed: int,
    number: int,
    device: torch.device,
) -> float:
    """One pass over the training examples; the mean loss."""
    generator = torch.Generator().manual_seed(seed * 1_000_003 + number)
    torch.manual_seed(seed * 1_000_003 + number)
    size = min(settings.batch_size, objective.examples)
    steps = objective.examples // size
    order = torch.randperm(objective.examples, generator=generator)
    _into_training(state.network)
    total = 0.0
    for step in range(steps):
        rows = order[step * size : (step + 1) * size]
        done = ((number - 1) * steps + step) / (settings.epochs * steps)
        for group in state.optimizer.param_groups:
            group["lr"] = _rate(settings, done)
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            loss = objective.loss(state.network, rows, generator)
        state.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        state.optimizer.step()
        if settings.averaging is not None:
            _update_average(state.average, state.network, settings.averaging)
        total += loss.item()
    return total / steps


@torch.no_grad()
def _update_average(average: nn.Module, network: nn.Module, decay: float) -> None:
    for kept, new in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
        if kept.is_floating_point():
            kept.lerp_(new, 1 - decay)
        else:
            kept.copy_(new)
