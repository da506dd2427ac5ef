"""Steps 2 and 3: which learner, its model, and the replicates behind its intervals."""

import numpy as np
from numpy.typing import NDArray

from polyclinic.learning.effect.features import Basis, fit_basis
from polyclinic.learning.effect.learners import LEARNERS, Learner, Trial, doubly_robust, fit
from polyclinic.learning.effect.policy import policy_value, predicted_elsewhere
from polyclinic.treatment.benefit.model import BenefitModel
from polyclinic.treatment.benefit.recipe import BenefitRecipe
from polyclinic.treatment.benefit.table import Table

Floats = NDArray[np.float64]


def as_trial(
    table: Table, rows: NDArray[np.int64], basis: Basis, arms: int, *, randomised: bool
) -> Trial:
    """Some rows of a table, with the probability of each arm: by lot, or as it was observed."""
    columns, arm = basis.columns(table.x[rows]), table.arm[rows]
    share = np.bincount(arm, minlength=arms) / len(arm)
    propensity = np.tile(share, (len(arm), 1))
    if not randomised:
        propensity = _observed(columns, arm, arms)
    return Trial(columns, arm, table.outcome[rows], propensity)


def train(
    recipe: BenefitRecipe, table: Table, rows: NDArray[np.int64]
) -> tuple[BenefitModel, Learner, str]:
    """The model of the training rows, its learner, and why that one."""
    arms, randomised = len(recipe.data.arms), recipe.data.randomised
    basis = fit_basis(table.x[rows])
    trial = as_trial(table, rows, basis, arms, randomised=randomised)
    learner, why = _choose(recipe, trial)
    line = fit(learner, trial, recipe.folds, recipe.seed)
    rng = np.random.default_rng(recipe.seed)
    replicates = []
    for number in range(recipe.replicates):
        drawn = _half(trial.arm, rng)
        replicates.append(fit(learner, trial.take(drawn), recipe.folds, number))
    return (
        BenefitModel(
            basis,
            line,
            np.stack([each.intercept for each in replicates]),
            np.stack([each.weights for each in replicates]),
        ),
        learner,
        why,
    )


def _choose(recipe: BenefitRecipe, trial: Trial) -> tuple[Learner, str]:
    """The learner whose policy is worth most in other folds of the training part."""
    if recipe.model != "auto":
        return recipe.model, f"The recipe names the {recipe.model}-learner."
    scores = doubly_robust(trial, recipe.folds, recipe.seed)
    values = {}
    for learner in recipe.learners or LEARNERS:
        predicted = predicted_elsewhere(learner, trial, recipe.folds, recipe.seed)
        values[learner] = policy_value(scores, predicted.argmax(axis=1)).value.value
    best = max(values, key=values.__getitem__)
    told = ", ".join(f"{learner} {value:.4g}" for learner, value in values.items())
    return best, f"Chosen for its policy's doubly-robust value in folds of training: {told}."


def _half(arm: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Half of the patients of each arm.

    What half a sample gives spreads about what the whole gives as that does about the truth, and
    nobody is in it twice, which would mislead the choice of a penalty. Source: McCarthy 1969,
    Review of the International Statistical Institute 37:239-264.
    """
    rows = [np.flatnonzero(arm == each) for each in np.unique(arm)]
    return np.concatenate([rng.choice(own, len(own) // 2, replace=False) for own in rows])


def _observed(columns: Floats, arm: NDArray[np.int64], arms: int) -> Floats:
    """The probability of each arm (n, k) by logistic regression on the covariates."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=0.1, max_iter=1000).fit(columns, arm)
    found = np.full((len(arm), arms), 1e-6)
    found[:, model.classes_] = model.predict_proba(columns)
    return found
