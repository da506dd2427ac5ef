"""Baselines: how far a user and an item usually stand from the mean of all scores.

Koren 2010, "Factor in the Neighbors", section 2.1; by alternating least squares.
"""

import numpy as np
from numpy.typing import NDArray

from polyclinic.learning.recommend.ratings.scores import Floats, Ids, Ratings

SWEEPS = 10
# So many scores of exactly the mean are added to each user's and each item's own.
USER_PRIOR = 15.0
ITEM_PRIOR = 10.0


def fit_baselines(ratings: Ratings) -> tuple[Floats, Floats]:
    """The biases of users (n_users,) and of items (n_items,); 0 where there is no score."""
    deviations = ratings.values - ratings.mean
    users, items = ratings.users, ratings.items
    user_bias, item_bias = np.zeros(ratings.n_users), np.zeros(ratings.n_items)
    for _ in range(SWEEPS):
        item_bias = _shrunk_means(deviations - user_bias[users], items, len(item_bias), ITEM_PRIOR)
        user_bias = _shrunk_means(deviations - item_bias[items], users, len(user_bias), USER_PRIOR)
    return user_bias, item_bias


def one_users_bias(deviations: NDArray[np.floating]) -> float:
    """The bias of one user from the scores less the mean and the items' biases."""
    return float(deviations.sum() / (USER_PRIOR + deviations.size))


def _shrunk_means(values: Floats, keys: Ids, n: int, prior: float) -> Floats:
    sums = np.bincount(keys, weights=values, minlength=n)
    return sums / (prior + np.bincount(keys, minlength=n))


def taken(bias: NDArray[np.floating], ids: NDArray[np.integer]) -> Floats:
    """The biases of `ids`; 0 for one that is not known."""
    known = (ids >= 0) & (ids < bias.size)
    return np.where(known, bias[np.where(known, ids, 0)], 0.0)
