"""The objective of classification: weighted cross-entropy."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from polyclinic.learning.labels import Labels, multi_label
from polyclinic.learning.prepare.dataset import Part
from polyclinic.learning.train.settings import TrainSettings

#: Changes a batch (b, ...) of training inputs, every random choice drawn from the generator.
Augment = Callable[[Tensor, torch.Generator], Tensor]


class Classification:
    """Cross-entropy of a network that maps float inputs (b, ...) to logits (b, k).

    Of multi-label data each label is a question of its own: the mean over labels of the binary
    cross-entropy of the logit's sigmoid. `to_input` makes the network's input of raw examples
    (b, ...). With balanced weights every label, or of multi-label data every label's presence and
    absence, has the same say in either part, by that part's own counts. `counts` says how much each
    example of training and of validation counts (n,) beside. Validation is neither smoothed nor
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
        counts: tuple[NDArray[np.floating], NDArray[np.floating]] | None = None,
    ) -> None:
        self.examples = len(train)
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._x, self._y = torch.from_numpy(train.x), torch.from_numpy(train.y)
        self._validation = validation
        self._to_input = to_input
        self._augment = augment
        self._smoothing = settings.label_smoothing
        self._counts: Tensor | None = None
        self._validation_counts: Tensor | None = None
        if counts is not None:
            self._counts, self._validation_counts = (torch.from_numpy(c).float() for c in counts)
        self._weights: Tensor | None = None
        self._validation_weights: Tensor | None = None
        if settings.class_weights == "balanced":
            self._weights = _balanced(train.y, labels).to(self.device)
            self._validation_weights = _balanced(validation.y, labels)

    def loss(self, network: nn.Module, rows: Tensor, generator: torch.Generator) -> Tensor:
        """Mean loss, a scalar, of the training examples `rows` (b,)."""
        inputs = self._to_input(self._x[rows])
        if self._augment is not None:
            inputs = self._augment(inputs, generator)
        truth = self._y[rows].to(self.device)
        scored = network(inputs.to(self.device))
        counts = None if self._counts is None else self._counts[rows].to(self.device)
        return _cross_entropy(scored, truth, self._weights, counts, self._smoothing)

    def validation_loss(self, network: nn.Module) -> float:
        """Mean cross-entropy on the validation part."""
        scored = logits(network, self._validation.x, self._to_input)
        truth = torch.from_numpy(self._validation.y)
        counts = self._validation_counts
        return _cross_entropy(scored, truth, self._validation_weights, counts).item()


@torch.no_grad()
def logits(
    network: nn.Module, x: NDArray[np.generic], to_input: Callable[[Tensor], Tensor]
) -> Tensor:
    """The network's logits (n, k) on the CPU for raw examples `x` (n, ...), in small batches."""
    device = next(network.parameters()).device
    batches = (torch.from_numpy(x[start : start + 256]) for start in range(0, len(x), 256))
    return torch.cat([network(to_input(batch).to(device)).float().cpu() for batch in batches])


def _cross_entropy(
    scored: Tensor,
    truth: Tensor,
    weights: Tensor | None,
    counts: Tensor | None,
    smoothing: float = 0.0,
) -> Tensor:
    """Mean loss of logits (b, k) with truth (b,) and weights (k,), or (b, k) bool and (k, 2).

    counts: how much each example counts (b,).
    """
    if truth.dtype != torch.bool:
        if counts is None:
            return functional.cross_entropy(scored, truth, weights, label_smoothing=smoothing)
        each = functional.cross_entropy(
            scored, truth, weights, label_smoothing=smoothing, reduction="none"
        )
        return (counts * each).sum() / (
            counts if weights is None else counts * weights[truth]
        ).sum()
    target = truth.float() * (1 - smoothing) + smoothing / 2
    absent, present = (1.0, 1.0) if weights is None else weights.unbind(1)
    z = scored.float()
    gain = present * target * functional.logsigmoid(z)
    gain += absent * (1 - target) * functional.logsigmoid(-z)
    return -gain.mean() if counts is None else -(counts[:, None] * gain).mean() / counts.mean()


def _balanced(y: Labels, labels: int) -> Tensor:
    """The weights of labels (k,), or of each one's absence and presence (k, 2)."""
    if multi_label(y):
        return torch.from_numpy(np.stack([balanced_weights(present, 2) for present in y.T]))
    return torch.from_numpy(balanced_weights(y, labels))


def balanced_weights(y: Labels, labels: int) -> NDArray[np.float32]:
    """Weight n / (k * n_label) of each of k labels (k,); a label never seen weighs 0."""
    counts = np.bincount(y, minlength=labels)
    weights = np.divide(len(y), labels * counts, where=counts > 0, out=np.zeros(labels))
    return weights.astype(np.float32)
