"""Scores of users for items, the one input of every algorithm here."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from polyclinic.core.errors import InvalidInput

Ids = NDArray[np.int32]
Floats = NDArray[np.float64]
Arrays = Mapping[str, NDArray[np.generic]]


@dataclass(frozen=True)
class Ratings:
    """`n` scores: user `users[k]` gave item `items[k]` the score `values[k]`.

    `users` and `items` (n,) int32 are rows from 0 below `n_users` and `n_items`, of which some may
    have no score; `values` (n,) float32 lie on `scale`, the lowest and the highest score. A user
    scores an item once. Raises `InvalidInput` naming the first score that breaks a rule.
    """

    users: Ids
    items: Ids
    values: NDArray[np.float32]
    n_users: int
    n_items: int
    scale: tuple[float, float]

    def __post_init__(self) -> None:
        low, high = self.scale
        if not low < high:
            raise InvalidInput(f"A scale must rise; this goes from {low} to {high}.", where="scale")
        if not self.users.shape == self.items.shape == self.values.shape == (len(self),):
            raise InvalidInput("Users, items and values must be as many.", where="ratings")
        if not len(self):
            raise InvalidInput("There is no score to learn from.", where="ratings")
        _refuse((self.users < 0) | (self.users >= self.n_users), "users", "is no known user")
        _refuse((self.items < 0) | (self.items >= self.n_items), "items", "is no known item")
        on_scale = (self.values >= low) & (self.values <= high)
        _refuse(~on_scale, "values", f"is not on the scale from {low:g} to {high:g}")
        repeated = np.ones(len(self), dtype=bool)
        repeated[np.unique(self._pairs(), return_index=True)[1]] = False
        _refuse(repeated, "ratings", "repeats a user and an item; keep one score of each pair")

    def __len__(self) -> int:
        return len(self.values)

    def _pairs(self) -> NDArray[np.int64]:
        return self.users.astype(np.int64) * self.n_items + self.items

    @property
    def mean(self) -> float:
        """The mean of all scores."""
        return float(self.values.mean(dtype=np.float64))

    def of(self, rows: NDArray[np.intp]) -> "Ratings":
        """The scores of these rows, of the same users and items."""
        return Ratings(
            self.users[rows],
            self.items[rows],
            self.values[rows],
            self.n_users,
            self.n_items,
            self.scale,
        )


def _refuse(wrong: NDArray[np.bool_], where: str, what: str) -> None:
    if wrong.any():
        raise InvalidInput(f"Row {int(wrong.argmax())} {what}.", where=where)


@dataclass(frozen=True)
class Grouped:
    """Scores by one axis: those of `k` stand from `starts[k]` to `starts[k + 1]`, by `others`."""

    starts: NDArray[np.int64]
    others: Ids
    values: NDArray[np.float32]

    @classmethod
    def by(cls, keys: Ids, others: Ids, values: NDArray[np.float32], n: int) -> "Grouped":
        """The scores `values` by `keys`, which are below `n`, and within one by `others`."""
        order = np.lexsort((others, keys))
        starts = np.concatenate([[0], np.bincount(keys, minlength=n).cumsum()])
        return cls(starts, others[order], values[order])

    def of(self, key: int) -> tuple[Ids, NDArray[np.float32]]:
        """The others of a key, ascending, and their scores."""
        part = slice(self.starts[key], self.starts[key + 1])
        return self.others[part], self.values[part]


def one_users(
    items: ArrayLike, values: ArrayLike, n_items: int, scale: tuple[float, float]
) -> tuple[Ids, NDArray[np.float32]]:
    """A new user's scores (k,) of known items, checked as `Ratings` checks; none at all are fine.

    A score of an unknown item, any number that is no row, is left out: it says nothing here.
    """
    rows, scores = np.asarray(items, dtype=np.int32), np.asarray(values, dtype=np.float32)
    if rows.shape != scores.shape:
        raise InvalidInput("Items and values must be as many.", where="ratings")
    known = (rows >= 0) & (rows < n_items)
    rows, scores = rows[known], scores[known]
    if rows.size:
        Ratings(np.zeros_like(rows), rows, scores, 1, n_items, scale)
    return rows, scores
