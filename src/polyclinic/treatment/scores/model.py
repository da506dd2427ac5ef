"""What is served: expected scores of every treatment for a patient with some scores of its own."""

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from polyclinic.learning.recommend.ratings.baselines import fit_baselines
from polyclinic.learning.recommend.ratings.factors import Factors
from polyclinic.learning.recommend.ratings.scores import Ratings
from polyclinic.learning.recommend.ratings.svd import SvdSettings
from polyclinic.treatment.scores.recipe import Knn, Mean, OneModel, Svd

Floats = NDArray[np.float64]

MODEL_FILE = "scores.safetensors"


class FoldsIn(Protocol):
    """A model that answers for a patient it has never seen."""

    def fold_in(self, items: ArrayLike, values: ArrayLike) -> Floats:
        """Expected scores (m,) for one who gave `items` the `values`, which may be none."""
        ...

    def on_scale(self, scores: Floats) -> Floats:
        """Scores cut to the scale."""
        ...


def fit(model: OneModel, ratings: Ratings, seed: int) -> FoldsIn:
    """The model of training scores."""
    match model:
        case Mean():
            return _biases(ratings)
        case Svd():
            from polyclinic.learning.recommend.ratings.svd import fit as fit_svd

            return fit_svd(ratings, model.settings.model_copy(update={"seed": seed}))
        case Knn():
            from polyclinic.learning.recommend.ratings.knn import fit as fit_knn

            return fit_knn(ratings, model.settings)
        case _:
            from polyclinic.learning.recommend.ratings.svdpp import fit as fit_svdpp

            return fit_svdpp(ratings, model.settings.model_copy(update={"seed": seed}))


def _biases(ratings: Ratings) -> Factors:
    """Matrix factorisation without factors."""
    user_bias, item_bias = fit_baselines(ratings)
    return Factors(
        mean=np.asarray(ratings.mean),
        user_bias=user_bias.astype(np.float32),
        item_bias=item_bias.astype(np.float32),
        user_factors=np.zeros((ratings.n_users, 1), np.float32),
        item_factors=np.zeros((ratings.n_items, 1), np.float32),
        implicit_factors=np.zeros((0, 1), np.float32),
        regularisation=np.asarray(SvdSettings().regularisation),
        scale=np.array(ratings.scale),
    )


def without_patients(model: FoldsIn) -> dict[str, NDArray[np.generic]]:
    """The arrays of matrix factorisation to be stored: nobody's row is among them.

    Raises `TypeError` for a model that cannot do without.
    """
    if not isinstance(model, Factors):
        raise TypeError(f"{type(model).__name__} keeps rows of patients")
    arrays = dict(model.arrays())
    width = arrays["item_factors"].shape[1]
    return arrays | {
        "user_bias": np.zeros(0, np.float32),
        "user_factors": np.zeros((0, width), np.float32),
    }


def stored(arrays: Mapping[str, NDArray[np.generic]]) -> Factors:
    """The model of stored arrays. Raises `KeyError` or `InvalidInput` where they do not fit."""
    return Factors.from_arrays(arrays)
