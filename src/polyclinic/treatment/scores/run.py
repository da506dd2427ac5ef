"""The walk through the five steps."""

from pathlib import Path
from typing import Protocol

import numpy as np
import safetensors.numpy

from polyclinic.core.errors import InvalidInput
from polyclinic.core.prediction import ModelIdentity
from polyclinic.registry.making import make_version
from polyclinic.registry.manifest import DataUse
from polyclinic.registry.store import Registry
from polyclinic.registry.version import ModelVersion
from polyclinic.treatment.rules import Rules
from polyclinic.treatment.scores.evaluation import evaluate, figures, foretell, interval_width
from polyclinic.treatment.scores.model import MODEL_FILE, FoldsIn, fit, stored, without_patients
from polyclinic.treatment.scores.recipe import Knn, OneModel, ScoresRecipe
from polyclinic.treatment.scores.recommender import ScoresRecommender
from polyclinic.treatment.scores.scored import Rows, Scored, read_scores
from polyclinic.treatment.scores.spec import KIND, ScoresSpec, SpecTreatment, is_persistence

#: The packages whose versions decide what a training run gives.
MAKERS = ("polyclinic", "numba", "numpy", "polars")


class Listener(Protocol):
    """What a person watching a run hears of."""

    def step(self, name: str) -> None:
        """A step begins."""

    def trial(self, number: int, loss: float) -> None:
        """So many candidates are done; the lowest loss so far."""


def run(
    recipe: ScoresRecipe,
    data: Path | None,
    folder: Path,
    registry: Registry,
    listen: Listener,
    rules: Rules,
) -> ModelVersion:
    """Carry a recipe through the five steps and register the model version that comes of it.

    `data`, or else the recipe's own path, relative to its `folder`, is the data. A model is chosen
    on one half of the validation part's patients; intervals are fitted on the other.
    """
    listen.step("prepare")
    path = data or (folder / recipe.data.path if recipe.data.path else None)
    if path is None:
        raise InvalidInput("The recipe names no data.", where="data.path", remedy="Give --data.")
    scored = read_scores(path, recipe.data, rules.formulary, recipe.seed)
    parts = scored.parts(recipe.seed)
    choosing, calibrating = parts["validation"][::2], parts["validation"][1::2]
    listen.step("build and train")
    found: dict[str, tuple[OneModel, FoldsIn, float]] = {}
    for each in (recipe.model,) if recipe.model else recipe.candidates:
        model = fit(each, scored.ratings(parts["train"]), recipe.seed)
        told = figures(foretell(model, scored, choosing, recipe.seed))
        if not told:
            raise InvalidInput("No patient of the validation part has two scores.", where="data")
        found[each.name] = (each, model, told["rmse"].value)
        listen.trial(len(found), min(error for _, _, error in found.values()))
    chosen, why = _choose(found)
    listen.step("evaluate")
    arrays = without_patients(found[chosen][1])
    spec = _spec(recipe, scored, chosen, rules.version, stored(arrays), calibrating)
    unnamed = ModelIdentity(name=recipe.name, version="", digest="")
    validation = evaluate(
        recipe,
        ScoresRecommender(unnamed, spec, stored(arrays), rules),
        scored,
        parts["validation"],
        part="validation",
        dataset=recipe.data.name,
        compared={name: model for name, (_, model, _) in found.items()},
        notes=(why, *scored.notes),
    )
    listen.step("serve")
    return make_version(
        registry,
        name=recipe.name,
        kind=KIND,
        licence=recipe.licence,
        labels=tuple(each.coding for each in scored.treatments),
        files={MODEL_FILE: safetensors.numpy.save(arrays)},
        spec=spec,
        data=_use(recipe, scored),
        recipe=recipe,
        seed=recipe.seed,
        makers=MAKERS,
        training={f"rmse_{name}": error for name, (_, _, error) in found.items()},
        validation=validation,
        card=recipe.card,
    )


def _choose(found: dict[str, tuple[OneModel, FoldsIn, float]]) -> tuple[str, str]:
    """The model to serve, and why."""
    served = {name: error for name, (each, _, error) in found.items() if not isinstance(each, Knn)}
    chosen = min(served, key=served.__getitem__)
    told = ", ".join(f"{name} {error:.4f}" for name, (_, _, error) in found.items())
    aside = " knn keeps rows of patients, and is never served." if "knn" in found else ""
    return chosen, f"{chosen}, for its RMSE on one half of the validation part: {told}.{aside}"


def _spec(
    recipe: ScoresRecipe,
    scored: Scored,
    chosen: str,
    knowledge: str,
    model: FoldsIn,
    calibrating: Rows,
) -> ScoresSpec:
    span = recipe.data.high - recipe.data.low
    widths = [
        min(
            interval_width(
                foretell(model, scored, calibrating, recipe.seed, cold=cold), recipe.coverage
            ),
            span,
        )
        for cold in (False, True)
    ]
    return ScoresSpec(
        treatments=tuple(
            SpecTreatment(drug=each.drug, coding=each.coding) for each in scored.treatments
        ),
        low=recipe.data.low,
        high=recipe.data.high,
        what=recipe.data.what,
        model=chosen,
        coverage=recipe.coverage,
        width=widths[0],
        cold_width=widths[1],
        persistence=is_persistence(recipe.data),
        simulated=recipe.data.simulated,
        knowledge=knowledge,
    )


def _use(recipe: ScoresRecipe, scored: Scored) -> DataUse:
    parts = scored.parts(recipe.seed)
    rows = {name: np.isin(scored.patient, patients) for name, patients in parts.items()}
    return DataUse(
        name=recipe.data.name,
        digest=scored.digest(),
        licence=recipe.data.licence,
        source=recipe.data.source,
        parts={
            name: {
                each.coding.code: int((scored.treatment[own] == place).sum())
                for place, each in enumerate(scored.treatments)
            }
            for name, own in rows.items()
        },
        examples={name: int(own.sum()) for name, own in rows.items()},
    )
