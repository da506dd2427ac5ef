"""The objective of single-label classification: weighted cross-entropy."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from polyclinic.learning.prepare.dataset import Part
from polyclinic.learning.train.settings import TrainSettings

#: Changes a batch (b, ...) of training inputs, every random choice drawn from the generator.
Augment = Callable[[Tensor, torch.Generator], Tensor]


class Classification:
    """Cross-entropy of a network that maps float inputs (b, ...) to logits (b, k).

    `to_input` makes the network's input of raw examples (b, ...). With balanced weights every label
    has the same say in either part, by that part's own counts. Validation is neither smoothed nor
    augmented.
    """

    def __init__(
        self,
        train: Part,
        validation: Part,
        labels: int,
        settings: TrainSettings,
        to_input: Callable[[Tensor], Tensor],
        augment: Augment | None = None,
    ) -> None:
        self.examples = len(train)
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._x, self._y = torch.from_numpy(train.x), torch.from_numpy(train.y)
        self._validation = validation
        self._to_input = to_input
        self._augment = augment
        self._smoothing = settings.label_smoothing
        self._weights: Tensor | None = None
        self._validation_weights: Tensor | None = None
        if settings.class_weights == "balanced":
            self._weights = torch.from_numpy(balanced_weights(train.y, labels)).to(self.device)
            self._validation_weights = torch.from_numpy(balanced_weights(validation.y, labels))

    def loss(self, network: nn.Module, rows: Tensor, generator: torch.Generator) -> Tensor:
        """Mean loss, a scalar, of the training examples `rows` (b,)."""
        inputs = self._to_input(self._x[rows])
        if self._augment is not None:
            inputs = self._augment(inputs, generator)
        return functional.cross_entropy(
            network(inputs.to(self.device)),
            self._y[rows].to(self.device),
            weight=self._weights,
            label_smoothing=self._smoothing,
        )

    def validation_loss(self, network: nn.Module) -> float:
        """Mean cross-entropy on the validation part."""
        scored = logits(network, self._validation.x, self._to_input)
        truth = torch.from_numpy(self._validation.y)
        return functional.cross_entropy(scored, truth, weight=self._validation_weights).item()


@torch.no_grad()
def logits(
    network: nn.Module, x: NDArray[np.generic], to_input: Callable[[Tensor], Tensor]
) -> Tensor:
    """The network's logits (n, k) on the CPU for raw examples `x` (n, ...), in small batches."""
    device = next(network.parameters()).device
    batches = (torch.from_numpy(x[start : start + 256]) for start in range(0, len(x), 256))
    return torch.cat([network(to_input(batch).to(device)).float().cpu() for batch in batches])


def balanced_weights(y: NDArray[np.int64], labels: int) -> NDArray[np.float32]:
    """Weight n / (k * n_label) of each of k labels (k,); a label never seen weighs 0."""
    counts = np.bincount(y, minlength=labels)
    weights = np.divide(len(y), labels * counts, where=counts > 0, out=np.zeros(labels))
    return weights.astype(np.float32)
