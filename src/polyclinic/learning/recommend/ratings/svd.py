"""SVD: biased matrix factorisation by stochastic gradient descent.

Simon Funk, "Netflix Update: Try This at Home", 2006, with the biases of Koren, Bell and Volinsky,
"Matrix Factorization Techniques for Recommender Systems", 2009, equations 4 and 5.
"""

import numpy as np
from pydantic import Field

from polyclinic.core.errors import InvalidInput
from polyclinic.core.frozen import Frozen
from polyclinic.learning.recommend.ratings.factors import Factors, Singles
from polyclinic.learning.recommend.ratings.scores import Ids, Ratings

SPREAD = np.float32(0.1)


class SvdSettings(Frozen):
    """How to learn: the step and the pull to zero are the same for every number.

    `epochs` is how often each score is seen. The defaults were chosen on MovieLens-100k, within the
    training part of one fold; `benchmarks/ratings.py --choose` shows how the others compare.
    """

    factors: int = Field(default=100, ge=1)
    epochs: int = Field(default=20, ge=1)
    rate: float = Field(default=0.02, gt=0)
    regularisation: float = Field(default=0.1, gt=0)
    seed: int = Field(default=0, ge=0)


def fit(ratings: Ratings, settings: SvdSettings) -> Factors:
    """Learn from all scores, each epoch in another order; the same from the same seed.

    Raises `InvalidInput` where the descent runs away.
    """
    from polyclinic.learning.recommend.ratings.descent import svd_epoch

    rng = np.random.default_rng(settings.seed)
    model = start(ratings, settings, rng)
    residuals = ratings.values - np.float32(ratings.mean)
    for _ in range(settings.epochs):
        svd_epoch(
            rng.permutation(len(ratings)),
            ratings.users,
            ratings.items,
            residuals,
            model.user_bias,
            model.item_bias,
            model.user_factors,
            model.item_factors,
            np.float32(settings.rate),
            np.float32(settings.regularisation),
        )
    return arrived(model, settings)


def start(ratings: Ratings, settings: SvdSettings, rng: np.random.Generator) -> Factors:
    """The model before its first step: no biases, small random factors, no implicit ones.

    A user or item without a score is, and so stays, at zero.
    """
    return Factors(
        mean=np.array(ratings.mean),
        user_bias=np.zeros(ratings.n_users, dtype=np.float32),
        item_bias=np.zeros(ratings.n_items, dtype=np.float32),
        user_factors=drawn(ratings.users, ratings.n_users, settings, rng),
        item_factors=drawn(ratings.items, ratings.n_items, settings, rng),
        implicit_factors=np.zeros((0, settings.factors), dtype=np.float32),
        regularisation=np.array(settings.regularisation),
        scale=np.array(ratings.scale, dtype=np.float64),
    )


def drawn(scored: Ids, n: int, settings: SvdSettings, rng: np.random.Generator) -> Singles:
    """Small random factors (n, f), zero for those that are not among `scored`."""
    factors = SPREAD * rng.standard_normal((n, settings.factors), dtype=np.float32)
    factors[np.bincount(scored, minlength=n) == 0] = 0
    return factors


def arrived(model: Factors, settings: SvdSettings) -> Factors:
    """The model after its last step. Raises `InvalidInput` where it went off to infinity."""
    if not (np.isfinite(model.user_factors).all() and np.isfinite(model.item_factors).all()):
        raise InvalidInput(
            f"The descent ran away with steps of {settings.rate:g}.",
            where="rate",
            remedy="Choose a smaller rate.",
        )
    return model
