"""Intervals of affinity with a stated coverage, apart for each way in which a pair is new.

Split conformal regression with residuals taken by their usual size where the prediction is as high
(Lei et al. 2018, JASA 113:1094-1111, section 5.2). Serving needs NumPy alone.
"""

from math import ceil

import numpy as np
from numpy.typing import NDArray

from polyclinic.core.evaluation import Estimate
from polyclinic.core.frozen import Frozen

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]

#: With fewer held-out pairs for each, predictions are not told apart by height.
EACH, GROUPS = 100, 10
SMALLEST = 0.02
RE_SPLITS = 200


class Interval(Frozen):
    """Usual residuals `sizes` at predictions `heights`, and how many of them reach far enough.

    pairs: held-out pairs that this was fitted on.
    """

    heights: tuple[float, ...]
    sizes: tuple[float, ...]
    reach: float
    pairs: int

    def half_width(self, foretold: Floats) -> Floats:
        """Half of the interval around each prediction (n,)."""
        usual = np.interp(foretold, self.heights, self.sizes)
        return np.asarray(self.reach * usual)


def fit_interval(foretold: Floats, actual: Floats, coverage: float) -> Interval:
    """The interval of `coverage` from predictions (n,) of models that had not seen the pairs.

    With too few pairs for the coverage it reaches as far as any, and once more.
    """
    residual = np.abs(foretold - actual)
    groups = min(GROUPS, len(foretold) // EACH)
    heights, sizes = [float(np.mean(foretold))], [1.0]
    if groups > 1:
        order = np.array_split(np.argsort(foretold, kind="stable"), groups)
        heights = [float(foretold[rows].mean()) for rows in order]
        sizes = [max(SMALLEST, float(residual[rows].mean())) for rows in order]
    usual = np.interp(foretold, heights, sizes)
    scores = np.sort(residual / usual)
    rank = ceil((len(scores) + 1) * coverage - 1e-9)
    reach = float(scores[rank - 1] if rank <= len(scores) else 2 * scores[-1])
    return Interval(heights=tuple(heights), sizes=tuple(sizes), reach=reach, pairs=len(foretold))


def covered(interval: Interval, foretold: Floats, actual: Floats) -> NDArray[np.bool_]:
    """Whether each affinity (n,) lies within its interval."""
    inside = np.abs(foretold - actual) <= interval.half_width(foretold) + 1e-9
    return np.asarray(inside)


def re_split_coverage(
    foretold: Floats, actual: Floats, clusters: Rows, coverage: float, seed: int
) -> Estimate:
    """How often intervals fitted on half of the clusters cover the pairs of the others.

    The mean over 200 random halves, and between what bounds 95% of them lie. clusters: (n,), whose
    pairs stay together.
    """
    rng = np.random.default_rng(seed)
    names, cluster = np.unique(clusters, return_inverse=True)
    shares = []
    for _ in range(RE_SPLITS):
        chosen = rng.permutation(len(names)) < len(names) / 2
        fitted = chosen[cluster]
        if fitted.all() or not fitted.any():
            continue
        interval = fit_interval(foretold[fitted], actual[fitted], coverage)
        shares.append(float(covered(interval, foretold[~fitted], actual[~fitted]).mean()))
    if not shares:
        return Estimate(value=float("nan"), low=0.0, high=1.0)
    low, high = np.percentile(shares, [2.5, 97.5])
    return Estimate(value=float(np.mean(shares)), low=float(low), high=float(high))
