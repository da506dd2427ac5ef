"""What every network is: pictures (n, channels, size, size) in [0, 1] to `Outputs`, in one pass."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from polyclinic.core.errors import InvalidInput


class Outputs(NamedTuple):
    """What one pass gives.

    logits: (n, k). features: (n, d), in which distance measures unfamiliarity. maps: (n, k, h, w),
    class-activation maps: their sum over h and w, plus the head's bias, is the logit.
    """

    logits: Tensor
    features: Tensor
    maps: Tensor


class Scale(NamedTuple):
    """Mean and standard deviation of the training pictures' values in [0, 1]."""

    mean: float
    deviation: float


class Network(nn.Module, ABC):
    """Normalises pictures by the training set's mean and deviation, then sees.

    All that can be pretrained lies in `body`; `head` is the last linear layer.
    """

    mean: Tensor
    deviation: Tensor
    body: nn.Module
    head: nn.Linear

    def __init__(self, body: nn.Module, head: nn.Linear, scale: Scale) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(scale.mean))
        self.register_buffer("deviation", torch.tensor(scale.deviation))
        self.body = body
        self.head = head

    @abstractmethod
    def see(self, pictures: Tensor) -> Outputs:
        """Everything that the network says of normalised pictures (n, c, h, w)."""

    def outputs(self, pictures: Tensor) -> Outputs:
        """Everything that the network says of pictures (n, c, h, w) in [0, 1]."""
        return self.see((pictures - self.mean) / self.deviation)

    def forward(self, pictures: Tensor) -> Tensor:
        """The logits (n, k) of pictures (n, c, h, w) in [0, 1]."""
        return self.outputs(pictures).logits


class Averaged(Network):
    """A network whose head is linear in the averages of its last maps (Zhou et al. 2016, CAM)."""

    def __init__(
        self, body: nn.Module, channels: int, labels: int, dropout: float, scale: Scale
    ) -> None:
        super().__init__(body, nn.Linear(channels, labels), scale)
        self.dropout = nn.Dropout(dropout)

    @abstractmethod
    def stages(self, pictures: Tensor) -> list[Tensor]:
        """The maps (n, c, h, w) at some depths of normalised pictures; the head takes the last."""

    def see(self, pictures: Tensor) -> Outputs:
        """The head is linear in the averaged maps, so a place's share of a logit is exact."""
        stages = self.stages(pictures)
        maps = stages[-1]
        shares = torch.einsum("nfhw,kf->nkhw", maps, self.head.weight)
        shares = shares / (maps.shape[2] * maps.shape[3])
        logits = self.head(self.dropout(maps.mean((2, 3))))
        return Outputs(logits, moments(stages), shares)


def moments(stages: Sequence[Tensor], channels: int = 128) -> Tensor:
    """Mean and deviation over each map of each stage: (n, d).

    Of a stage with more than `channels`, evenly spaced ones: the channels of a layer say much the
    same, and distances need d well below the number of examples (Defard et al. 2021, PaDiM, 3.2).
    """
    parts = []
    for stage in stages:
        maps = stage[:, :: -(-stage.shape[1] // channels)]
        mean = maps.mean((2, 3))
        variance = (maps - mean[:, :, None, None]).square().mean((2, 3))
        parts += [mean, (variance + 1e-6).sqrt()]
    return torch.cat(parts, 1)


def require_size(size: int, least: int, network: str, remedy: str) -> None:
    """Raise `InvalidInput` where pictures are too small for `network`."""
    if size < least:
        raise InvalidInput(
            f"{network} needs pictures of at least {least} × {least} pixels; these have "
            f"{size} × {size}.",
            where="model",
            remedy=remedy,
        )
