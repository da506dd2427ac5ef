"""Similarities of all pairs over what they have in common, compiled by numba; only training does.

The compiled code is cached beside the byte code of this file.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from polyclinic.learning.recommend.ratings.scores import Ids
from polyclinic.learning.recommend.ratings.similarity import shrunk_correlations

Singles = NDArray[np.float32]

compiled_correlations = njit(cache=True)(shrunk_correlations)


@njit(cache=True, fastmath=True)
def similarities(
    starts: NDArray[np.int64],
    others: Ids,
    residuals: Singles,
    other_starts: NDArray[np.int64],
    alike: Ids,
    other_residuals: Singles,
    shrinkage: np.float32,
) -> Singles:
    """Shrunk correlations (n, n), 0 of one with itself, of `n` whose residuals are grouped twice.

    By those who are to be alike (`starts`, `others`, `residuals`) and by the others
    (`other_starts`, `alike` ascending, `other_residuals`).
    """
    n = starts.size - 1
    similar = np.zeros((n, n), dtype=np.float32)
    products = np.empty(n, dtype=np.float32)
    own, theirs, common = np.empty_like(products), np.empty_like(products), np.empty_like(products)
    for a in range(n):
        for sums in (products, own, theirs, common):
            sums[:] = 0
        for row in range(starts[a], starts[a + 1]):
            other, first = others[row], residuals[row]
            square = first * first
            for column in range(other_starts[other + 1] - 1, other_starts[other] - 1, -1):
                b = alike[column]
                if b <= a:
                    break
                second = other_residuals[column]
                products[b] += first * second
                own[b] += square
                theirs[b] += second * second
                common[b] += 1
        after = slice(a + 1, n)
        similar[a, after] = compiled_correlations(
            products[after], own[after], theirs[after], common[after], shrinkage
        )
        similar[after, a] = similar[a, after]
    return similar
