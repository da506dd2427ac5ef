"""Step 4: how good a model of affinity is, on pairs that it did not see."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import yaml
from numpy.typing import NDArray

from polyclinic.core.errors import InvalidInput
from polyclinic.core.evaluation import Comparison, Estimate, Evaluation, SubgroupResult
from polyclinic.discovery.affinity.inputs.table import Pairs, read_pairs
from polyclinic.discovery.affinity.intervals import re_split_coverage
from polyclinic.discovery.affinity.metrics import figures
from polyclinic.discovery.affinity.models.known import Asked, Known, ask
from polyclinic.discovery.affinity.novelty import NOVELTIES, TOLD, Novelty, novelty
from polyclinic.discovery.affinity.predictor import AffinityPredictor
from polyclinic.discovery.affinity.recipe import AffinityRecipe, ModelName
from polyclinic.discovery.affinity.steps.choose import DECIDES, Foretold
from polyclinic.learning.evaluate.bootstrap import bootstrap
from polyclinic.learning.evaluate.metrics import mean
from polyclinic.learning.recipe import parse_recipe
from polyclinic.registry.store import Registry
from polyclinic.registry.version import ModelVersion

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]

ATTRIBUTE = "new"
#: So few pairs have no figures of their own.
FEWEST = 20
SIMILAR_OFTEN = (
    "Drugs, and proteins, resemble each other: what is told of pairs whose drug and protein both "
    "stand in training is not what to expect of a new one. See the subgroups."
)


def evaluate_validation(
    recipe: AffinityRecipe,
    known: Known,
    candidates: Mapping[ModelName, Foretold],
    held: Mapping[Novelty, Foretold],
    *,
    unfamiliar: Estimate,
    digest: str,
    notes: Sequence[str],
) -> Evaluation:
    """Of pairs held out of training in folds, in each way in which a pair can be new.

    The figures of the whole are of the way in which the test part is new. Coverage is of intervals
    fitted on half of the held-out pairs, or whole drugs or proteins, and measured on the others.
    """
    decides = held[DECIDES[recipe.data.test_of]]
    subgroups, coverage = [], {}
    for kind, foretold in held.items():
        own = _clusters(kind, known, foretold.rows)
        actual = known.affinity[foretold.rows]
        told = figures(actual, foretold.value, own, foretold.fold)
        coverage[kind] = re_split_coverage(
            foretold.value, actual, own, recipe.coverage, recipe.seed
        )
        subgroups.append(
            SubgroupResult(
                attribute=ATTRIBUTE,
                value=TOLD[kind],
                examples=len(foretold.rows),
                metrics=told | {"coverage": coverage[kind]},
            )
        )
    own = _clusters(DECIDES[recipe.data.test_of], known, decides.rows)
    actual = known.affinity[decides.rows]
    return Evaluation(
        dataset=recipe.data.name,
        dataset_digest=digest,
        part="validation",
        time=datetime.now(UTC),
        examples=len(decides.rows),
        patients=None,
        label_counts={},
        metrics=figures(actual, decides.value, own, decides.fold)
        | {"coverage": coverage[DECIDES[recipe.data.test_of]]},
        reliability=(),
        operating_points=(),
        conformal=None,
        abstained=unfamiliar,
        unfamiliar=unfamiliar,
        comparisons=tuple(
            Comparison(
                name=name,
                group="the first fold",
                examples=len(each.rows),
                metrics=figures(known.affinity[each.rows], each.value, each.rows),
            )
            for name, each in candidates.items()
        ),
        subgroups=tuple(subgroups),
        notes=(*notes, SIMILAR_OFTEN),
    )


def evaluate_test(
    recipe: AffinityRecipe,
    predictor: AffinityPredictor,
    pairs: Pairs,
    rows: Rows,
    *,
    own: bool,
    dataset: str,
) -> Evaluation:
    """Of the test part, or of other data, by the model as it is served."""
    asked = ask_rows(predictor.known, pairs, rows)
    foretold = predictor.affinities(asked)
    half = predictor.half_widths(asked, foretold)
    actual = pairs.affinity[rows]
    inside = (np.abs(foretold - actual) <= half + 1e-9) | np.isnan(half)
    kinds = np.array(novelty(asked.new_drug, asked.new_protein))
    unfamiliar = share(predictor.p_values(asked) <= predictor.spec.familiarity_alpha)
    clusters = {
        "neither": np.arange(len(rows)),
        "drug": pairs.drug[rows],
        "protein": pairs.protein[rows],
        "both": pairs.drug[rows],
    }
    subgroups = [
        SubgroupResult(
            attribute=ATTRIBUTE,
            value=TOLD[kind],
            examples=int(mine.sum()),
            metrics=figures(actual[mine], foretold[mine], clusters[kind][mine])
            | {"coverage": share(inside[mine], clusters[kind][mine])},
        )
        for kind in NOVELTIES
        if (mine := kinds == kind).sum() >= FEWEST
    ]
    whole = clusters[max(NOVELTIES, key=lambda kind: int((kinds == kind).sum()))]
    width = np.minimum(foretold + half, predictor.spec.high) - np.maximum(
        foretold - half, predictor.spec.low
    )
    return Evaluation(
        dataset=dataset,
        dataset_digest=pairs.digest,
        part="test" if own else "external",
        time=datetime.now(UTC),
        examples=len(rows),
        patients=None,
        label_counts={},
        metrics=figures(actual, foretold, whole)
        | {
            "coverage": share(inside, whole),
            "interval_width": _mean(np.nan_to_num(width), whole),
        },
        reliability=(),
        operating_points=(),
        conformal=None,
        abstained=unfamiliar,
        unfamiliar=unfamiliar,
        subgroups=tuple(subgroups),
        notes=(*pairs.notes, SIMILAR_OFTEN),
    )


def evaluate_file(registry: Registry, version: ModelVersion, data: Path, by: str) -> Evaluation:
    """Measure a registered version on a table or folder, and record the figures in its card.

    On the data that the model was made from this opens the test part, which is logged; of other
    data all pairs are measured.
    """
    manifest = version.manifest
    recipe = parse_recipe(yaml.safe_load(manifest.recipe), AffinityRecipe, str(version))
    predictor = AffinityPredictor.load(registry, version)
    pairs = read_pairs(data, recipe.data, recipe.seed)
    own = pairs.digest == manifest.data.digest
    rows = pairs.test if own else np.arange(len(pairs))
    if not len(rows):
        raise InvalidInput("The data has no test part.", where=str(data))
    if own:
        registry.open_test(version, pairs.digest, by)
    name = recipe.data.name if own else data.name
    evaluation = evaluate_test(recipe, predictor, pairs, rows, own=own, dataset=name)
    registry.record_evaluation(version, evaluation)
    return evaluation


def ask_rows(known: Known, pairs: Pairs, rows: Rows) -> Asked:
    """Measured pairs as they are asked of a model."""
    return ask(
        known,
        [
            (pairs.smiles[drug], pairs.sequences[protein])
            for drug, protein in zip(
                pairs.drug[rows].tolist(), pairs.protein[rows].tolist(), strict=True
            )
        ],
    )


def share(flags: NDArray[np.bool_], clusters: Rows | None = None) -> Estimate:
    """How often it is so."""
    return _mean(flags.astype(np.float64), clusters)


def _mean(values: Floats, clusters: Rows | None = None) -> Estimate:
    own = np.arange(len(values)) if clusters is None else clusters
    return bootstrap(lambda weights: {"mean": mean(values, weights)}, own, 500)["mean"]


def _clusters(kind: Novelty, known: Known, rows: Rows) -> Rows:
    """What of held-out pairs is drawn together: pairs, or all pairs of a new drug or protein."""
    match kind:
        case "neither":
            return rows
        case "protein":
            return known.protein[rows]
        case _:
            return known.drug[rows]
