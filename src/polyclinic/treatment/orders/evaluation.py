"""How good recommendations are on a set of visits: the figures of a model's card."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import numpy as np
import yaml
from numpy.typing import NDArray

from polyclinic.core.evaluation import (
    Comparison,
    ConformalResult,
    Estimate,
    Evaluation,
    SubgroupResult,
)
from polyclinic.learning.evaluate.bootstrap import bootstrap
from polyclinic.learning.evaluate.metrics import BINS, ratio, reliability
from polyclinic.learning.evaluate.ranking import (
    average_precision,
    f1,
    jaccard,
    ndcg_at,
    pair_rate,
    recall_at,
)
from polyclinic.learning.recipe import parse_recipe
from polyclinic.learning.trust.risk_control import covered
from polyclinic.registry.store import Registry
from polyclinic.registry.version import ModelVersion
from polyclinic.treatment.orders.encoding import Encoded, Rows
from polyclinic.treatment.orders.models.scorers import LogOdds
from polyclinic.treatment.orders.recipe import OrdersRecipe
from polyclinic.treatment.orders.recommender import OrdersRecommender
from polyclinic.treatment.orders.steps.prepare import digest, read_export, split_visits
from polyclinic.treatment.orders.visits import Visits
from polyclinic.treatment.rules import Rules

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

RESAMPLES = 1000
SIMULATED = "All patients are simulated: figures prove plumbing, not merit."
#: Subgroups of fewer visits have no figures.
FEWEST = 20
FIRST, REPEAT = "first visit", "repeat visit"
_BANDS = ((0, 18), (18, 45), (45, 65), (65, 80), (80, 200))


def figures(
    logits: NDArray[np.floating], cut: float, truth: Bools, interacting: Bools
) -> dict[str, Floats]:
    """Each visit's figures (n,), by name; one that is undefined of a visit is NaN.

    logits, truth: (n, m). cut: the log-odds from which a treatment counts as recommended.
    interacting: (m, m) which pairs of treatments have an interaction.
    """
    recommended = logits >= cut
    return {
        "jaccard": jaccard(recommended, truth),
        "f1": f1(recommended, truth),
        "average_precision": average_precision(logits, truth),
        "recall_at_5": recall_at(logits, truth, 5),
        "recall_at_10": recall_at(logits, truth, 10),
        "ndcg_at_10": ndcg_at(logits, truth, 10),
        "interaction_rate": pair_rate(recommended, interacting),
    }


def estimates(
    values: Mapping[str, Floats], person: NDArray[np.str_], resamples: int = RESAMPLES
) -> dict[str, Estimate]:
    """The mean of each figure over visits, with intervals over persons."""

    def statistics(weights: Floats) -> dict[str, Floats]:
        return {name: _mean(value, weights) for name, value in values.items()}

    return bootstrap(statistics, person, resamples)


def by_person(values: Floats, person: NDArray[np.str_]) -> Estimate:
    """The mean over persons of the mean over each one's visits, as coverage is promised."""
    names, whose = np.unique(person, return_inverse=True)
    each = np.bincount(whose, values) / np.bincount(whose)
    return bootstrap(lambda weights: {"": _mean(each, weights)}, names, RESAMPLES)[""]


def evaluate(
    model: OrdersRecommender,
    encoded: Encoded,
    visits: Visits,
    *,
    dataset: str,
    dataset_digest: str,
    part: Literal["validation", "test", "external"],
    rules: Rules,
    compared: Sequence[tuple[str, LogOdds, float]] = (),
    notes: Sequence[str] = (),
) -> Evaluation:
    """Every figure of `model` on the visits that are asked about, which are rows of `visits`.

    compared: the name of each other model, itself, and its cut.
    """
    spec, rows = model.spec, encoded.asked
    truth, person = encoded.ordered[rows], visits.person[rows]
    interacting = rules.interacting([each.drug for each in spec.vocabulary.treatments])
    logits = model.model.logits(encoded)
    probabilities = spec.probabilities(logits)
    sets = spec.sets.sets(logits)
    values = figures(logits, spec.cut, truth, interacting)
    held, size = covered(sets, truth), sets.sum(axis=1).astype(np.float64)
    p_values = model.p_values(encoded)
    unfamiliar = (p_values <= spec.familiarity_alpha).astype(np.float64)
    alone = (sets.sum(axis=1) == 1).astype(np.float64)
    thin = model.thin(encoded).astype(np.float64)
    told = estimates(
        {
            **values,
            "size": size,
            "alone": alone,
            "unfamiliar": unfamiliar,
            "abstained": np.maximum(unfamiliar, thin),
        },
        person,
    )
    metrics = {name: told[name] for name in values if name in told}
    coverage = by_person(held, person)
    metrics["ece"] = _calibration_error(probabilities, truth, person)
    return Evaluation(
        dataset=dataset,
        dataset_digest=dataset_digest,
        part=part,
        time=datetime.now(UTC),
        examples=len(rows),
        patients=len(np.unique(person)),
        label_counts={},
        metrics=metrics,
        reliability=reliability(probabilities, truth),
        operating_points=(),
        conformal=ConformalResult(
            method="risk-controlled",
            promised=spec.sets.coverage,
            coverage=coverage,
            coverage_by_label={},
            mean_size=told["size"],
            single_label=told["alone"],
        ),
        abstained=told["abstained"],
        unfamiliar=told["unfamiliar"],
        comparisons=_compared(compared, encoded, visits, interacting),
        subgroups=_subgroups({**values, "coverage": held}, visits, rows),
        notes=(
            f"Safety knowledge {rules.version}; interaction rate: the share of recommended pairs "
            "of which it has an interaction.",
            *((SIMULATED,) if spec.simulated else ()),
            *notes,
        ),
    )


def evaluate_file(
    registry: Registry, version: ModelVersion, data: Path, by: str, rules: Rules
) -> Evaluation:
    """Measure a registered version on an export, and record the figures in its card.

    On the export that the model was made from this opens the test part, which is logged; of
    another all visits are measured.
    """
    manifest = version.manifest
    recipe = parse_recipe(yaml.safe_load(manifest.recipe), OrdersRecipe, str(version))
    model = OrdersRecommender.load(registry, version, rules)
    visits, remarks = read_export(data, recipe.data, rules.formulary)
    found = digest(visits)
    own = found == manifest.data.digest
    rows: Rows = np.arange(len(visits))
    if own:
        rows = split_visits(visits, recipe.seed)["test"]
        registry.open_test(version, found, by)
    encoded = model.spec.vocabulary.encode(visits)
    rows = rows[encoded.ordered[rows].any(axis=1)]
    evaluation = evaluate(
        model,
        encoded.take(rows),
        visits,
        dataset=recipe.data.name if own else data.name,
        dataset_digest=found,
        part="test" if own else "external",
        rules=rules,
        notes=remarks,
    )
    registry.record_evaluation(version, evaluation)
    return evaluation


def history_of(visits: Visits, rows: Rows) -> NDArray[np.str_]:
    """Whether each visit is a patient's first: the cold start."""
    return np.where(visits.before[rows] == 0, FIRST, REPEAT)


def _compared(
    compared: Sequence[tuple[str, LogOdds, float]],
    encoded: Encoded,
    visits: Visits,
    interacting: Bools,
) -> tuple[Comparison, ...]:
    """Every model on all visits, then on first and on repeat visits."""
    rows = encoded.asked
    truth, person, history = encoded.ordered[rows], visits.person[rows], history_of(visits, rows)
    groups = {"": np.ones(len(rows), np.bool_), FIRST: history == FIRST, REPEAT: history == REPEAT}
    each = [
        (name, figures(model.logits(encoded), cut, truth, interacting))
        for name, model, cut in compared
    ]
    return tuple(
        Comparison(
            name=name,
            group=group,
            examples=int(chosen.sum()),
            metrics=estimates(
                {figure: value[chosen] for figure, value in values.items()}, person[chosen]
            ),
        )
        for group, chosen in groups.items()
        if chosen.sum() >= FEWEST
        for name, values in each
    )


def _subgroups(
    values: Mapping[str, Floats], visits: Visits, rows: Rows
) -> tuple[SubgroupResult, ...]:
    age = visits.age[rows]
    bands = np.full(len(rows), "unknown", dtype="<U12")
    for low, high in _BANDS:
        bands[(age >= low) & (age < high)] = f"{low} to {high}" if high < 200 else f"from {low}"
    attributes = {"sex": visits.sex[rows], "age": bands, "history": history_of(visits, rows)}
    found = []
    for attribute, of in attributes.items():
        for value in np.unique(of).tolist():
            chosen = of == value
            if chosen.sum() >= FEWEST:
                person = visits.person[rows][chosen]
                own = {name: each[chosen] for name, each in values.items()}
                found.append(
                    SubgroupResult(
                        attribute=attribute,
                        value=value,
                        examples=int(chosen.sum()),
                        metrics=estimates(own, person, 400),
                    )
                )
    return tuple(found)


def _calibration_error(probabilities: Floats, truth: Bools, person: NDArray[np.str_]) -> Estimate:
    """The expected calibration error of all pairs (`metrics.ece`), and its interval."""
    bins = np.minimum((probabilities * BINS).astype(np.int64), BINS - 1)
    gap = np.stack(
        [np.where(bins == b, probabilities - truth, 0).sum(axis=1) for b in range(BINS)], axis=1
    )

    def statistics(weights: Floats) -> dict[str, Floats]:
        pairs = weights.sum(axis=1) * truth.shape[1]
        return {"ece": ratio(np.abs(weights @ gap).sum(axis=1), pairs)}

    return bootstrap(statistics, person, RESAMPLES)["ece"]


def _mean(values: Floats, weights: Floats) -> Floats:
    """Means (b,) of the values (n,) that are defined, under weights (b, n)."""
    defined = np.isfinite(values)
    own = weights[:, defined]
    return ratio(own @ values[defined], own.sum(axis=1))
