"""A fitted model of benefit as it is served: NumPy alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from polyclinic.learning.effect.features import Basis
from polyclinic.learning.effect.ridge import Line

Floats = NDArray[np.float64]

MODEL_FILE = "benefit.safetensors"
FAMILIARITY_FILE = "familiarity.safetensors"


class Told(NamedTuple):
    """Of one patient: the expected outcome of each of k arms, and its interval (k,).

    behind: (k, 2) the interval of what an arm has over the best one, whose own is 0.
    """

    expected: Floats
    low: Floats
    high: Floats
    best: int
    behind: Floats


@dataclass(frozen=True)
class BenefitModel:
    """line: expected outcomes of k arms over the basis' columns. replicates: the same fitted to
    resampled patients: intercepts (b, k) and weights (b, p, k), whose spread is the uncertainty of
    what is expected of patients alike, not of one patient's fate.
    """

    basis: Basis
    line: Line
    intercepts: Floats
    weights: Floats

    def tell(
        self, x: Floats, coverage: float, allowed: NDArray[np.bool_] | None = None
    ) -> list[Told]:
        """What is expected of patients with covariates (n, d); the best is among `allowed` (k,)."""
        columns = self.basis.columns(x)
        expected = self.line.predict(columns)
        spread = np.einsum("np,bpk->bnk", columns, self.weights) + self.intercepts[:, None]
        tails = [50 * (1 - coverage), 50 * (1 + coverage)]
        low, high = np.percentile(spread, tails, axis=0)
        told = []
        ranked = expected if allowed is None else np.where(allowed, expected, -np.inf)
        for row, best in enumerate(ranked.argmax(axis=1).tolist()):
            behind = spread[:, row] - spread[:, row, best : best + 1]
            told.append(
                Told(
                    expected[row],
                    low[row],
                    high[row],
                    best,
                    np.percentile(behind, tails, axis=0).T,
                )
            )
        return told

    def contributions(self, x: Floats, arm: int, other: int) -> Floats:
        """What each covariate (d,) of one patient adds to an arm's benefit over another's.

        Against the mean patient of the training data; exact, for the model is a sum.
        """
        columns = self.basis.columns(x[None])[0]
        each = columns * (self.line.weights[:, arm] - self.line.weights[:, other])
        return np.bincount(self.basis.whose, each, minlength=x.size).astype(np.float64)

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """To be stored."""
        basis = self.basis
        return {
            "knots": np.array([knot for own in basis.knots for knot in own], np.float64),
            "knot_counts": np.array([len(own) for own in basis.knots], np.int64),
            "low": basis.low,
            "high": basis.high,
            "median": basis.median,
            "mean": basis.mean,
            "scale": basis.scale,
            "intercept": np.ascontiguousarray(self.line.intercept),
            "line": np.ascontiguousarray(self.line.weights),
            "intercepts": np.ascontiguousarray(self.intercepts, np.float32),
            "weights": np.ascontiguousarray(self.weights, np.float32),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]]) -> "BenefitModel":
        """From stored arrays. Raises `KeyError` where one is missing."""
        doubles = {name: np.asarray(array, np.float64) for name, array in arrays.items()}
        ends = np.cumsum(np.asarray(arrays["knot_counts"], np.int64)).tolist()
        flat = doubles["knots"].tolist()
        knots = tuple(tuple(flat[start:end]) for start, end in zip([0, *ends], ends, strict=False))
        basis = Basis(knots, *(doubles[n] for n in ("low", "high", "median", "mean", "scale")))
        line = Line(doubles["intercept"], doubles["line"])
        return cls(basis, line, doubles["intercepts"], doubles["weights"])
