"""T-, X- and DR-learner of what each of several arms gives to whom.

Outcomes are such that more is better. Sources: Künzel, Sekhon, Bickel and Yu 2019, Metalearners for
estimating heterogeneous treatment effects, PNAS 116:4156-4165 (T, X); Kennedy 2023, Towards optimal
doubly robust estimation of heterogeneous causal effects, Electronic Journal of Statistics 17:3008
(DR).
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from polyclinic.learning.effect.ridge import Line, fit_ridge

Floats = NDArray[np.float64]
Learner = Literal["t", "x", "dr"]

LEARNERS: tuple[Learner, ...] = ("t", "x", "dr")
#: A probability of an arm below it counts as that, so that nobody weighs without bound.
LEAST = 0.01


@dataclass(frozen=True)
class Trial:
    """n patients, of whom each was given one of k arms.

    columns: (n, p) of a basis. arm: (n,) int. outcome: (n,). propensity: (n, k) the probability of
    each arm: known where patients were randomised.
    """

    columns: Floats
    arm: NDArray[np.int64]
    outcome: Floats
    propensity: Floats

    @property
    def arms(self) -> int:
        """The number of arms k."""
        return int(self.propensity.shape[1])

    def take(self, rows: NDArray[np.int64]) -> "Trial":
        """Some of the patients."""
        return Trial(self.columns[rows], self.arm[rows], self.outcome[rows], self.propensity[rows])


def fit(learner: Learner, trial: Trial, folds: int = 5, seed: int = 0) -> Line:
    """The expected outcome of each arm: a line of k outcomes.

    Nuisances that the learner needs come from other folds than the patient's own.
    """
    if learner == "t":
        return _stack([_arm(trial, each) for each in range(trial.arms)])
    if learner == "dr":
        scores = doubly_robust(trial, folds, seed)
        return _stack([fit_ridge(trial.columns, each) for each in scores.T])
    return _x_learner(trial, folds, seed)


def doubly_robust(trial: Trial, folds: int = 5, seed: int = 0) -> Floats:
    """Each patient's score under each arm (n, k), whose mean is the arm's mean outcome.

    μ(x) + 1{given} (y - μ(x)) / e(x), with μ from other folds (Robins, Rotnitzky and Zhao 1994): it
    is right where either μ or e is.
    """
    expected = _elsewhere(trial, folds, seed)
    given = np.arange(trial.arms) == trial.arm[:, None]
    weight = given / np.maximum(trial.propensity, LEAST)
    return np.asarray(expected + weight * (trial.outcome[:, None] - expected))


def parts(n: int, arm: NDArray[np.int64], folds: int, seed: int) -> NDArray[np.int64]:
    """A fold for each patient (n,), the arms dealt out evenly."""
    order = np.random.default_rng(seed).permutation(n)
    order = order[np.argsort(arm[order], kind="stable")]
    fold = np.empty(n, np.int64)
    fold[order] = np.arange(n) % folds
    return fold


def _elsewhere(trial: Trial, folds: int, seed: int) -> Floats:
    """Expected outcomes (n, k) from models that have not seen the patient."""
    fold = parts(len(trial.arm), trial.arm, folds, seed)
    expected = np.empty_like(trial.propensity)
    for number in range(folds):
        rest = trial.take(np.flatnonzero(fold != number))
        lines = _stack([_arm(rest, each) for each in range(trial.arms)])
        expected[fold == number] = lines.predict(trial.columns[fold == number])
    return expected


def _x_learner(trial: Trial, folds: int, seed: int) -> Line:
    """Effects against the first arm, imputed in both arms and weighed by how likely each is."""
    expected = _elsewhere(trial, folds, seed)
    base = _arm(trial, 0)
    lines = [base]
    share = trial.propensity.mean(axis=0)
    for each in range(1, trial.arms):
        treated, control = trial.arm == each, trial.arm == 0
        gained = fit_ridge(trial.columns[treated], (trial.outcome - expected[:, 0])[treated])
        missed = fit_ridge(trial.columns[control], (expected[:, each] - trial.outcome)[control])
        weight = share[each] / (share[each] + share[0])
        lines.append(
            Line(
                np.asarray(
                    base.intercept + weight * missed.intercept + (1 - weight) * gained.intercept
                ),
                base.weights + weight * missed.weights + (1 - weight) * gained.weights,
            )
        )
    return _stack(lines)


def _arm(trial: Trial, each: int) -> Line:
    rows = trial.arm == each
    return fit_ridge(trial.columns[rows], trial.outcome[rows])


def _stack(lines: list[Line]) -> Line:
    return Line(
        np.array([float(line.intercept) for line in lines]),
        np.column_stack([line.weights for line in lines]),
    )
