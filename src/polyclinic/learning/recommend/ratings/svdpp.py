"""SVD++: SVD that also learns from which items a user scored, whatever the score.

Koren 2008, "Factorization Meets the Neighborhood", section 4, equation 15.
"""

from dataclasses import replace

import numpy as np
from pydantic import Field

from polyclinic.learning.recommend.ratings.factors import Factors
from polyclinic.learning.recommend.ratings.scores import Grouped, Ratings
from polyclinic.learning.recommend.ratings.svd import SvdSettings, arrived, drawn, start


class SvdppSettings(SvdSettings):
    """As SVD's, with defaults chosen in the same way."""

    rate: float = Field(default=0.015, gt=0)
    regularisation: float = Field(default=0.08, gt=0)


def fit(ratings: Ratings, settings: SvdppSettings) -> Factors:
    """Learn user by user, each epoch in another order; the same from the same seed.

    Raises `InvalidInput` where the descent runs away.
    """
    from polyclinic.learning.recommend.ratings.descent import svdpp_epoch

    rng = np.random.default_rng(settings.seed)
    model = start(ratings, settings, rng)
    implicit_factors = drawn(ratings.items, ratings.n_items, settings, rng)
    residuals = ratings.values - np.float32(ratings.mean)
    by_user = Grouped.by(ratings.users, ratings.items, residuals, ratings.n_users)
    for _ in range(settings.epochs):
        svdpp_epoch(
            rng.permutation(ratings.n_users),
            by_user.starts,
            by_user.others,
            by_user.values,
            model.user_bias,
            model.item_bias,
            model.user_factors,
            model.item_factors,
            implicit_factors,
            np.float32(settings.rate),
            np.float32(settings.regularisation),
        )
    for user in range(ratings.n_users):
        items, _ = by_user.of(user)
        if items.size:
            implicit = implicit_factors[items].sum(axis=0) / np.sqrt(np.float32(items.size))
            model.user_factors[user] += implicit
    return arrived(replace(model, implicit_factors=implicit_factors), settings)
