"""Fitted filters, in NumPy alone: from what users had to scores of every item.

Users here are new to the filter, known by what they had, so that no row of a user is kept.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from polyclinic.core.errors import IntegrityError

Floats = NDArray[np.float32]
Arrays = dict[str, NDArray[np.generic]]


class Filter(Protocol):
    """Scores items for users (n, m) by what they had, of which anything above 0 counts."""

    def scores(self, history: Floats) -> Floats:
        """Scores (n, m), higher for what is likelier had."""
        ...

    def arrays(self) -> Arrays:
        """To be stored."""
        ...


@dataclass(frozen=True)
class LeastSquares:
    """Factors (m, f) of alternating least squares, how a user's are found, and its confidence.

    Source: Hu, Koren and Volinsky 2008, Collaborative filtering for implicit feedback datasets,
    equation 4: x = (Y'Y + Y'(C - I)Y + λI)^-1 Y'Cp, with confidence c for what was had, else 1.
    """

    factors: Floats
    regularisation: float
    confidence: float

    def scores(self, history: Floats) -> Floats:
        """The user's factors by the closed form, times the items'."""
        y = self.factors
        f = y.shape[1]
        whole = y.T @ y + self.regularisation * np.eye(f, dtype=np.float32)
        had = history > 0
        users = np.empty((len(history), f), np.float32)
        for row, own in enumerate(had):
            mine = y[own]
            left = whole + (self.confidence - 1) * (mine.T @ mine)
            users[row] = np.linalg.solve(left, self.confidence * mine.sum(axis=0))
        return np.asarray(users @ y.T, np.float32)

    def arrays(self) -> Arrays:
        """To be stored."""
        settings = np.array([self.regularisation, self.confidence])
        return {"factors": np.ascontiguousarray(self.factors), "settings": settings}


@dataclass(frozen=True)
class PairwiseRanking:
    """Factors (m, f) and biases (m,) of Bayesian personalised ranking (Rendle et al. 2009).

    A new user's factors are what least squares with a ridge of `regularisation` gives for 1 of what
    was had and 0 of the rest, the biases left out: the method itself has no closed form for one.
    """

    factors: Floats
    biases: Floats
    regularisation: float

    def scores(self, history: Floats) -> Floats:
        """The user's factors times the items', and the biases."""
        y = self.factors
        left = y.T @ y + self.regularisation * np.eye(y.shape[1], dtype=np.float32)
        users = np.linalg.solve(left, y.T @ (history > 0).astype(np.float32).T).T
        return np.asarray(users @ y.T * np.sqrt(y.shape[1]) + self.biases, np.float32)

    def arrays(self) -> Arrays:
        """To be stored."""
        return {
            "factors": np.ascontiguousarray(self.factors),
            "biases": np.ascontiguousarray(self.biases),
            "settings": np.array([self.regularisation]),
        }


@dataclass(frozen=True)
class ItemNeighbours:
    """How alike items are (m, m), of each only the nearest; none is like itself.

    Source: Deshpande and Karypis 2004, Item-based top-N recommendation algorithms.
    """

    alike: Floats

    def scores(self, history: Floats) -> Floats:
        """The likeness of each item to those had, summed; of what was had, to itself as well."""
        had = (history > 0).astype(np.float32)
        return np.asarray(had @ self.alike, np.float32)

    def arrays(self) -> Arrays:
        """To be stored."""
        return {"alike": np.ascontiguousarray(self.alike)}


def load_filter(name: str, arrays: Mapping[str, NDArray[np.generic]]) -> Filter:
    """The filter of stored arrays: `als`, `bpr` or `item_knn`.

    Raises `IntegrityError` where they are not those of such a filter.
    """
    try:
        stored = {key: np.asarray(array, np.float32) for key, array in arrays.items()}
        if not all(np.isfinite(array).all() for array in stored.values()):
            raise IntegrityError("The filter holds what is no number.")
        if name == "item_knn":
            alike = stored["alike"]
            return ItemNeighbours(alike.reshape(len(alike), len(alike)))
        factors, settings = stored["factors"], np.asarray(arrays["settings"], np.float64).tolist()
        items, _ = factors.shape
        if name == "als":
            regularisation, confidence = settings
            return LeastSquares(factors, regularisation, confidence)
        (regularisation,) = settings
        return PairwiseRanking(factors, stored["biases"].reshape(items), regularisation)
    except (KeyError, ValueError) as error:
        raise IntegrityError(f"The arrays are not those of {name}: {error}.") from None
