"""What k nearest neighbours learn: baselines, and how alike users or items are.

Koren 2010, "Factor in the Neighbors", section 2.2, equation 3.
"""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from polyclinic.core.errors import InvalidInput
from polyclinic.learning.recommend.ratings.baselines import one_users_bias, taken
from polyclinic.learning.recommend.ratings.scores import Floats, Grouped, Ids, one_users
from polyclinic.learning.recommend.ratings.similarity import shrunk_correlations
from polyclinic.learning.recommend.ratings.stored import Stored

Singles = NDArray[np.float32]
A = TypeVar("A")


@dataclass(frozen=True)
class Neighbours(Stored):
    """A score is its baseline and the mean of what the nearest neighbours are beyond theirs.

    Neighbours are items that the same user scored or, where `user_based` () is true, users who
    scored the same item; of them at most `neighbours` (), those most alike, with a similarity above
    zero by which they are weighed. `similar` (n, n) float32 is between items or users, 0 of one
    to itself. Every score stays in the model, less its baseline: `residuals`, with their `partners`
    (the items or users that are neighbours), those of user or item `k` between `starts[k]`
    and `starts[k + 1]`. `mean` () and `scale` (2,), `user_bias` (n_users,) and `item_bias`
    (n_items,) are float64. Raises `InvalidInput` where shapes do not fit.
    """

    mean: Floats
    user_bias: Floats
    item_bias: Floats
    similar: Singles
    starts: NDArray[np.int64]
    partners: Ids
    residuals: Singles
    user_based: NDArray[np.bool_]
    neighbours: NDArray[np.int64]
    shrinkage: Floats
    scale: Floats

    def __post_init__(self) -> None:
        alike, other = self._axes(self.user_bias, self.item_bias)
        shapes = {
            "similar": (alike.size, alike.size),
            "starts": (other.size + 1,),
            "partners": (int(self.starts[-1]),),
            "residuals": (int(self.starts[-1]),),
            "scale": (2,),
        }
        for name, right in shapes.items():
            if getattr(self, name).shape != right:
                raise InvalidInput("The arrays of a model do not fit together.", where=name)

    def predict(self, users: ArrayLike, items: ArrayLike) -> Floats:
        """The scores of pairs (n,), on the scale.

        For an unknown user or item, any number that is no row here, the baseline speaks alone. The
        user's own score of the very item, where there is one, does not count.
        """
        u, i = np.broadcast_arrays(np.atleast_1d(users), np.atleast_1d(items))
        found = self.mean + taken(self.user_bias, u) + taken(self.item_bias, i)
        known = (u >= 0) & (u < self.user_bias.size) & (i >= 0) & (i < self.item_bias.size)
        alike, other = self._axes(u, i)
        pairs = np.flatnonzero(known)
        pairs = pairs[np.argsort(other[pairs], kind="stable")]
        cuts = np.flatnonzero(np.diff(other[pairs])) + 1
        for part in np.split(pairs, cuts) if pairs.size else ():
            found[part] += self._beyond(alike[part], *self._grouped.of(other[part[0]]))
        return self.on_scale(found)

    def scores(self, users: ArrayLike) -> Floats:
        """The scores of users (m,) for all items, (m, n_items), to rank by: not cut to the scale.

        An unknown user gets the items' baselines.
        """
        rows = np.atleast_1d(users)
        found = self.mean + taken(self.user_bias, rows)[:, None] + self.item_bias
        known = np.flatnonzero((rows >= 0) & (rows < self.user_bias.size))
        if self.user_based:
            for item in range(self.item_bias.size):
                found[known, item] += self._beyond(rows[known], *self._grouped.of(item))
        else:
            every = np.arange(self.item_bias.size)
            for k in known:
                found[k] += self._beyond(every, *self._grouped.of(rows[k]))
        return found

    def fold_in(self, items: ArrayLike, values: ArrayLike) -> Floats:
        """The scores of a user who was not there in training for all items, (n_items,), to rank by.

        `items` (k,) and `values` (k,) are the user's own scores; those of unknown items are left
        out, and with none the items' baselines speak. By items, it is as if the user had been in
        training. Raises `InvalidInput` as `Ratings` does.
        """
        low, high = self.scale.tolist()
        rows, own = one_users(items, values, self.item_bias.size, (low, high))
        base = self.mean + self.item_bias
        bias = one_users_bias(own - base[rows])
        residuals = (own - base[rows] - bias).astype(np.float32)
        found = base + bias
        if not self.user_based:
            return found + self._beyond(np.arange(base.size), rows, residuals)
        alike = self._likeness(rows, residuals)
        for item in range(base.size):
            others, theirs = self._grouped.of(item)
            found[item] += _weighed(alike[None, others], theirs, int(self.neighbours))[0]
        return found

    def on_scale(self, scores: Floats) -> Floats:
        """The scores, cut to the scale."""
        return np.clip(scores, *self.scale)

    @property
    def _grouped(self) -> Grouped:
        return Grouped(self.starts, self.partners, self.residuals)

    def _axes(self, of_users: A, of_items: A) -> tuple[A, A]:
        """What is alike to each other, and the other."""
        return (of_users, of_items) if self.user_based else (of_items, of_users)

    def _beyond(self, rows: NDArray[np.intp], partners: Ids, residuals: Singles) -> Floats:
        """What neighbours among `partners` say beyond the baselines of `rows`."""
        return _weighed(self.similar[np.ix_(rows, partners)], residuals, int(self.neighbours))

    def _likeness(self, items: Ids, residuals: Singles) -> Singles:
        """The similarity of a new user to every user."""
        products, own, theirs, common = np.zeros((4, self.user_bias.size), dtype=np.float32)
        for item, residual in zip(items, residuals, strict=True):
            users, others = self._grouped.of(item)
            products[users] += residual * others
            own[users] += residual**2
            theirs[users] += others**2
            common[users] += 1
        return shrunk_correlations(products, own, theirs, common, np.float32(self.shrinkage))


def _weighed(similar: Singles, residuals: Singles, k: int) -> Floats:
    """Means of `residuals` (n,), weighed by the k greatest of each row of `similar` (m, n)."""
    weights = np.maximum(similar, 0)
    if weights.shape[1] > k:
        nearest = np.argpartition(-weights, k - 1, axis=1)[:, :k]
        weights, residuals = np.take_along_axis(weights, nearest, axis=1), residuals[nearest]
    sums = weights.sum(axis=1, dtype=np.float64)
    total = (weights * residuals).sum(axis=1, dtype=np.float64)
    means: Floats = np.divide(total, sums, out=np.zeros_like(sums), where=sums > 0)
    return means
