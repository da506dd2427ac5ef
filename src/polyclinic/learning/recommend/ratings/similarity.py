"""Correlation of what stands beyond the baselines, less where it rests on few common scores."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

TINY = np.float32(1e-12)


def shrunk_correlations(
    products: NDArray[Any],
    own: NDArray[Any],
    theirs: NDArray[Any],
    common: NDArray[Any],
    shrinkage: np.float32,
) -> NDArray[Any]:
    """Similarities from sums over common scores: of products, of squares of each, and their number.

    Koren 2010, "Factor in the Neighbors", section 2.2, equation 2, with n - 1 for n, so that one
    common score says nothing. Training compiles this, serving does not.
    """
    degrees = np.maximum(common - np.float32(1), np.float32(0))
    trust = degrees / (degrees + shrinkage + TINY)
    similar: NDArray[Any] = trust * products / (np.sqrt(own * theirs) + TINY)
    return similar
