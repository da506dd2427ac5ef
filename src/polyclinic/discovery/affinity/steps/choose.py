"""Step 2: which model, by validation; and what the chosen one foretells of pairs held out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from polyclinic.core.digest import sha256
from polyclinic.core.errors import InputTooLarge, InvalidInput
from polyclinic.discovery.affinity.inputs.table import Pairs
from polyclinic.discovery.affinity.models.kinds import fit
from polyclinic.discovery.affinity.models.known import Known
from polyclinic.discovery.affinity.novelty import NOVELTIES, Fold, Novelty, held_out
from polyclinic.discovery.affinity.recipe import AffinityRecipe, ModelName
from polyclinic.learning.recipe import override, parse_recipe

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]

#: In which way held-out pairs are new that decide, by what the test part is made of.
DECIDES: dict[str, Novelty] = {"pairs": "neither", "drugs": "drug", "proteins": "protein"}


@dataclass(frozen=True)
class Foretold:
    """Held-out pairs: rows (n,) of the training part, what was foretold, and by which fold."""

    rows: Rows
    value: Floats
    fold: Rows


def training(pairs: Pairs) -> tuple[Known, Rows]:
    """The training part in numbers, and the fold (n,) of each pair."""
    rows = pairs.training
    known = Known.of(
        pairs.smiles, pairs.sequences, pairs.drug[rows], pairs.protein[rows], pairs.affinity[rows]
    ).part(np.arange(len(rows)))
    return known, pairs.fold[rows]


def choose(
    recipe: AffinityRecipe,
    known: Known,
    fold: Rows,
    on_candidate: Callable[[int, float], None],
) -> tuple[ModelName, str, dict[ModelName, Foretold]]:
    """The model of the lowest mean squared error on one fold, why, and what each foretold of it.

    The fold is of pairs, drugs or proteins, as the test part is. A model that cannot be fitted to
    so many pairs, or whose packages are not there, is left out.
    """
    first = folds_of(DECIDES[recipe.data.test_of], recipe, known, fold)[0]
    names = (recipe.model,) if recipe.model != "auto" else recipe.candidates
    found: dict[ModelName, Foretold] = {}
    errors: dict[ModelName, float] = {}
    left_out = []
    for name in names:
        if name == "network" and find_spec("torch") is None:
            left_out.append("network, for torch is not installed")
            continue
        try:
            found[name] = foretell(name, recipe, known, [first])
        except InputTooLarge as error:
            if recipe.model != "auto":
                raise
            left_out.append(f"{name}: {error.detail}")
            continue
        errors[name] = squared(found[name], known)
        on_candidate(len(errors), min(errors.values()))
    if not errors:
        raise InvalidInput("No model can be fitted.", where="candidates")
    best = min(errors, key=errors.__getitem__)
    if recipe.model != "auto":
        return best, f"The recipe names {best}.", found
    told = ", ".join(f"{name} {error:.4f}" for name, error in errors.items())
    aside = f" Left out: {'; '.join(left_out)}." if left_out else ""
    return best, f"{best}, for its mean squared error on the first fold: {told}.{aside}", found


def validate(
    name: ModelName, recipe: AffinityRecipe, known: Known, fold: Rows
) -> dict[Novelty, Foretold]:
    """What models of the other folds foretell of pairs that are new in each way."""
    found = {}
    for kind in NOVELTIES:
        folds = list(folds_of(kind, recipe, known, fold))
        if folds:
            found[kind] = foretell(name, recipe, known, folds)
    return found


def folds_of(kind: Novelty, recipe: AffinityRecipe, known: Known, fold: Rows) -> list[Fold]:
    """Folds of the training part whose held-out pairs are new in this way."""
    count = int(fold.max()) + 1
    own = fold if kind == "neither" else None
    return list(held_out(kind, known.drug, known.protein, count, recipe.seed, own))


def foretell(name: ModelName, recipe: AffinityRecipe, known: Known, folds: list[Fold]) -> Foretold:
    """What a model of each fold's other pairs foretells of it, within what those have."""
    values, numbers = [], []
    for number, each in enumerate(folds):
        learnt = known.part(each.learnt)
        value = fit(name, recipe, learnt).predict(known.asked(each.held, each.learnt))
        values.append(np.clip(value, learnt.affinity.min(), learnt.affinity.max()))
        numbers.append(np.full(len(value), number, np.int64))
    rows = np.concatenate([each.held for each in folds])
    return Foretold(rows, np.concatenate(values), np.concatenate(numbers))


def squared(foretold: Foretold, known: Known) -> float:
    """The mean squared error."""
    return float(np.mean((foretold.value - known.affinity[foretold.rows]) ** 2))


def tuned(
    recipe: AffinityRecipe,
    known: Known,
    fold: Rows,
    digest: str,
    on_trial: Callable[[int, float], None],
) -> AffinityRecipe:
    """The recipe with what the tuner found, by the mean squared error on the first fold."""
    if recipe.tune is None:
        return recipe
    from polyclinic.core.settings import settings
    from polyclinic.learning.train.tuning import tune

    content = recipe.model_dump(mode="json")

    def changed(changes: Mapping[str, object]) -> AffinityRecipe:
        return parse_recipe(override(content, dict(changes)), AffinityRecipe, "tune.space")

    def trial(changes: dict[str, object], _: object) -> float:
        _, _, found = choose(changed(changes), known, fold, lambda number, error: None)
        return min(squared(each, known) for each in found.values())

    decisive = sha256(f"{recipe.model_dump_json()}\n{digest}".encode())[:16]
    best = tune(
        recipe.tune,
        trial,
        study=f"{recipe.name}-{decisive}",
        database=settings().home / "runs" / "tuning.db",
        seed=recipe.seed,
        on_trial=on_trial,
    )
    return changed(best)
