"""Sets that hold, on average, a stated share of what is true.

Conformal risk control (Angelopoulos, Bates, Fisch, Lei and Schuster 2022, theorem 1) with the share
of true labels that a set misses as the risk.
"""

import numpy as np
from numpy.typing import NDArray

from polyclinic.core.errors import InvalidInput
from polyclinic.core.frozen import Frozen
from polyclinic.core.prediction import Fraction

Floats = NDArray[np.float64]


class RiskControl(Frozen):
    """Labels that score at least `threshold` are in the set; `coverage` is the share it promises.

    The promise is the mean over patients, exchangeable with those it was calibrated on.
    """

    coverage: Fraction
    threshold: float

    def sets(self, scores: NDArray[np.floating]) -> NDArray[np.bool_]:
        """Which of the labels are in the set of each input (n, k)."""
        return np.asarray(scores >= self.threshold)


def fit_risk_control(
    scores: NDArray[np.floating],
    truth: NDArray[np.bool_],
    whose: NDArray[np.generic],
    coverage: float,
) -> RiskControl:
    """The highest threshold on scores (n, k) that keeps the promise, of labels truth (n, k).

    whose: (n,) the patient of each input; patients, not inputs, are exchangeable, and each counts
    once. An input without a true label counts as wholly covered. Raises `InvalidInput` where there
    are too few patients to promise that much.
    """
    patients, patient = np.unique(whose, return_inverse=True)
    n = len(patients)
    allowed = ((n + 1) * (1 - coverage) - 1) / n if n else -1.0
    if allowed < 0:
        raise InvalidInput(
            f"{n} patients are too few to promise a coverage of {coverage:.0%}.",
            where="coverage",
            remedy="Give more patients to calibrate with, or promise less.",
        )
    row, label = np.nonzero(truth)
    if not len(row):
        raise InvalidInput("No input has a true label.", where="coverage")
    inputs = np.bincount(patient, minlength=n)[patient]
    share = 1 / (n * inputs[row] * truth.sum(axis=1)[row])
    found = np.asarray(scores[row, label], dtype=np.float64)
    order = np.argsort(found, kind="stable")
    # How much is missed when a true label of this rank, and all below it, are.
    missed = np.cumsum(share[order])
    kept = int(np.searchsorted(missed, allowed, side="right"))
    threshold = found[order[kept]] if kept < len(found) else np.inf
    return RiskControl(coverage=coverage, threshold=float(threshold))


def covered(sets: NDArray[np.bool_], truth: NDArray[np.bool_]) -> Floats:
    """The share of each input's true labels that is in its set (n,); NaN where it has none."""
    true = truth.sum(axis=1)
    with np.errstate(invalid="ignore"):
        return np.asarray((sets & truth).sum(axis=1) / np.where(true, true, np.nan))
