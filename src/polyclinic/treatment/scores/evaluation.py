"""How well scores are foretold of patients who were not there in training."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import numpy as np
import yaml
from numpy.typing import NDArray

from polyclinic.core.evaluation import Comparison, Estimate, Evaluation
from polyclinic.learning.evaluate.bootstrap import bootstrap
from polyclinic.learning.evaluate.metrics import ratio
from polyclinic.learning.recipe import parse_recipe
from polyclinic.registry.store import Registry
from polyclinic.registry.version import ModelVersion
from polyclinic.treatment.rules import Rules
from polyclinic.treatment.scores.model import FoldsIn
from polyclinic.treatment.scores.recipe import ScoresRecipe
from polyclinic.treatment.scores.recommender import SIMULATED, ScoresRecommender
from polyclinic.treatment.scores.scored import Rows, Scored, read_scores

Floats = NDArray[np.float64]

WARM, COLD = "half of the scores known", "no score known"
RESAMPLES = 1000


@dataclass(frozen=True)
class Foretold:
    """Scores that were held back: whose (n,), what was foretold (n,), and what they were (n,)."""

    patient: Rows
    expected: Floats
    actual: Floats

    @property
    def residuals(self) -> Floats:
        """How far off (n,)."""
        return np.abs(self.expected - self.actual)


def foretell(
    model: FoldsIn, scored: Scored, patients: Rows, seed: int, *, cold: bool = False
) -> Foretold:
    """Of each patient half of the scores, by lot, are known and the others foretold.

    cold: none is known, and the same others are foretold. Patients with one score count only then.
    """
    rng = np.random.default_rng(seed)
    whose, expected, actual = [], [], []
    for patient in patients.tolist():
        items, values = scored.of(patient)
        order = rng.permutation(len(items))
        known, held = np.split(order, [len(items) // 2])
        if not (len(known) or cold) or not len(held):
            continue
        mine = (items[known], values[known]) if not cold else (items[:0], values[:0])
        told = model.on_scale(model.fold_in(*mine))
        whose += [patient] * len(held)
        expected += told[items[held]].tolist()
        actual += values[held].tolist()
    return Foretold(np.array(whose, np.int64), np.array(expected), np.array(actual))


def interval_width(foretold: Foretold, coverage: float) -> float:
    """Half of the interval that covers (split conformal; Lei et al. 2018), each patient alike.

    The residual below which `coverage` of the patients' scores lie, one patient more than there are
    being as far off as can be. Infinite where there are too few patients.
    """
    patients, whose = np.unique(foretold.patient, return_inverse=True)
    n = len(patients)
    share = 1 / (n * np.bincount(whose)[whose]) if n else np.zeros(0)
    order = np.argsort(foretold.residuals, kind="stable")
    reached = np.cumsum(share[order]) * n / (n + 1)
    place = int(np.searchsorted(reached, coverage - 1e-12))
    return float(foretold.residuals[order[place]]) if place < len(order) else float("inf")


def figures(foretold: Foretold, width: float | None = None) -> dict[str, Estimate]:
    """RMSE, MAE, the share of a patient's pairs in the right order, and coverage of the interval.

    Intervals over patients. width: half of the interval, whose coverage counts each patient alike.
    """
    if not len(foretold.patient):
        return {}
    patients, whose = np.unique(foretold.patient, return_inverse=True)
    count = np.bincount(whose).astype(np.float64)
    square = np.bincount(whose, foretold.residuals**2)
    absolute = np.bincount(whose, foretold.residuals)
    right, pairs = _pairs(foretold, whose, len(patients))
    inside = None
    if width is not None:
        inside = np.bincount(whose, foretold.residuals <= width + 1e-9) / count

    def statistics(weights: Floats) -> dict[str, Floats]:
        told = {
            "rmse": np.sqrt(ratio(weights @ square, weights @ count)),
            "mae": ratio(weights @ absolute, weights @ count),
            "concordant": ratio(weights @ right, weights @ pairs),
        }
        if inside is not None:
            told["coverage"] = ratio(weights @ inside, weights.sum(axis=1))
        return told

    return bootstrap(statistics, patients, RESAMPLES)


def evaluate(
    recipe: ScoresRecipe,
    recommender: ScoresRecommender,
    scored: Scored,
    patients: Rows,
    *,
    part: Literal["validation", "test", "external"],
    dataset: str,
    compared: Mapping[str, FoldsIn] | None = None,
    notes: Sequence[str] = (),
) -> Evaluation:
    """Every figure on patients of a part, those of whom no score is known apart."""
    spec, model = recommender.spec, recommender.model
    warm = foretell(model, scored, patients, recipe.seed)
    cold = foretell(model, scored, patients, recipe.seed, cold=True)
    metrics = figures(warm, spec.width)
    metrics |= {f"{name}_cold": each for name, each in figures(cold, spec.cold_width).items()}
    comparisons = [
        Comparison(
            name=name,
            group=group,
            examples=len(told.patient),
            metrics=figures(told),
        )
        for group, is_cold in ((WARM, False), (COLD, True))
        for name, other in (compared or {}).items()
        for told in (foretell(other, scored, patients, recipe.seed, cold=is_cold),)
    ]
    none = Estimate(value=0.0, low=0.0, high=0.0)
    return Evaluation(
        dataset=dataset,
        dataset_digest=scored.digest(),
        part=part,
        time=datetime.now(UTC),
        examples=len(warm.patient),
        patients=len(patients),
        label_counts={},
        metrics=metrics,
        reliability=(),
        operating_points=(),
        conformal=None,
        abstained=none,
        unfamiliar=None,
        comparisons=tuple(comparisons),
        notes=(
            f"Scores from {spec.low:g} to {spec.high:g}: {spec.what}. Of each patient half of the "
            f"scores are known and the others foretold; “{COLD}” is the cold start, at which the "
            "model always abstains: what it tells are means over other patients. Coverage is of "
            f"intervals that promise {spec.coverage:.0%}.",
            f"Safety knowledge {recommender.knowledge}.",
            *((SIMULATED,) if spec.simulated else ()),
            *notes,
        ),
    )


def evaluate_file(
    registry: Registry, version: ModelVersion, data: Path, by: str, rules: Rules
) -> Evaluation:
    """Measure a registered version on scores, and record the figures in its card.

    On the data that the model was made from this opens the test part, which is logged; of other
    data all patients are measured, on the treatments that the model knows.
    """
    manifest = version.manifest
    recipe = parse_recipe(yaml.safe_load(manifest.recipe), ScoresRecipe, str(version))
    recommender = ScoresRecommender.load(registry, version, rules)
    scored = read_scores(data, recipe.data, rules.formulary, recipe.seed)
    own = scored.digest() == manifest.data.digest
    if own:
        patients = scored.parts(recipe.seed)["test"]
        registry.open_test(version, scored.digest(), by)
    else:
        scored = recommender.of_its_treatments(scored)
        patients = np.unique(scored.patient)
    evaluation = evaluate(
        recipe,
        recommender,
        scored,
        patients,
        part="test" if own else "external",
        dataset=recipe.data.name if own else data.name,
        notes=scored.notes,
    )
    registry.record_evaluation(version, evaluation)
    return evaluation


def _pairs(foretold: Foretold, whose: Rows, patients: int) -> tuple[Floats, Floats]:
    """How many pairs of a patient's scores that differ are in the right order, and how many differ.

    Equal expectations count half.
    """
    right, pairs = np.zeros(patients), np.zeros(patients)
    starts = np.flatnonzero(np.r_[True, whose[1:] != whose[:-1]])
    for start, end in zip(starts, [*starts[1:], len(whose)], strict=True):
        told, actual = foretold.expected[start:end], foretold.actual[start:end]
        differ = np.sign(actual[:, None] - actual)
        upper = np.triu(differ != 0, 1)
        agree = 0.5 + 0.5 * differ * np.sign(told[:, None] - told)
        right[whose[start]] = (agree * upper).sum()
        pairs[whose[start]] = upper.sum()
    return right, pairs
