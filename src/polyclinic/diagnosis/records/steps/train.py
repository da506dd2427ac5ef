"""Steps 2 and 3: build the recipe's model and fit it; validation decides when to stop."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from polyclinic.diagnosis.records.models.settings import (
    LightGbmSettings,
    LogisticSettings,
    PrevalenceSettings,
)
from polyclinic.diagnosis.records.recipe import RecordRecipe
from polyclinic.diagnosis.records.steps.prepare import Prepared
from polyclinic.diagnosis.records.steps.trained import Trained

if TYPE_CHECKING:  # torch is for networks alone
    from polyclinic.learning.train.checkpoint import Epoch


def train(
    recipe: RecordRecipe,
    prepared: Prepared,
    on_epoch: "Callable[[Epoch], None]" = lambda epoch: None,
) -> Trained:
    """The recipe's model, fitted to the training part; the same recipe and data give the same."""
    model, dataset = recipe.chosen, prepared.dataset
    if isinstance(model, LightGbmSettings):
        from polyclinic.diagnosis.records.steps.train_trees import train_trees

        return train_trees(recipe, model, dataset)
    if isinstance(model, LogisticSettings):
        from polyclinic.diagnosis.records.steps.train_linear import train_logistic

        return train_logistic(recipe, model, dataset)
    if isinstance(model, PrevalenceSettings):
        from polyclinic.diagnosis.records.steps.train_linear import count

        return count(recipe, dataset)
    from polyclinic.diagnosis.records.steps.train_network import train_network

    return train_network(recipe, model, dataset, prepared.encoding, on_epoch)
