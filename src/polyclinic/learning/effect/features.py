"""Covariates as the columns of a linear model: each with a bend at its terciles."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: A value further out than the training data's own by so much of its range counts as that far.
BEYOND = 0.1


@dataclass(frozen=True)
class Basis:
    """Columns of covariates (n, d): each itself, and its part above each knot, standardised.

    knots: of each covariate; one of few values has none. low, high: (d,) what is within reach.
    median: (d,) what a missing value counts as. mean, scale: (p,) of the columns.
    """

    knots: tuple[tuple[float, ...], ...]
    low: Floats
    high: Floats
    median: Floats
    mean: Floats
    scale: Floats

    @property
    def whose(self) -> NDArray[np.int64]:
        """Of which covariate each column is (p,)."""
        return np.repeat(np.arange(len(self.knots)), [1 + len(own) for own in self.knots])

    def columns(self, x: Floats) -> Floats:
        """The columns (n, p) of covariates (n, d)."""
        return (_raw(self._clean(x), self.knots) - self.mean) / self.scale

    def _clean(self, x: Floats) -> Floats:
        return np.clip(np.where(np.isfinite(x), x, self.median), self.low, self.high)


def fit_basis(x: Floats) -> Basis:
    """The basis of training covariates (n, d), of which some may be NaN."""
    median = np.nan_to_num(np.nanmedian(x, axis=0))
    filled = np.where(np.isfinite(x), x, median)
    knots = tuple(_knots(column) for column in filled.T)
    low, high = filled.min(axis=0), filled.max(axis=0)
    reach = BEYOND * (high - low)
    raw = _raw(filled, knots)
    scale = raw.std(axis=0)
    return Basis(
        knots,
        low - reach,
        high + reach,
        median,
        raw.mean(axis=0),
        np.where(scale > 1e-12, scale, 1.0),
    )


def _knots(column: Floats) -> tuple[float, ...]:
    if len(np.unique(column)) <= 4:
        return ()
    low, high = np.quantile(column, [1 / 3, 2 / 3]).tolist()
    inside = [knot for knot in dict.fromkeys((low, high)) if column.min() < knot < column.max()]
    return tuple(inside)


def _raw(x: Floats, knots: Sequence[tuple[float, ...]]) -> Floats:
    parts = []
    for column, own in zip(x.T, knots, strict=True):
        parts += [column, *(np.maximum(column - knot, 0) for knot in own)]
    return np.column_stack(parts)
