"""Steps 2 and 3: build the recipe's model and fit it; validation decides when to stop."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from polyclinic.diagnosis.records.models import Linear
from polyclinic.diagnosis.records.models.linear import LINEAR_FILE, standardised, usual_values
from polyclinic.diagnosis.records.models.trees import TREES_FILE
from polyclinic.diagnosis.records.recipe import (
    LightGbmSettings,
    LogisticSettings,
    PrevalenceSettings,
    RecordRecipe,
)
from polyclinic.diagnosis.records.records import AFTER, HOURS
from polyclinic.learning.prepare.dataset import Dataset, Part


@dataclass(frozen=True)
class Trained:
    """A fitted model as the files that serve it, and figures of its training."""

    files: dict[str, bytes]
    figures: dict[str, float]


def train(recipe: RecordRecipe, dataset: Dataset) -> Trained:
    """The recipe's model, fitted to the training part; the same recipe and data give the same."""
    if isinstance(recipe.model, LightGbmSettings):
        return _train_trees(recipe, recipe.model, dataset)
    if isinstance(recipe.model, LogisticSettings):
        return _train_logistic(recipe, recipe.model, dataset)
    return _count(recipe, recipe.model, dataset)


def weights(recipe: RecordRecipe, part: Part) -> NDArray[np.float64]:
    """How much each example of a part counts (n,)."""
    hours = part.subgroups.get(HOURS)
    if hours is None:
        return np.ones(len(part))
    return np.where(hours == AFTER, recipe.after_onset, 1.0)


def _train_trees(recipe: RecordRecipe, model: LightGbmSettings, dataset: Dataset) -> Trained:
    import lightgbm

    parameters = {
        "objective": "binary",
        "metric": "binary_logloss",
        "learning_rate": model.learning_rate,
        "num_leaves": model.leaves,
        "min_data_in_leaf": model.min_rows,
        "feature_fraction": model.feature_share,
        "bagging_fraction": model.row_share,
        "bagging_freq": 1,
        "lambda_l2": model.l2,
        "max_bin": model.bins,
        "num_threads": model.threads,
        "deterministic": True,
        "force_row_wise": True,
        "verbose": -1,
    }
    parts = dataset.train, dataset.validation
    learnt, held_out = (
        lightgbm.Dataset(
            part.x, part.y, weight=weights(recipe, part), params=parameters, free_raw_data=False
        )
        for part in parts
    )
    files, trees, losses = {}, 0, []
    for member in range(model.members):
        heard: dict[str, dict[str, list[float]]] = {}
        booster = lightgbm.train(
            parameters | {"seed": recipe.seed + member},
            learnt,
            model.rounds,
            valid_sets=[held_out],
            valid_names=["validation"],
            callbacks=[
                lightgbm.early_stopping(model.patience, verbose=False),
                lightgbm.record_evaluation(heard),
            ],
        )
        text = booster.model_to_string(num_iteration=booster.best_iteration)
        files[TREES_FILE.format(member)] = text.encode()
        trees += booster.best_iteration
        losses.append(min(heard["validation"]["binary_logloss"]))
    figures = {
        "members": model.members,
        "trees": trees,
        "validation_loss": float(np.mean(losses)),
        "features": dataset.train.x.shape[1],
    }
    return Trained(files, figures)


def _train_logistic(recipe: RecordRecipe, model: LogisticSettings, dataset: Dataset) -> Trained:
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import log_loss

    median, scale = usual_values(dataset.train.x)
    z = standardised(dataset.train.x, median, scale)
    held_out = standardised(dataset.validation.x, median, scale)
    weight, weight_out = weights(recipe, dataset.train), weights(recipe, dataset.validation)
    fits = []
    # From the strongest penalty on, each begun where the one before ended.
    regression = LogisticRegression(warm_start=True, max_iter=1000, random_state=recipe.seed)
    for strength in sorted(model.strengths):
        regression.set_params(C=strength).fit(z, dataset.train.y, weight)
        loss = log_loss(
            dataset.validation.y, regression.predict_proba(held_out), sample_weight=weight_out
        )
        fits.append((loss, strength, regression.coef_[0].copy(), regression.intercept_.copy()))
    loss, strength, coefficients, intercept = min(fits, key=lambda fit: fit[0])
    fitted = Linear(median, scale, coefficients, intercept)
    return Trained(
        {LINEAR_FILE: fitted.to_file()},
        {"inverse_penalty": strength, "validation_loss": loss, "features": len(median)},
    )


def _count(recipe: RecordRecipe, _: PrevalenceSettings, dataset: Dataset) -> Trained:
    weight, features = weights(recipe, dataset.train), dataset.train.x.shape[1]
    share = float(np.average(dataset.train.y, weights=weight))
    log_odds = np.array([np.log(share / (1 - share))])
    dull = Linear(np.zeros(features), np.ones(features), np.zeros(features), log_odds)
    return Trained({LINEAR_FILE: dull.to_file()}, {"prevalence": share, "features": features})
