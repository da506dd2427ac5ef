"""What matrix factorisation learns: biases and factors, by which users and items meet."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from polyclinic.core.errors import InvalidInput
from polyclinic.learning.recommend.ratings.baselines import taken
from polyclinic.learning.recommend.ratings.scores import Floats, one_users
from polyclinic.learning.recommend.ratings.stored import Stored

Singles = NDArray[np.float32]


@dataclass(frozen=True)
class Factors(Stored):
    """A score is `mean + user_bias + item_bias + user_factors · item_factors`.

    `user_bias` (n_users,), `item_bias` (n_items,), `user_factors` (n_users, f) and `item_factors`
    (n_items, f) float32; `mean` and `regularisation` () and `scale` (2,) float64.
    `implicit_factors` (n_items, f) are SVD++'s, what having scored an item at all says about a user
    (they are in `user_factors` already), and (0, f) for SVD. Raises `InvalidInput` where shapes
    do not fit.
    """

    mean: Floats
    user_bias: Singles
    item_bias: Singles
    user_factors: Singles
    item_factors: Singles
    implicit_factors: Singles
    regularisation: Floats
    scale: Floats

    def __post_init__(self) -> None:
        width = self.item_factors.shape[-1]
        shapes: dict[str, set[tuple[int, ...]]] = {
            "user_factors": {(self.user_bias.size, width)},
            "item_factors": {(self.item_bias.size, width)},
            "implicit_factors": {(self.item_bias.size, width), (0, width)},
            "scale": {(2,)},
        }
        for name, right in shapes.items():
            if getattr(self, name).shape not in right:
                raise InvalidInput("The arrays of a model do not fit together.", where=name)

    def predict(self, users: ArrayLike, items: ArrayLike) -> Floats:
        """The scores of pairs (n,), on the scale.

        For an unknown user or item, any number that is no row here, what is known of the other
        and the mean speak alone.
        """
        u, i = np.broadcast_arrays(np.atleast_1d(users), np.atleast_1d(items))
        found = self.mean + taken(self.user_bias, u) + taken(self.item_bias, i)
        known = (u >= 0) & (u < self.user_bias.size) & (i >= 0) & (i < self.item_bias.size)
        found[known] += np.einsum(
            "nf,nf->n", self.user_factors[u[known]], self.item_factors[i[known]]
        )
        return self.on_scale(found)

    def scores(self, users: ArrayLike) -> Floats:
        """The scores of users (m,) for all items, (m, n_items), to rank by: not cut to the scale.

        An unknown user gets what the items' biases say.
        """
        rows = np.atleast_1d(users)
        known = (rows >= 0) & (rows < self.user_bias.size)
        vectors = self.user_factors[np.where(known, rows, 0)] * known[:, None]
        user_bias = taken(self.user_bias, rows)[:, None]
        return self.mean + user_bias + self.item_bias + vectors @ self.item_factors.T

    def fold_in(self, items: ArrayLike, values: ArrayLike) -> Floats:
        """The scores of a user who was not there in training for all items, (n_items,), to rank by.

        `items` (k,) and `values` (k,) are the user's own scores; those of unknown items are left
        out, and with none the items' biases speak. Bias and factors are those that training would
        have come to, had the items stood still: a ridge regression. Raises `InvalidInput` as
        `Ratings` does.
        """
        low, high = self.scale.tolist()
        rows, own = one_users(items, values, self.item_bias.size, (low, high))
        base = self.mean + self.item_bias.astype(np.float64)
        if not rows.size:
            return base
        factors = self.item_factors.astype(np.float64)
        implicit = np.zeros(factors.shape[1])
        if self.implicit_factors.size:
            implicit = self.implicit_factors[rows].sum(axis=0) / math.sqrt(rows.size)
        x = np.column_stack([np.ones(rows.size), factors[rows]])
        target = own - base[rows] - factors[rows] @ implicit
        # The descent shrinks a user's numbers once for each of the user's scores.
        ridge = float(self.regularisation) * rows.size * np.eye(x.shape[1])
        solved = np.linalg.solve(x.T @ x + ridge, x.T @ target)
        return np.asarray(base + solved[0] + factors @ (implicit + solved[1:]))

    def on_scale(self, scores: Floats) -> Floats:
        """The scores, cut to the scale."""
        return np.clip(scores, *self.scale)
