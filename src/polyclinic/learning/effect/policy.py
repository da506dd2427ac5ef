"""What choosing an arm by predicted outcomes is worth, and whether the predictions are right.

All from doubly-robust scores (n, k) of patients who had no say in the policy that is judged.
Source: Athey and Wager 2021, Policy learning with observational data, Econometrica 89:133-161.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from polyclinic.core.evaluation import Estimate
from polyclinic.learning.effect.learners import Learner, Trial, doubly_robust, fit, parts

Floats = NDArray[np.float64]
_Z = 1.959964


class PolicyValue(NamedTuple):
    """value: the mean outcome under the policy. over: what it has over each fixed arm."""

    value: Estimate
    over: tuple[Estimate, ...]


class Group(NamedTuple):
    """Patients of like predicted benefit: how much was predicted, and found."""

    predicted: float
    observed: Estimate
    patients: int


def predicted_elsewhere(learner: Learner, trial: Trial, folds: int = 5, seed: int = 0) -> Floats:
    """Predicted outcomes (n, k) by models that have not seen the patient."""
    fold = parts(len(trial.arm), trial.arm, folds, seed)
    predicted = np.empty_like(trial.propensity)
    for number in range(folds):
        line = fit(learner, trial.take(np.flatnonzero(fold != number)), folds, seed)
        predicted[fold == number] = line.predict(trial.columns[fold == number])
    return predicted


def policy_value(scores: Floats, chosen: NDArray[np.int64]) -> PolicyValue:
    """The value of giving each patient the arm `chosen` (n,)."""
    own = scores[np.arange(len(scores)), chosen]
    return PolicyValue(mean(own), tuple(mean(own - other) for other in scores.T))


def calibration(benefit: Floats, observed: Floats, groups: int = 5) -> tuple[list[Group], Estimate]:
    """Groups by predicted benefit (n,), and the slope of what was found (n,) on it.

    A slope of 1 is right; near 0 the prediction tells nobody apart (Chernozhukov et al. 2018, best
    linear predictor). The interval is from heteroskedasticity-robust errors (White 1980).
    """
    order = np.argsort(benefit, kind="stable")
    found = [
        Group(float(benefit[rows].mean()), mean(observed[rows]), len(rows))
        for rows in np.array_split(order, groups)
    ]
    away = benefit - benefit.mean()
    spread = float((away**2).sum())
    if spread < 1e-12:
        return found, Estimate(value=0.0, low=0.0, high=0.0)
    slope = float((away * observed).sum() / spread)
    residual = observed - observed.mean() - slope * away
    error = float(np.sqrt(((away * residual) ** 2).sum()) / spread)
    return found, Estimate(value=slope, low=slope - _Z * error, high=slope + _Z * error)


def mean(values: Floats) -> Estimate:
    """The mean with its 95% interval, by the central limit theorem."""
    value = float(values.mean())
    error = float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else np.inf
    return Estimate(value=value, low=value - _Z * error, high=value + _Z * error)


__all__ = [
    "Group",
    "PolicyValue",
    "calibration",
    "doubly_robust",
    "mean",
    "policy_value",
    "predicted_elsewhere",
]
