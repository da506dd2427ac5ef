"""The walk through the five steps: published networks become a model version that serves them.

Nothing is trained: prepare fetches the package's files by digest, build reads the weights, train
profiles the approved drugs, evaluate compares with the original's answers, serve registers.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import combinations
from pathlib import Path

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray
from rdkit.Chem import Mol

from polyclinic.core.digest import sha256
from polyclinic.core.errors import IntegrityError, InvalidInput
from polyclinic.core.evaluation import Estimate, Evaluation
from polyclinic.discovery.admet.approved import quantiles
from polyclinic.discovery.admet.endpoints import endpoints
from polyclinic.discovery.admet.networks.ensemble import Ensemble, Told
from polyclinic.discovery.admet.recipe import AdmetRecipe
from polyclinic.discovery.admet.spec import (
    APPROVED_FILE,
    KIND,
    NETWORKS_FILE,
    NOTICE_FILE,
    AdmetSpec,
)
from polyclinic.discovery.admet.steps.convert import DEPTH, convert
from polyclinic.discovery.admet.steps.drugs import halves, read_drugs
from polyclinic.discovery.admet.steps.reference import Reference, reference
from polyclinic.learning.prepare.fetch import fetch
from polyclinic.learning.trust.familiarity import FamiliarityModel, fit_familiarity
from polyclinic.registry.making import make_version
from polyclinic.registry.manifest import DataUse
from polyclinic.registry.store import Registry
from polyclinic.registry.version import ModelVersion

MAKERS = ("polyclinic", "numpy", "polars", "rdkit", "scikit-learn")


def run(
    recipe: AdmetRecipe, home: Path, registry: Registry, step: Callable[[str], None]
) -> ModelVersion:
    """Carry a recipe through the five steps and register the model version that comes of it.

    home: packages' files are kept in its `data`. step: hears each step's name. Raises
    `IntegrityError` where a file is not what the recipe says, or the converted networks differ from
    the original by more than the recipe's tolerance.
    """
    step("prepare")
    paths = {family: fetch(entry, home) for family, entry in recipe.networks.items()}
    (drug_list,) = fetch(recipe.approved, home)
    step("build")
    families, size, arrays = _read(paths)
    ensemble = Ensemble.of(arrays, tuple(families), size, DEPTH)
    names = tuple(name for told in families.values() for name in told)
    step("train")
    drugs = read_drugs(drug_list)
    told = ensemble.tell(drugs)
    bounds = np.array([(endpoints()[name].low, endpoints()[name].high) for name in names]).T
    usual, unfamiliar = _familiarity(told, recipe)
    quick, quick_agreement = _quick(ensemble, drugs, told, recipe, size)
    known = {"quantiles": quantiles(np.clip(told.mean, *bounds)), **usual.to_arrays()}
    step("evaluate")
    original = reference()
    said = ensemble.tell(original.mols).mean.astype(np.float64)
    difference = original.difference(dict(zip(names, said.T, strict=True)))
    if difference > recipe.tolerance:
        raise IntegrityError(
            f"The converted networks differ from the original by {difference:.2g}, "
            f"more than {recipe.tolerance:g}.",
            where=recipe.name,
        )
    step("serve")
    return make_version(
        registry,
        name=recipe.name,
        kind=KIND,
        licence=recipe.licence,
        labels=tuple(endpoints()[name].coding for name in names),
        files={
            NETWORKS_FILE: safetensors.numpy.save(arrays),
            APPROVED_FILE: safetensors.numpy.save(known),
            NOTICE_FILE: _notice(paths),
        },
        spec=AdmetSpec(
            families=families,
            size=size,
            depth=DEPTH,
            alpha=recipe.alpha,
            approved=recipe.approved.title,
            drugs=len(drugs),
            agreement=difference,
            quick=quick,
            quick_agreement=dict(zip(names, quick_agreement, strict=True)),
            quick_least=recipe.quick_least,
        ),
        data=_use(recipe, paths),
        recipe=recipe,
        seed=recipe.seed,
        makers=MAKERS,
        training={"largest_difference": difference, "drugs": float(len(drugs))},
        validation=_evaluation(original, difference, unfamiliar, names),
        card=recipe.card,
    )


def _read(
    paths: dict[str, list[Path]],
) -> tuple[dict[str, tuple[str, ...]], int, dict[str, NDArray[np.float32]]]:
    """The families' endpoints, the networks of each, and all weights."""
    families: dict[str, tuple[str, ...]] = {}
    arrays: dict[str, NDArray[np.float32]] = {}
    sizes = set()
    for family, files in paths.items():
        checkpoints = [path for path in files if path.suffix == ".pt"]
        sizes.add(len(checkpoints))
        for number, path in enumerate(checkpoints):
            told, own = convert(path.read_bytes(), family)
            if families.setdefault(family, told) != told:
                raise IntegrityError("The networks of a family tell other endpoints.", where=family)
            arrays |= {f"{family}.{number}.{name}": array for name, array in own.items()}
    unknown = {name for told in families.values() for name in told} - set(endpoints())
    if len(sizes) != 1 or unknown:
        raise InvalidInput(
            f"Families of {sorted(sizes)} networks, endpoints that are not known: {unknown}.",
            where="networks",
        )
    return families, sizes.pop(), arrays


def _familiarity(told: Told, recipe: AdmetRecipe) -> tuple[FamiliarityModel, float]:
    """What is usual, learnt from one half of the drugs, and the share of the other that is not."""
    learning, holding = halves(len(told.seen), recipe.seed)
    one = np.zeros(len(learning), np.int64)
    usual = fit_familiarity(told.seen[learning], one, told.seen[holding])
    return usual, float((usual.p_values(told.seen[holding]) <= recipe.alpha).mean())


def _quick(
    ensemble: Ensemble, drugs: Sequence[Mol], told: Told, recipe: AdmetRecipe, size: int
) -> tuple[tuple[int, ...], list[float]]:
    """The networks of each family whose mean ranks drugs most nearly as that of all does.

    They are chosen on one half of the drugs for the endpoint that agrees least; by endpoint
    Spearman's rho is of the other half.
    """
    from scipy.stats import spearmanr

    choosing, holding = halves(len(drugs), recipe.seed)

    def agreement(some: Told, rows: NDArray[np.int64]) -> list[float]:
        pairs = zip(some.mean[rows].T, told.mean[rows].T, strict=True)
        return [float(spearmanr(one, other).statistic) for one, other in pairs]

    tried = {}
    for others in combinations(range(1, size), recipe.quick - 1):
        some = ensemble.tell(drugs, (0, *others))
        tried[(0, *others)] = (min(agreement(some, choosing)), agreement(some, holding))
    best = max(tried, key=lambda numbers: tried[numbers][0])
    return best, tried[best][1]


def _notice(paths: dict[str, list[Path]]) -> bytes:
    """The licence text that came with the networks."""
    for path in (each for files in paths.values() for each in files):
        if path.name.upper().startswith("LICENSE"):
            return path.read_bytes()
    raise InvalidInput("The recipe names no licence file of the networks.", where="networks")


def _use(recipe: AdmetRecipe, paths: dict[str, list[Path]]) -> DataUse:
    entries = tuple(recipe.networks.values())
    digests = {
        family: sha256(b"".join(path.read_bytes() for path in files))
        for family, files in paths.items()
    }
    return DataUse(
        name=entries[0].title,
        digest=sha256("".join(digests.values()).encode()),
        licence=entries[0].licence,
        source=entries[0].source,
        parts={},
        part_digests=digests,
    )


def _evaluation(
    original: Reference, difference: float, unfamiliar: float, names: tuple[str, ...]
) -> Evaluation:
    """How near the conversion is to the original; how good that is, it has told itself."""
    versions = ", ".join(f"{name} {version}" for name, version in original.versions.items())
    figures = (
        f"{each.title}: {each.figure} {each.tested:.3f} on held-out compounds of {each.compounds}"
        for each in (endpoints()[name] for name in names)
    )
    return Evaluation(
        dataset=f"Molecules that the original was asked about ({versions})",
        dataset_digest=sha256("\n".join(original.smiles).encode()),
        part="external",
        time=datetime.now(UTC),
        examples=len(original.smiles),
        patients=None,
        label_counts={},
        metrics={"largest_difference": Estimate(value=difference, low=difference, high=difference)},
        reliability=(),
        operating_points=(),
        conformal=None,
        abstained=Estimate(value=unfamiliar, low=unfamiliar, high=unfamiliar),
        unfamiliar=Estimate(value=unfamiliar, low=unfamiliar, high=unfamiliar),
        notes=(
            "The metric is the greatest absolute difference from the original's own answers, over "
            "all endpoints. Unfamiliar is the share of approved drugs held out.",
            "The figures that follow are those that the networks' makers tell.",
            *figures,
        ),
    )
