"""Familiarity: whether something like this was seen before.

The distance of an input's features to the nearest label's mean, under one covariance for all labels
(Lee et al. 2018, section 2.1) shrunk by Ledoit and Wolf 2004, becomes a p-value among held-out
inputs (conformal anomaly detection: Laxhammar and Falkman 2015; Bates et al. 2023).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from polyclinic.core.errors import IntegrityError, InvalidInput
from polyclinic.learning.labels import Labels, multi_label

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]


@dataclass(frozen=True)
class FamiliarityModel:
    """What is usual, for features of d values, in the single precision that features come in.

    center: (d,) taken from the features. whitening: (d, d) makes the covariance the identity, so
    that distance is Euclidean. means: (k, d) whitened means of the labels. distances: (m,) of the
    held-out inputs, rising.
    """

    center: Singles
    whitening: Singles
    means: Singles
    distances: Singles

    def __post_init__(self) -> None:
        d = self.center.size
        expected = ((d,), (d, d), (len(self.means), d), (self.distances.size,))
        if tuple(array.shape for array in self.to_arrays().values()) != expected:
            raise IntegrityError("The familiarity arrays do not fit together.")

    def p_values(self, features: ArrayLike) -> Floats:
        """How usual each row of features (n, d) is: p-values (n,), in NumPy alone.

        (1 + held-out inputs at least as far) / (m + 1); so the least is 1 / (m + 1), which a row
        with a value that is not finite gets.
        """
        m = len(self.distances)
        nearer = np.searchsorted(self.distances, self.distance(features), side="left")
        return np.asarray((1.0 + m - nearer) / (m + 1.0))

    def distance(self, features: ArrayLike) -> Singles:
        """Squared Mahalanobis distance (n,) of features (n, d) to the nearest label's mean."""
        with np.errstate(invalid="ignore", over="ignore"):
            x = (np.asarray(features, dtype=np.float32) - self.center) @ self.whitening
            away = x[:, None] - self.means
            nearest: Singles = np.einsum("nkd,nkd->nk", away, away).min(axis=1)
        nearest[np.isnan(nearest)] = np.inf
        return nearest

    def to_arrays(self) -> dict[str, Singles]:
        """The model as named arrays, to be stored."""
        arrays = {
            "center": self.center,
            "whitening": self.whitening,
            "means": self.means,
            "distances": self.distances,
        }
        # safetensors writes an array in any other order wrongly, and says nothing.
        return {name: np.ascontiguousarray(array) for name, array in arrays.items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.floating]]) -> "FamiliarityModel":
        """The model from stored arrays. Raises `IntegrityError` where they do not fit together."""
        try:
            names = ("center", "whitening", "means", "distances")
            return cls(*(np.asarray(arrays[name], dtype=np.float32) for name in names))
        except KeyError as missing:
            raise IntegrityError(f"The familiarity array {missing} is missing.") from None


def fit_familiarity(
    train_features: ArrayLike, train_y: Labels, held_out_features: ArrayLike
) -> FamiliarityModel:
    """Learn what is usual from training features (n, d) with labels (n,), and held-out ones (m, d).

    Multi-label data, with labels (n, k) bool, has one mean for all: it has as many kinds of input
    as sets of labels. The held-out inputs must not have trained the features. A feature that is
    constant in training is kept: one that moves later is a sign of the unfamiliar. Raises
    `InvalidInput` where features are not finite, or there is no held-out input.
    """
    from sklearn.covariance import ledoit_wolf

    train = np.asarray(train_features, dtype=np.float64)
    held_out = np.asarray(held_out_features, dtype=np.float64)
    for part, features in (("train", train), ("held-out", held_out)):
        if len(features) == 0 or not np.isfinite(features).all():
            raise InvalidInput(
                "Familiarity needs at least one example, and features that are finite.",
                where=f"{part} features",
                remedy="Look for a diverged training run, or for inputs that are not finite.",
            )
    kinds = np.zeros(len(train), dtype=np.int64) if multi_label(train_y) else train_y
    labels, index = np.unique(kinds, return_inverse=True)
    means = np.stack([train[index == i].mean(axis=0) for i in range(len(labels))])
    residuals = train - means[index]
    scale = _scale(train, residuals)
    covariance, _ = ledoit_wolf(residuals / scale, assume_centered=True)
    whitening = _inverse_root(covariance) / scale[:, None]
    center = train.mean(axis=0)
    usual = FamiliarityModel(
        center.astype(np.float32),
        whitening.astype(np.float32),
        ((means - center) @ whitening).astype(np.float32),
        np.empty(0, dtype=np.float32),
    )
    return replace(usual, distances=np.sort(usual.distance(held_out)))


def _scale(train: Floats, residuals: Floats) -> Floats:
    """Each feature's spread within labels (d,); a constant one gets the others' median.

    Shrinkage pulls all variances together, so features must first be brought to one scale.
    """
    spread: Floats = residuals.std(axis=0)
    varies = spread > 1e-7 * np.abs(train).max(axis=0)
    return np.where(varies, spread, np.median(spread[varies]) if varies.any() else 1.0)


def _inverse_root(covariance: Floats) -> Floats:
    """A matrix W (d, d) with W @ W.T the inverse of the covariance, bounded where it is flat."""
    values, vectors = np.linalg.eigh(covariance)
    floor = max(1e-6 * float(values.mean()), float(np.finfo(np.float32).tiny))
    root: Floats = vectors / np.sqrt(np.maximum(values, floor))
    return root
