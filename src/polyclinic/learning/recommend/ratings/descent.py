"""Stochastic gradient descent, compiled by numba; only training imports this.

Both functions change the arrays they are given, and go over the scores once, in the order given.
Their compiled code is cached beside the byte code of this file.
"""

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from polyclinic.learning.recommend.ratings.scores import Ids

Singles = NDArray[np.float32]


@njit(cache=True, fastmath=True)
def svd_epoch(
    order: NDArray[np.int64],
    users: Ids,
    items: Ids,
    residuals: Singles,
    user_bias: Singles,
    item_bias: Singles,
    user_factors: Singles,
    item_factors: Singles,
    rate: np.float32,
    regularisation: np.float32,
) -> None:
    """One pass over scores less their mean, `residuals`."""
    for row in order:
        u, i = users[row], items[row]
        p, q = user_factors[u], item_factors[i]
        dot = np.float32(0)
        for f in range(p.size):
            dot += p[f] * q[f]
        error = residuals[row] - user_bias[u] - item_bias[i] - dot
        user_bias[u] += rate * (error - regularisation * user_bias[u])
        item_bias[i] += rate * (error - regularisation * item_bias[i])
        for f in range(p.size):
            old = p[f]
            p[f] += rate * (error * q[f] - regularisation * old)
            q[f] += rate * (error * old - regularisation * q[f])


@njit(cache=True, fastmath=True)
def svdpp_epoch(
    order: NDArray[np.int64],
    starts: NDArray[np.int64],
    items: Ids,
    residuals: Singles,
    user_bias: Singles,
    item_bias: Singles,
    user_factors: Singles,
    item_factors: Singles,
    implicit_factors: Singles,
    rate: np.float32,
    regularisation: np.float32,
) -> None:
    """One pass, user by user in `order`; a user's scores stand between `starts`.

    Every score of a user moves the implicit factors of all that the user scored by the same step
    and shrinks them by the same share, so what they sum to can be followed score by score, and they
    themselves be moved once, at the user's end. This is exact, and takes n steps where n² are
    usual.
    """
    kept = np.float32(1) - rate * regularisation
    before = np.empty_like(user_factors[0])
    implicit = np.empty_like(before)
    for u in order:
        first, last = starts[u], starts[u + 1]
        if first == last:
            continue
        p = user_factors[u]
        norm = np.float32(1 / math.sqrt(last - first))
        before[:] = 0
        for row in range(first, last):
            y = implicit_factors[items[row]]
            for f in range(p.size):
                before[f] += y[f]
        for f in range(p.size):
            before[f] *= norm
            implicit[f] = before[f]
        for row in range(first, last):
            i = items[row]
            q = item_factors[i]
            dot = np.float32(0)
            for f in range(p.size):
                dot += (p[f] + implicit[f]) * q[f]
            error = residuals[row] - user_bias[u] - item_bias[i] - dot
            user_bias[u] += rate * (error - regularisation * user_bias[u])
            item_bias[i] += rate * (error - regularisation * item_bias[i])
            for f in range(p.size):
                pull, whole = error * q[f], p[f] + implicit[f]
                p[f] = kept * p[f] + rate * pull
                q[f] = kept * q[f] + rate * error * whole
                implicit[f] = kept * implicit[f] + rate * pull
        shrunk = np.float32(kept ** (last - first))
        for f in range(p.size):
            implicit[f] = (implicit[f] - shrunk * before[f]) * norm
        for row in range(first, last):
            y = implicit_factors[items[row]]
            for f in range(p.size):
                y[f] = shrunk * y[f] + implicit[f]
