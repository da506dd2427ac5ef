"""A threshold from scores without labels, for a site where old thresholds no longer hold.

Minimum error thresholding (Kittler and Illingworth 1986, Pattern Recognition 19(1):41-47): the cut
that leaves two groups most like two normal distributions. It sees only the shape of the scores, so
it holds under more kinds of shift than re-weighting does, and promises less: nothing tells whether
the two groups are the labels.
"""

import numpy as np
from numpy.typing import NDArray

from polyclinic.core.errors import InvalidInput

Floats = NDArray[np.float64]

#: Fewer scores show no shape.
MIN_SCORES = 50
#: A group of fewer has no deviation worth the name.
MIN_GROUP = 10


def minimum_error_threshold(scores: Floats) -> float:
    """The threshold on scores (n,), best log-odds; what is at or above it is of the upper group.

    Raises `InvalidInput` where there are fewer than `MIN_SCORES`, or not finite ones.
    """
    n = len(scores)
    if n < MIN_SCORES or not np.isfinite(scores).all():
        raise InvalidInput(
            f"A threshold by shape needs {MIN_SCORES} finite scores, not {n}.", where="scores"
        )
    ordered = np.sort(scores.astype(np.float64))
    ordered = ordered - ordered.mean()
    below = np.arange(MIN_GROUP, n - MIN_GROUP + 1)
    sums, squares = np.cumsum(ordered), np.cumsum(np.square(ordered))
    cost = np.zeros(len(below))
    for size, total, square in (
        (below, sums[below - 1], squares[below - 1]),
        (n - below, sums[-1] - sums[below - 1], squares[-1] - squares[below - 1]),
    ):
        variance = np.maximum(square / size - np.square(total / size), 1e-9)
        share = size / n
        # Criterion 15 of the paper, in half.
        cost += share * (np.log(variance) / 2 - np.log(share))
    first = below[int(np.argmin(cost))]
    return float((ordered[first - 1] + ordered[first]) / 2 + scores.mean())
