"""k nearest neighbours with baselines: fitting them.

Koren 2010, "Factor in the Neighbors", section 2.2.
"""

from typing import Literal

import numpy as np
from pydantic import Field

from polyclinic.core.errors import InputTooLarge
from polyclinic.core.frozen import Frozen
from polyclinic.learning.recommend.ratings.baselines import fit_baselines
from polyclinic.learning.recommend.ratings.neighbours import Neighbours
from polyclinic.learning.recommend.ratings.scores import Grouped, Ratings

# Their similarities are a gibibyte of memory.
MOST = 16_384


class KnnSettings(Frozen):
    """Who are neighbours, how many count, and how many common scores halve a similarity.

    `by` items, a new user's neighbours are found without the other users' scores.
    """

    by: Literal["items", "users"] = "items"
    neighbours: int = Field(default=40, ge=1)
    shrinkage: float = Field(default=200.0, ge=0)


def fit(ratings: Ratings, settings: KnnSettings) -> Neighbours:
    """Learn baselines and similarities from all scores.

    Raises `InputTooLarge` where the similarities of so many would not fit in memory.
    """
    from polyclinic.learning.recommend.ratings.common import similarities

    user_based = settings.by == "users"
    n_alike, n_others = ratings.n_users, ratings.n_items
    alike, others = ratings.users, ratings.items
    if not user_based:
        n_alike, n_others, alike, others = n_others, n_alike, others, alike
    if n_alike > MOST:
        raise InputTooLarge(
            f"Neighbours are sought among at most {MOST} {settings.by}; here are {n_alike}.",
            where="by",
            remedy=f"Choose neighbours by {'items' if user_based else 'users'}, or factorisation.",
        )
    user_bias, item_bias = fit_baselines(ratings)
    baselines = ratings.mean + user_bias[ratings.users] + item_bias[ratings.items]
    residuals = (ratings.values - baselines).astype(np.float32)
    by_other = Grouped.by(others, alike, residuals, n_others)
    by_alike = Grouped.by(alike, others, residuals, n_alike)
    return Neighbours(
        mean=np.array(ratings.mean),
        user_bias=user_bias,
        item_bias=item_bias,
        similar=similarities(
            by_alike.starts,
            by_alike.others,
            by_alike.values,
            by_other.starts,
            by_other.others,
            by_other.values,
            np.float32(settings.shrinkage),
        ),
        starts=by_other.starts,
        partners=by_other.others,
        residuals=by_other.values,
        user_based=np.array(user_based),
        neighbours=np.array(settings.neighbours),
        shrinkage=np.array(settings.shrinkage),
        scale=np.array(ratings.scale, dtype=np.float64),
    )
