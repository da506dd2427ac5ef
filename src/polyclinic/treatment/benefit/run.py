"""The walk through the five steps."""

from pathlib import Path
from typing import Protocol

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray

from polyclinic.core.errors import InvalidInput
from polyclinic.core.prediction import Coding, ModelIdentity
from polyclinic.learning.effect.features import Basis
from polyclinic.learning.effect.learners import doubly_robust
from polyclinic.learning.trust.familiarity import fit_familiarity
from polyclinic.registry.making import make_version
from polyclinic.registry.manifest import DataUse
from polyclinic.registry.store import Registry
from polyclinic.registry.version import ModelVersion
from polyclinic.treatment.benefit.evaluation import evaluate
from polyclinic.treatment.benefit.model import FAMILIARITY_FILE, MODEL_FILE
from polyclinic.treatment.benefit.recipe import Arm, BenefitRecipe
from polyclinic.treatment.benefit.recommender import BenefitRecommender
from polyclinic.treatment.benefit.spec import KIND, BenefitSpec, SpecArm
from polyclinic.treatment.benefit.table import Table, read_trial
from polyclinic.treatment.benefit.train import as_trial, train
from polyclinic.treatment.drugs import Formulary
from polyclinic.treatment.rules import Rules

#: The packages whose versions decide what a training run gives.
MAKERS = ("polyclinic", "numpy", "polars", "scikit-learn")
#: Codings of arms of several drugs, which have no code of their own.
ARM_SYSTEM = "urn:polyclinic:arm"


class Listener(Protocol):
    """What a person watching a run hears of."""

    def step(self, name: str) -> None:
        """A step begins."""


def run(
    recipe: BenefitRecipe,
    data: Path | None,
    folder: Path,
    registry: Registry,
    listen: Listener,
    rules: Rules,
) -> ModelVersion:
    """Carry a recipe through the five steps and register the model version that comes of it.

    `data`, or else the recipe's own path, relative to its `folder`, is the table.
    """
    listen.step("prepare")
    path = data or (folder / recipe.data.path if recipe.data.path else None)
    if path is None:
        raise InvalidInput("The recipe names no data.", where="data.path", remedy="Give --data.")
    arms = tuple(_arm(each, rules.formulary) for each in recipe.data.arms)
    table = read_trial(path, recipe.data)
    parts = table.parts(recipe.seed)
    listen.step("build and train")
    model, learner, why = train(recipe, table, parts["train"])
    own = parts["train"]
    listen.step("evaluate")
    columns = [model.basis.columns(table.x[parts[name]]) for name in ("train", "validation")]
    familiarity = fit_familiarity(columns[0], np.zeros(len(own), np.int64), columns[1])
    files = {
        MODEL_FILE: safetensors.numpy.save(model.arrays()),
        FAMILIARITY_FILE: safetensors.numpy.save(familiarity.to_arrays()),
    }
    spec = BenefitSpec(
        arms=arms,
        covariates=recipe.data.covariates,
        what=recipe.data.what,
        unit=recipe.data.unit,
        limits=recipe.data.limits,
        coverage=recipe.coverage,
        learner=learner,
        means=_means(recipe, table, own, model.basis),
        randomised=recipe.data.randomised,
        familiarity_alpha=recipe.familiarity,
        knowledge=rules.version,
    )
    unnamed = ModelIdentity(name=recipe.name, version="", digest="")
    validation = evaluate(
        recipe,
        BenefitRecommender.of_files(unnamed, spec, files, rules),
        table,
        parts["validation"],
        part="validation",
        dataset=recipe.data.name,
        notes=(why, *table.notes),
    )
    listen.step("serve")
    return make_version(
        registry,
        name=recipe.name,
        kind=KIND,
        licence=recipe.licence,
        labels=tuple(arm.coding for arm in arms),
        files=files,
        spec=spec,
        data=_use(recipe, table, arms),
        recipe=recipe,
        seed=recipe.seed,
        makers=MAKERS,
        training={"replicates": recipe.replicates, "patients": len(own)},
        validation=validation,
        card=recipe.card,
    )


def _arm(arm: Arm, formulary: Formulary) -> SpecArm:
    """Raises `InvalidInput` where a drug is not in the formulary."""
    drugs = []
    for name in arm.drugs:
        found = formulary.named(name)
        if len(found) != 1:
            raise InvalidInput(
                f"{name} is no drug of the formulary.",
                where=f"data.arms {arm.value}",
                remedy="Use a generic name, or add the drug to the site's formulary.",
            )
        drugs.append(found[0])
    coding = (
        drugs[0].coding
        if len(drugs) == 1
        else Coding(system=ARM_SYSTEM, code="+".join(d.name for d in drugs), display=arm.display)
    )
    return SpecArm(
        coding=coding,
        drugs=tuple(drug.name for drug in drugs),
        codings=tuple(drug.coding for drug in drugs),
    )


def _means(
    recipe: BenefitRecipe, table: Table, rows: NDArray[np.int64], basis: Basis
) -> tuple[float, ...]:
    """The outcome if all are given an arm: a plain mean would tell who was given it, too."""
    data = recipe.data
    trial = as_trial(table, rows, basis, len(data.arms), randomised=data.randomised)
    return tuple(doubly_robust(trial, recipe.folds, recipe.seed).mean(axis=0).tolist())


def _use(recipe: BenefitRecipe, table: Table, arms: tuple[SpecArm, ...]) -> DataUse:
    parts = table.parts(recipe.seed)
    return DataUse(
        name=recipe.data.name,
        digest=table.digest,
        licence=recipe.data.licence,
        source=recipe.data.source,
        parts={
            name: {
                arm.coding.code: int((table.arm[rows] == number).sum())
                for number, arm in enumerate(arms)
            }
            for name, rows in parts.items()
        },
        examples={name: len(rows) for name, rows in parts.items()},
    )
