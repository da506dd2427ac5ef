"""Ridge regression, its penalty chosen by generalised cross-validation."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

PENALTIES = np.logspace(-1, 6, 22)


class Line(NamedTuple):
    """intercept + columns @ weights; weights (p,), or (p, q) of q outcomes."""

    intercept: Floats
    weights: Floats

    def predict(self, columns: Floats) -> Floats:
        """Outcomes (n,), or (n, q), of columns (n, p)."""
        return np.asarray(columns @ self.weights + self.intercept)


def fit_ridge(columns: Floats, y: Floats) -> Line:
    """The line of least penalised squares of y (n,).

    Source: Golub, Heath and Wahba 1979, Technometrics 21:215-223.
    """
    center, level = columns.mean(axis=0), float(y.mean())
    u, s, vt = np.linalg.svd(columns - center, full_matrices=False)
    z = u.T @ (y - level)
    shrink = s[:, None] ** 2 / (s[:, None] ** 2 + PENALTIES)
    residual = ((y - level) ** 2).sum() - (z**2).sum() + ((z[:, None] * (1 - shrink)) ** 2).sum(0)
    freedom = len(y) - 1 - shrink.sum(axis=0)
    score = residual / np.maximum(freedom, 1e-9) ** 2
    best = PENALTIES[int(np.argmin(np.where(freedom > 0.5, score, np.inf)))]
    weights = vt.T @ (z * s / (s**2 + best))
    return Line(np.asarray(level - center @ weights), weights)
