"""How good recommended items are, example by example; means and intervals are the caller's.

Shapes: truth (n, m) bool, which of m items are right for each of n examples; scores (n, m); a set
that is recommended, (n, m) bool. Each result is (n,), NaN where it is undefined, which is wherever
nothing is right. Equal scores are taken in the order of the items.
"""

import numpy as np
from numpy.typing import NDArray

from polyclinic.learning.evaluate.metrics import ratio

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Scores = NDArray[np.floating]


def jaccard(recommended: Bools, truth: Bools) -> Floats:
    """The share of the items recommended or right that are both (Jaccard 1901)."""
    both = (recommended & truth).sum(axis=1)
    return _where_right(truth, ratio(both, (recommended | truth).sum(axis=1)))


def f1(recommended: Bools, truth: Bools) -> Floats:
    """The harmonic mean of precision and recall; 0 where none is right of those recommended."""
    both = (recommended & truth).sum(axis=1)
    return _where_right(truth, ratio(2 * both, recommended.sum(axis=1) + truth.sum(axis=1)))


def average_precision(scores: Scores, truth: Bools) -> Floats:
    """The mean, over what is right, of the precision among all that is ranked no lower.

    The area under the precision-recall curve without interpolation (Davis and Goadrich 2006), PRAUC
    in the literature of medication recommendation.
    """
    hits = _ranked(scores, truth, truth.shape[1])
    precision = np.cumsum(hits, axis=1) / np.arange(1, hits.shape[1] + 1)
    return ratio((precision * hits).sum(axis=1), truth.sum(axis=1))


def recall_at(scores: Scores, truth: Bools, k: int) -> Floats:
    """The share of what is right that is among the k highest scores."""
    return ratio(_ranked(scores, truth, k).sum(axis=1), truth.sum(axis=1))


def precision_at(scores: Scores, truth: Bools, k: int) -> Floats:
    """The share of the k highest scores that is right."""
    hits = _ranked(scores, truth, k)
    return _where_right(truth, hits.mean(axis=1))


def ndcg_at(scores: Scores, truth: Bools, k: int) -> Floats:
    """Discounted gain of the k highest scores, over that of a perfect order.

    Gain 1 for what is right, discounted by log2 of 1 + its place (Järvelin and Kekäläinen 2002).
    """
    hits = _ranked(scores, truth, k)
    discount = 1 / np.log2(np.arange(2, hits.shape[1] + 2))
    best = np.append(0.0, np.cumsum(discount))[np.minimum(truth.sum(axis=1), hits.shape[1])]
    return ratio(hits @ discount, best)


def pair_rate(recommended: Bools, interacting: Bools) -> Floats:
    """The share of the pairs recommended together that interact; NaN where there is no pair.

    interacting: (m, m) bool, symmetric. The DDI rate of Shang et al. 2019 (GAMENet, AAAI).
    """
    chosen = recommended.astype(np.float64)
    among = np.einsum("nm,nm->n", chosen @ interacting.astype(np.float64), chosen)
    size = chosen.sum(axis=1)
    return ratio(among, size * (size - 1))


def _ranked(scores: Scores, truth: Bools, k: int) -> Floats:
    """Whether each of the k highest scores is right, in order (n, min(k, m))."""
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(truth, order, axis=1).astype(np.float64)


def _where_right(truth: Bools, values: Floats) -> Floats:
    return np.where(truth.any(axis=1), values, np.nan)
