"""How good a model of benefit is on a part of a trial: the figures of its card."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import numpy as np
import yaml
from numpy.typing import NDArray

from polyclinic.core.evaluation import Comparison, Estimate, Evaluation, SubgroupResult
from polyclinic.learning.effect.learners import doubly_robust
from polyclinic.learning.effect.policy import calibration, mean, policy_value
from polyclinic.learning.recipe import parse_recipe
from polyclinic.registry.store import Registry
from polyclinic.registry.version import ModelVersion
from polyclinic.treatment.benefit.recipe import BenefitRecipe
from polyclinic.treatment.benefit.recommender import OBSERVED, BenefitRecommender
from polyclinic.treatment.benefit.table import Table, read_trial
from polyclinic.treatment.benefit.train import as_trial
from polyclinic.treatment.rules import Rules

#: A subgroup of fewer patients has no figures.
FEWEST = 60


def evaluate(
    recipe: BenefitRecipe,
    recommender: BenefitRecommender,
    table: Table,
    rows: NDArray[np.int64],
    *,
    part: Literal["validation", "test", "external"],
    dataset: str,
    notes: Sequence[str] = (),
) -> Evaluation:
    """The worth of giving each patient the model's best arm, against every arm for all.

    All by doubly-robust scores whose nuisances are cross-fitted within the part. Predicted benefits
    are those of the arm that was best on average in training.
    """
    data, model, best = recipe.data, recommender.model, recommender.spec.best
    trial = as_trial(table, rows, model.basis, len(data.arms), randomised=data.randomised)
    scores = doubly_robust(trial, recipe.folds, recipe.seed)
    expected = model.line.predict(trial.columns)
    chosen = expected.argmax(axis=1)
    worth = policy_value(scores, chosen)
    told = model.tell(table.x[rows], recommender.spec.coverage)
    undecided = np.array([bool((each.behind[:, 1] >= 0).sum() > 1) for each in told], np.float64)
    unfamiliar = recommender.p_values(table.x[rows]) <= recommender.spec.familiarity_alpha
    metrics = {"policy_value": worth.value}
    for arm, over in zip(data.arms, worth.over, strict=True):
        metrics[f"policy_over {arm.display}"] = over
    for number, arm in enumerate(data.arms):
        if number != best:
            _, slope = calibration(
                expected[:, best] - expected[:, number], scores[:, best] - scores[:, number]
            )
            metrics[f"calibration_slope_against {arm.display}"] = slope
    names = [arm.display for arm in data.arms]
    return Evaluation(
        dataset=dataset,
        dataset_digest=table.digest,
        part=part,
        time=datetime.now(UTC),
        examples=len(rows),
        patients=len(rows),
        label_counts={},
        metrics=metrics,
        reliability=(),
        operating_points=(),
        conformal=None,
        abstained=mean(np.maximum(undecided, unfamiliar)),
        unfamiliar=mean(unfamiliar.astype(np.float64)),
        comparisons=(
            Comparison(
                name="the model's choice", examples=len(rows), metrics={"value": worth.value}
            ),
            *(
                Comparison(name=f"{name} for all", examples=len(rows), metrics={"value": mean(own)})
                for name, own in zip(names, scores.T, strict=True)
            ),
        ),
        subgroups=tuple(_subgroups(recipe, table.x[rows], scores, best)),
        notes=(
            f"Values: {data.what}{f', {data.unit}' if data.unit else ''}; doubly robust, intervals "
            "by the central limit theorem. A calibration slope of 1 is right; near 0 the model "
            "tells nobody apart.",
            _verdict(worth.over[best], names[best]),
            f"Safety knowledge {recommender.knowledge}.",
            *(() if data.randomised else (OBSERVED,)),
            *notes,
        ),
    )


def evaluate_file(
    registry: Registry, version: ModelVersion, data: Path, by: str, rules: Rules
) -> Evaluation:
    """Measure a registered version on a table, and record the figures in its card.

    On the table that the model was made from this opens the test part, which is logged; of another
    all patients are measured.
    """
    manifest = version.manifest
    recipe = parse_recipe(yaml.safe_load(manifest.recipe), BenefitRecipe, str(version))
    model = BenefitRecommender.load(registry, version, rules)
    table = read_trial(data, recipe.data)
    own = table.digest == manifest.data.digest
    rows = table.parts(recipe.seed)["test"] if own else np.arange(len(table))
    if own:
        registry.open_test(version, table.digest, by)
    evaluation = evaluate(
        recipe,
        model,
        table,
        rows,
        part="test" if own else "external",
        dataset=recipe.data.name if own else data.name,
        notes=table.notes,
    )
    registry.record_evaluation(version, evaluation)
    return evaluation


def _verdict(over: Estimate, best: str) -> str:
    interval = f"{over.value:+.3g} ({over.low:+.3g} to {over.high:+.3g})"
    if over.low > 0:
        return f"Choosing by the model is better here than {best} for all: {interval}."
    return f"Choosing by the model is not shown to be better than {best} for all: {interval}."


def _subgroups(
    recipe: BenefitRecipe, x: NDArray[np.float64], scores: NDArray[np.float64], best: int
) -> "list[SubgroupResult]":
    """What the best arm has over each other, within each value of the subgroups' covariates."""
    found = []
    for place, covariate in enumerate(recipe.data.covariates):
        if covariate.name not in recipe.data.subgroups:
            continue
        values = x[:, place]
        if covariate.values:
            groups = {said: values == float(value) for value, said in covariate.values.items()}
        else:
            middle = float(np.nanmedian(values))
            groups = {f"below {middle:g}": values < middle, f"from {middle:g}": values >= middle}
        for value, chosen in groups.items():
            if chosen.sum() >= FEWEST:
                found.append(
                    SubgroupResult(
                        attribute=covariate.display,
                        value=value,
                        examples=int(chosen.sum()),
                        metrics={
                            f"best arm over {arm.display}": mean(
                                scores[chosen, best] - scores[chosen, number]
                            )
                            for number, arm in enumerate(recipe.data.arms)
                            if number != best
                        },
                    )
                )
    return found
