"""A linear model of standardised features; without any weight it tells the prevalence alone."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray

from polyclinic.core.errors import IntegrityError
from polyclinic.diagnosis.records.features import Floats

LINEAR_FILE = "linear.safetensors"
#: A standardised value further out counts as this: one odd laboratory value decides nothing alone.
FARTHEST = 5.0

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Linear:
    """scores = intercept + standardised features · weights; a missing one counts as the median.

    median, scale: (d,). weights: (d, c). intercept: (c,).
    """

    median: Doubles
    scale: Doubles
    weights: Doubles
    intercept: Doubles

    def scores(self, x: Floats) -> Doubles:
        """The scores (n, c) of features (n, d)."""
        return np.asarray(standardised(x, self.median, self.scale) @ self.weights + self.intercept)

    def contributions(self, x: Floats) -> Doubles:
        """What each feature adds to the scores (n, c, d), against its median."""
        z = standardised(x, self.median, self.scale)
        return np.asarray(z[:, None, :] * self.weights.T)

    def to_file(self) -> bytes:
        """The model as safetensors."""
        return safetensors.numpy.save(
            {name: np.ascontiguousarray(array) for name, array in vars(self).items()}
        )

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]], features: int) -> "Linear":
        """The model from stored arrays. Raises `IntegrityError` where they do not fit."""
        try:
            names = ("median", "scale", "weights", "intercept")
            found = [np.asarray(arrays[name], dtype=np.float64) for name in names]
        except KeyError as missing:
            raise IntegrityError(f"The linear model's array {missing} is missing.") from None
        c = len(found[3])
        if [array.shape for array in found] != [(features,), (features,), (features, c), (c,)]:
            raise IntegrityError("The linear model's arrays do not fit the features.")
        return cls(*found)


def usual_values(x: Floats) -> tuple[Doubles, Doubles]:
    """Median and standard deviation of each feature (d,), of (n, d) with NaN where unknown.

    A feature that is never known has median 0; one that does not vary has deviation 1.
    """
    known = np.isfinite(x).any(axis=0)
    median, scale = np.zeros(x.shape[1]), np.ones(x.shape[1])
    median[known] = np.nanmedian(x[:, known], axis=0)
    scale[known] = np.nanstd(x[:, known].astype(np.float64), axis=0)
    scale[scale <= 1e-7 * np.maximum(1.0, np.abs(median))] = 1.0
    return median, scale


def standardised(x: Floats, median: Doubles, scale: Doubles) -> Doubles:
    """Features (n, d) less their median, in standard deviations; 0 where unknown."""
    z = np.nan_to_num((x - median) / scale, nan=0.0)
    return np.asarray(np.clip(z, -FARTHEST, FARTHEST))
