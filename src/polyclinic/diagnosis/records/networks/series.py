"""From what was measured, and when, to logits: what all networks over hourly values share."""

import torch
from torch import Tensor, nn

from polyclinic.diagnosis.records.models.linear import FARTHEST, Doubles

#: The weight of a value falls by 1/e in so many rows since it was measured.
FADES = 24.0


class Standard(nn.Module):
    """Values (..., d) less their median, in deviations, as far out as `FARTHEST`; NaN stays."""

    median: Tensor
    deviation: Tensor

    def __init__(self, median: Doubles, deviation: Doubles) -> None:
        super().__init__()
        self.register_buffer("median", torch.as_tensor(median, dtype=torch.float32))
        self.register_buffer("deviation", torch.as_tensor(deviation, dtype=torch.float32))

    def __len__(self) -> int:
        return len(self.median)

    def forward(self, values: Tensor) -> Tensor:
        """Standardised values (..., d)."""
        return ((values - self.median) / self.deviation).clamp(-FARTHEST, FARTHEST)


class SeriesNetwork(nn.Module):
    """Logits (b, k) of features (b, f + steps * v): f fixed ones, then v variables a row.

    The last fixed one is how many rows the stay has before the decision. Missing values are no
    zeros: each variable has three channels, its value carried forward from when it was measured
    last (its median before that), whether it was measured in this row, and how long ago it was, as
    exp(-rows / `FADES`). One more channel tells rows within the stay from those before it. A fixed
    value has two: the value, and whether it is known.
    """

    def __init__(
        self,
        body: nn.Module,
        *,
        steps: int,
        labels: int,
        fixed: Standard,
        series: Standard,
        dropout: float,
    ) -> None:
        super().__init__()
        self.body = body
        self.steps = steps
        self.fixed, self.series = fixed, series
        self.dropout = nn.Dropout(dropout)
        one = torch.zeros(1, len(fixed) + steps * len(series))
        self.head = nn.Linear(self._encoded(one).shape[1], labels)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (b, k) of features (b, f + steps * v)."""
        logits: Tensor = self.head(self.dropout(self._encoded(x)))
        return logits

    def _encoded(self, x: Tensor) -> Tensor:
        f = len(self.fixed)
        fixed = self.fixed(x[:, :f])
        series = self.series(x[:, f:].reshape(-1, self.steps, len(self.series)))
        ago = torch.arange(self.steps - 1, -1, -1, device=x.device)
        inside = (ago <= x[:, f - 1 : f]).to(x.dtype).unsqueeze(2)
        values, since = carried(series)
        known = (~torch.isnan(series)).to(x.dtype)
        channels = torch.cat([_filled(values), known, torch.exp(-since / FADES), inside], dim=2)
        is_known = (~torch.isnan(fixed)).to(x.dtype)
        return torch.cat([self.body(channels), _filled(fixed), is_known], dim=1)


def carried(series: Tensor) -> tuple[Tensor, Tensor]:
    """Values (b, t, v) carried forward where they are NaN, and how many rows ago each was measured.

    By doubling: what is known of the last 2^i rows gives what is known of the last 2^(i+1).
    """
    steps = series.shape[1]
    known = ~torch.isnan(series)
    since = torch.where(known, 0.0, 1e4).to(series.dtype)
    reach = 1
    while reach < steps:
        before = (0, 0, reach, 0)
        earlier = nn.functional.pad(series[:, :-reach], before, value=float("nan"))
        series = torch.where(torch.isnan(series), earlier, series)
        waited = nn.functional.pad(since[:, :-reach], before, value=1e4)
        since = torch.minimum(since, waited + reach)
        reach *= 2
    return series, since


def _filled(values: Tensor) -> Tensor:
    return torch.where(torch.isnan(values), 0.0, values)


class Mean(nn.Module):
    """The mean of several networks' logits, as a network with one named output."""

    def __init__(self, networks: list[nn.Module]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)

    def forward(self, x: Tensor) -> tuple[Tensor]:
        """Logits (b, k), alone in a tuple."""
        return (torch.stack([network(x) for network in self.networks]).mean(dim=0),)
