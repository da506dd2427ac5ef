"""The walk through the five steps."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from polyclinic.core.errors import InvalidInput
from polyclinic.core.prediction import ModelIdentity
from polyclinic.registry.making import make_version
from polyclinic.registry.manifest import DataUse
from polyclinic.registry.store import Registry
from polyclinic.registry.version import ModelVersion
from polyclinic.treatment.orders.evaluation import evaluate
from polyclinic.treatment.orders.models.scorers import LogOdds
from polyclinic.treatment.orders.recipe import OrdersRecipe
from polyclinic.treatment.orders.recommender import OrdersRecommender
from polyclinic.treatment.orders.spec import KIND
from polyclinic.treatment.orders.steps.choose import Candidate, candidates, choose
from polyclinic.treatment.orders.steps.prepare import Prepared, prepare
from polyclinic.treatment.orders.steps.trust import best_cut, fit_trust
from polyclinic.treatment.rules import Rules

#: The packages whose versions decide what a training run gives.
MAKERS = ("polyclinic", "numpy", "polars", "scikit-learn")
OF_MODELS = {
    "als": ("implicit",),
    "bpr": ("implicit",),
    "item_knn": ("implicit",),
    "trees": ("lightgbm",),
    "two_tower": ("torch", "onnx", "onnxruntime"),
    "transformer": ("torch", "onnx", "onnxruntime"),
}
CHOSEN_HERE = (
    "Of this part one half chose the model, its line and its cut, the other calibrated it: its "
    "figures flatter the model."
)


class Listener(Protocol):
    """What a person watching a run hears of."""

    def step(self, name: str) -> None:
        """A step begins."""

    def trial(self, number: int, loss: float) -> None:
        """So many candidates are done; the lowest loss so far."""


def run(
    recipe: OrdersRecipe,
    data: Path | None,
    folder: Path,
    registry: Registry,
    listen: Listener,
    rules: Rules,
) -> ModelVersion:
    """Carry a recipe through the five steps and register the model version that comes of it.

    `data`, or else the recipe's own path, relative to its `folder`, is the export.
    """
    listen.step("prepare")
    path = data or (folder / recipe.data.path if recipe.data.path else None)
    if path is None:
        raise InvalidInput("The recipe names no data.", where="data.path", remedy="Give --data.")
    prepared = prepare(recipe.data, path, rules.formulary, recipe.seed, recipe.memory)
    listen.step("build and train")
    found = candidates(recipe, prepared, listen.trial)
    listen.step("evaluate")
    chosen, why = choose(recipe, found)
    model = fit_trust(recipe, prepared, chosen, rules.version)
    unnamed = ModelIdentity(name=recipe.name, version="", digest="")
    recommender = OrdersRecommender.of_files(unnamed, model.spec, model.files, rules)
    part = prepared.part("validation")
    validation = evaluate(
        recommender,
        part,
        prepared.visits,
        dataset=recipe.data.name,
        dataset_digest=prepared.digest,
        part="validation",
        rules=rules,
        compared=with_cuts(found, prepared),
        notes=(CHOSEN_HERE, why, *prepared.notes),
    )
    listen.step("serve")
    names = {each.name for each in found if each.name in OF_MODELS}
    return make_version(
        registry,
        name=recipe.name,
        kind=KIND,
        licence=recipe.licence,
        labels=tuple(each.coding for each in prepared.vocabulary.treatments),
        files=model.files,
        spec=model.spec,
        data=_use(recipe, prepared),
        recipe=recipe,
        seed=recipe.seed,
        makers=(*MAKERS, *sorted({pack for name in names for pack in OF_MODELS[name]})),
        training={f"precision_{each.name}": each.precision for each in found},
        validation=validation,
        card=recipe.card,
    )


def with_cuts(found: Sequence[Candidate], prepared: Prepared) -> list[tuple[str, LogOdds, float]]:
    """Each model's name, itself, and its cut."""
    return [(each.name, each.model, best_cut(each.model, prepared)) for each in found]


def _use(recipe: OrdersRecipe, prepared: Prepared) -> DataUse:
    ordered, codes = prepared.encoded.ordered, prepared.vocabulary.treatments
    parts = ("train", "validation", "test")
    return DataUse(
        name=recipe.data.name,
        digest=prepared.digest,
        licence=recipe.data.licence,
        source=recipe.data.source,
        parts={
            name: dict(
                zip(
                    (each.coding.code for each in codes),
                    ordered[prepared.rows[name]].sum(axis=0).tolist(),
                    strict=True,
                )
            )
            for name in parts
        },
        examples={name: len(prepared.rows[name]) for name in parts},
    )
