"""Gradient-boosted trees (Ke et al. 2017): a model for each question and member."""

import lightgbm
import numpy as np

from polyclinic.diagnosis.records.models.settings import LightGbmSettings
from polyclinic.diagnosis.records.recipe import RecordRecipe
from polyclinic.diagnosis.records.steps.trained import Trained, questions, weights
from polyclinic.learning.prepare.dataset import Dataset
from polyclinic.learning.serve.trees import TREES_FILE


def train_trees(recipe: RecordRecipe, model: LightGbmSettings, dataset: Dataset) -> Trained:
    """The trees, as many rounds of them as were best on validation."""
    labels = 2 if dataset.multi_label else len(dataset.labels)
    files: dict[str, bytes] = {}
    trees, losses = 0, []
    asked = zip(questions(dataset.train), questions(dataset.validation), strict=True)
    for y, y_held_out in asked:
        parameters = _parameters(model, labels)
        parts = ((dataset.train, y), (dataset.validation, y_held_out))
        learnt, held_out = (
            lightgbm.Dataset(
                part.x, truth, weight=weights(recipe, part), params=parameters, free_raw_data=False
            )
            for part, truth in parts
        )
        for member in range(model.members):
            booster, loss = _grown(
                model, parameters | {"seed": recipe.seed + member}, learnt, held_out
            )
            text = booster.model_to_string(num_iteration=booster.best_iteration)
            files[TREES_FILE.format(len(files))] = text.encode()
            trees += booster.best_iteration
            losses.append(loss)
    figures = {
        "members": model.members,
        "trees": trees,
        "validation_loss": float(np.mean(losses)),
        "features": dataset.train.x.shape[1],
    }
    return Trained(files, figures)


def _parameters(model: LightGbmSettings, labels: int) -> dict[str, object]:
    asks: dict[str, object] = {"objective": "binary", "metric": "binary_logloss"}
    if labels > 2:
        asks = {"objective": "multiclass", "metric": "multi_logloss", "num_class": labels}
    return asks | {
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


def _grown(
    model: LightGbmSettings,
    parameters: dict[str, object],
    learnt: lightgbm.Dataset,
    held_out: lightgbm.Dataset,
) -> tuple[lightgbm.Booster, float]:
    """A booster, and its lowest loss on validation."""
    heard: dict[str, dict[str, list[float]]] = {}
    booster = lightgbm.train(
        parameters,
        learnt,
        model.rounds,
        valid_sets=[held_out],
        valid_names=["validation"],
        callbacks=[
            lightgbm.early_stopping(model.patience, verbose=False),
            lightgbm.record_evaluation(heard),
        ],
    )
    (losses,) = heard["validation"].values()
    return booster, min(losses)
