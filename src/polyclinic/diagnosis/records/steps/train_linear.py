"""Logistic regression, and the prevalence: the dull baseline."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from polyclinic.diagnosis.records.models.linear import (
    LINEAR_FILE,
    Doubles,
    Linear,
    standardised,
    usual_values,
)
from polyclinic.diagnosis.records.models.settings import LogisticSettings
from polyclinic.diagnosis.records.recipe import RecordRecipe
from polyclinic.diagnosis.records.steps.trained import Trained, questions, weights
from polyclinic.learning.prepare.dataset import Dataset, Part


@dataclass(frozen=True)
class _Fit:
    """One question's fit: loss on validation, inverse penalty, weights (c, d), intercept (c,)."""

    loss: float
    strength: float
    weights: Doubles
    intercept: Doubles


def train_logistic(recipe: RecordRecipe, model: LogisticSettings, dataset: Dataset) -> Trained:
    """Logistic regression; each question's penalty is the best on validation."""
    median, scale = usual_values(dataset.train.x)
    parts = [(part, standardised(part.x, median, scale)) for part in _two(dataset)]
    asked = zip(*(questions(part) for part, _ in parts), strict=True)
    fits = [_fit(recipe, model, parts, ys) for ys in asked]
    fitted = Linear(
        median,
        scale,
        np.concatenate([fit.weights for fit in fits]).T,
        np.concatenate([fit.intercept for fit in fits]),
    )
    figures = {
        "inverse_penalty": float(np.median([fit.strength for fit in fits])),
        "validation_loss": float(np.mean([fit.loss for fit in fits])),
        "features": len(median),
    }
    return Trained({LINEAR_FILE: fitted.to_file()}, figures)


def _fit(
    recipe: RecordRecipe,
    model: LogisticSettings,
    parts: list[tuple[Part, Doubles]],
    ys: tuple[NDArray[np.int64], ...],
) -> _Fit:
    (train, z), (held_out, z_out) = parts
    weight, weight_out = weights(recipe, train), weights(recipe, held_out)
    fits = []
    # From the strongest penalty on, each begun where the one before ended.
    regression = LogisticRegression(warm_start=True, max_iter=1000, random_state=recipe.seed)
    for strength in sorted(model.strengths):
        regression.set_params(C=strength).fit(z, ys[0], weight)
        loss = log_loss(
            ys[1],
            regression.predict_proba(z_out),
            sample_weight=weight_out,
            labels=regression.classes_,
        )
        fits.append(_Fit(loss, strength, regression.coef_.copy(), regression.intercept_.copy()))
    return min(fits, key=lambda fit: fit.loss)


def count(recipe: RecordRecipe, dataset: Dataset) -> Trained:
    """How frequent each label is in training."""
    part, held_out = _two(dataset)
    features, labels = part.x.shape[1], len(dataset.labels)
    shares = np.average(part.truth(labels), axis=0, weights=weights(recipe, part))
    # What training never showed is rare, not impossible.
    shares = np.clip(shares, 0.5 / len(part), 1 - 0.5 / len(part))
    truth = held_out.truth(labels)
    if dataset.multi_label or labels == 2:
        scores = np.log(shares / (1 - shares))
        scores = scores if dataset.multi_label else scores[1:]
        losses = -(truth * np.log(shares) + ~truth * np.log(1 - shares)).mean(axis=1)
    else:
        scores = np.log(shares)
        losses = -(truth * np.log(shares)).sum(axis=1)
    dull = Linear(np.zeros(features), np.ones(features), np.zeros((features, len(scores))), scores)
    loss = float(np.average(losses, weights=weights(recipe, held_out)))
    return Trained({LINEAR_FILE: dull.to_file()}, {"validation_loss": loss, "features": features})


def _two(dataset: Dataset) -> tuple[Part, Part]:
    return dataset.train, dataset.validation
