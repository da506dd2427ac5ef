"""The walk through the five steps."""

import json
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray

from polyclinic.core.errors import InvalidInput
from polyclinic.core.prediction import ModelIdentity
from polyclinic.discovery.affinity.inputs.table import Pairs, read_pairs
from polyclinic.discovery.affinity.intervals import fit_interval
from polyclinic.discovery.affinity.models.kinds import fit, stored
from polyclinic.discovery.affinity.models.known import Known
from polyclinic.discovery.affinity.novelty import Novelty
from polyclinic.discovery.affinity.predictor import AffinityPredictor
from polyclinic.discovery.affinity.recipe import AffinityRecipe, ModelName
from polyclinic.discovery.affinity.spec import KIND, LIBRARY_FILE, PAIRS_FILE, AffinitySpec
from polyclinic.discovery.affinity.steps.choose import (
    Foretold,
    choose,
    squared,
    training,
    tuned,
    validate,
)
from polyclinic.discovery.affinity.steps.evaluation import evaluate_validation, share
from polyclinic.registry.making import make_version
from polyclinic.registry.manifest import DataUse
from polyclinic.registry.store import Registry
from polyclinic.registry.version import ModelVersion

#: The packages whose versions decide what a training run gives.
MAKERS = ("polyclinic", "lightgbm", "numpy", "polars", "rdkit")
#: Where so large a share of measurements lies at one end, they mean `or beyond`.
BOUNDED = 0.05
#: An interval is fitted on so many held-out pairs, or not at all.
FEWEST = 20


class Listener(Protocol):
    """What a person watching a run hears of."""

    def step(self, name: str) -> None:
        """A step begins."""

    def trial(self, number: int, loss: float) -> None:
        """So many candidates are done; the lowest loss so far."""


def run(
    recipe: AffinityRecipe, data: Path | None, folder: Path, registry: Registry, listen: Listener
) -> ModelVersion:
    """Carry a recipe through the five steps and register the model version that comes of it.

    `data`, or else the recipe's own path, relative to its `folder`, is the table or the folder. The
    test part is not looked at.
    """
    listen.step("prepare")
    path = data or (folder / recipe.data.path if recipe.data.path else None)
    if path is None:
        raise InvalidInput("The recipe names no data.", where="data.path", remedy="Give --data.")
    pairs = read_pairs(path, recipe.data, recipe.seed)
    known, fold = training(pairs)
    listen.step("build")
    recipe = tuned(recipe, known, fold, pairs.digest, listen.trial)
    chosen, why, candidates = choose(recipe, known, fold, listen.trial)
    listen.step("train")
    model = fit(chosen, recipe, known)
    listen.step("evaluate")
    held = validate(chosen, recipe, known, fold)
    spec = _spec(recipe, chosen, known, held)
    files = stored(model) | _known_files(known)
    unnamed = ModelIdentity(name=recipe.name, version="", digest="")
    predictor = AffinityPredictor.of_files(unnamed, spec, files)
    _same(model.predict(known.itself()), predictor, known)
    usual = predictor.p_values(known.itself())
    validation = evaluate_validation(
        recipe,
        known,
        candidates,
        held,
        unfamiliar=share(usual <= spec.familiarity_alpha),
        digest=pairs.digest,
        notes=(why, *pairs.notes),
    )
    listen.step("serve")
    return make_version(
        registry,
        name=recipe.name,
        kind=KIND,
        licence=recipe.licence,
        labels=(),
        files=files,
        spec=spec,
        data=_use(recipe, pairs),
        recipe=recipe,
        seed=recipe.seed,
        makers=(*MAKERS, "torch") if chosen == "network" else MAKERS,
        training={
            "pairs": len(known.affinity),
            "drugs": len(known.library.smiles),
            "proteins": len(known.library.sequences),
            **{f"mse_{name}": squared(each, known) for name, each in candidates.items()},
        },
        validation=validation,
        card=recipe.card,
    )


def _spec(
    recipe: AffinityRecipe, chosen: ModelName, known: Known, held: dict[Novelty, Foretold]
) -> AffinitySpec:
    low, high = float(known.affinity.min()), float(known.affinity.max())
    ends: tuple[tuple[Literal["weaker", "stronger"], float], ...] = (
        ("weaker", low),
        ("stronger", high),
    )
    return AffinitySpec(
        model=chosen,
        what=recipe.data.what,
        kernel=recipe.kernel,
        low=low,
        high=high,
        bounded=tuple(
            end for end, value in ends if np.isclose(known.affinity, value).mean() >= BOUNDED
        ),
        coverage=recipe.coverage,
        intervals={
            kind: fit_interval(each.value, known.affinity[each.rows], recipe.coverage)
            for kind, each in held.items()
            if len(each.rows) >= FEWEST
        },
        # Of few drugs or proteins no p-value is lower than this, that of one unlike any of them.
        familiarity_alpha=max(recipe.familiarity, 2.0 / (1 + min(known.counts.shape))),
    )


def _known_files(known: Known) -> dict[str, bytes]:
    library = {"smiles": known.library.smiles, "sequences": known.library.sequences}
    arrays = {
        "drug": known.drug.astype(np.int32),
        "protein": known.protein.astype(np.int32),
        "affinity": known.affinity.astype(np.float32),
    }
    pairs: bytes = safetensors.numpy.save(arrays)
    return {LIBRARY_FILE: json.dumps(library).encode(), PAIRS_FILE: pairs}


def _same(before: NDArray[np.float64], predictor: AffinityPredictor, known: Known) -> None:
    """Raises `IntegrityError` where the stored model does not answer as the fitted one did."""
    from polyclinic.core.errors import IntegrityError

    spec = predictor.spec
    after = predictor.affinities(known.itself())
    off = float(np.abs(np.clip(before, spec.low, spec.high) - after).max())
    if not off <= 1e-2:
        raise IntegrityError(f"The stored model differs from the fitted one by {off:.2e}.")


def _use(recipe: AffinityRecipe, pairs: Pairs) -> DataUse:
    return DataUse(
        name=recipe.data.name,
        digest=pairs.digest,
        licence=recipe.data.licence,
        source=recipe.data.source,
        parts={},
        examples={"train": len(pairs.training), "test": len(pairs.test)},
    )
