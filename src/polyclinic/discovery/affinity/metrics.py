"""How well affinities are foretold, with 95% confidence intervals."""

import numpy as np
from numpy.typing import NDArray

from polyclinic.core.evaluation import Estimate
from polyclinic.learning.evaluate.bootstrap import bootstrap
from polyclinic.learning.evaluate.metrics import ratio

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]

RESAMPLES = 1000
_Z = 1.959964
#: Pairs that are compared with all others at a time.
CHUNK = 512


def figures(
    actual: Floats, foretold: Floats, clusters: Rows, fold: Rows | None = None
) -> dict[str, Estimate]:
    """`concordance`, `mse`, `mae`, `pearson` and `r_m2` of affinities (n,).

    clusters: (n,) whose pairs are not independent of each other. fold: (n,) of the model that
    foretold each; only pairs of one model are compared for concordance. r_m2 is r^2 (1 -
    sqrt|r^2 - r0^2|), r0 through the origin (Roy and Roy 2008, QSAR Comb Sci 27:302-313).
    """
    y, p = actual, foretold
    columns = np.column_stack([np.ones(len(y)), y, p, y * y, p * p, y * p, np.abs(y - p)])

    def statistics(weights: Floats) -> dict[str, Floats]:
        total, *sums = (weights @ columns).T
        my, mp, yy, pp, yp, off = (ratio(each, total) for each in sums)
        spread, own, together = yy - my**2, pp - mp**2, yp - my * mp
        r = ratio(together, np.sqrt(np.maximum(spread * own, 0.0)))
        slope = ratio(yp, pp)
        origin = 1.0 - ratio(yy - 2 * slope * yp + slope**2 * pp, spread)
        return {
            "mse": yy - 2 * yp + pp,
            "mae": off,
            "pearson": r,
            "r_m2": r**2 * (1.0 - np.sqrt(np.abs(r**2 - origin))),
        }

    found = concordance(y, p, clusters, np.zeros(len(y), np.int64) if fold is None else fold)
    told = {} if found is None else {"concordance": found}
    return told | bootstrap(statistics, clusters, RESAMPLES)


def concordance(actual: Floats, foretold: Floats, clusters: Rows, fold: Rows) -> Estimate | None:
    """The share of pairs of unequal affinities (n,) that are foretold in their order.

    Equal predictions count half; None where all affinities are equal. The interval is by the
    infinitesimal jackknife over clusters, as of a U-statistic (Efron 1982, chapter 6).
    Source: Gonen and Heller 2005, Biometrika 92:965-970.
    """
    right, all_of = np.zeros(len(actual)), np.zeros(len(actual))
    for number in np.unique(fold):
        rows = np.flatnonzero(fold == number)
        y, p = actual[rows], foretold[rows]
        for start in range(0, len(rows), CHUNK):
            mine = slice(start, start + CHUNK)
            way = np.sign(y[mine, None] - y).astype(np.int8)
            told = np.sign(p[mine, None] - p).astype(np.int8)
            differ = way != 0
            all_of[rows[mine]] = differ.sum(axis=1)
            right[rows[mine]] = (differ & (way == told)).sum(axis=1) + 0.5 * (
                differ & (told == 0)
            ).sum(axis=1)
    total = all_of.sum()
    if not total:
        return None
    value = float(right.sum() / total)
    influence = 2.0 * (right - value * all_of) / total
    _, cluster = np.unique(clusters, return_inverse=True)
    error = float(np.sqrt((np.bincount(cluster, influence) ** 2).sum()))
    low, high = max(0.0, value - _Z * error), min(1.0, value + _Z * error)
    return Estimate(value=value, low=low, high=high)
