"""Diagnosis from records: hourly stays in folds, another hospital, a plain table.

    python benchmarks/records.py folds RECIPE COHORT SEED[,SEED ...] [MODEL ...]
    python benchmarks/records.py other RECIPE DATA [OTHER ...]

`folds` deals the stays into five folds by each seed, and trains on the others: of these a part
decides when to stop and calibrates, and the fold is scored. The predictions of all folds are scored
together, with intervals by bootstrap over stays. `other` trains each model by the recipe's own
parts, and measures it on validation and on other data; the test part stays shut.
"""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from polyclinic.core.settings import Settings
from polyclinic.diagnosis.records.evaluation import evaluate_file
from polyclinic.diagnosis.records.models import load_model
from polyclinic.diagnosis.records.recipe import RecordRecipe
from polyclinic.diagnosis.records.records import BEFORE, HOURS, Records
from polyclinic.diagnosis.records.source import read_records
from polyclinic.diagnosis.records.steps.prepare import Prepared, make_features
from polyclinic.diagnosis.records.steps.run import run
from polyclinic.diagnosis.records.steps.train import train
from polyclinic.diagnosis.records.steps.trust import fit_trust
from polyclinic.learning.evaluate.bootstrap import bootstrap
from polyclinic.learning.evaluate.metrics import auc, auprc, ece, mean
from polyclinic.learning.prepare.splits import split
from polyclinic.learning.train.checkpoint import Epoch
from polyclinic.registry.store import open_registry

FOLDS = 5
#: What of a recipe is changed; the last values come with the hours since and the step before.
MODELS: dict[str, dict[str, Any]] = {
    "LightGBM": {},
    "LightGBM, last values": {"features": {"windows": []}},
    "logistic": {"model": {"name": "logistic", "strengths": [1e-4, 1e-3, 1e-2]}},
    "prevalence": {"model": {"name": "prevalence"}},
    "GRU": {
        "model": {"name": "recurrent", "cell": "gru", "steps": 48, "width": 64, "dropout": 0.2},
        "train": {"epochs": 12, "patience": 3, "batch_size": 256, "learning_rate": 0.002},
    },
}


class Silence:
    """Nobody listens."""

    def step(self, name: str) -> None:
        """A step begins."""

    def epoch(self, epoch: Epoch) -> None:
        """An epoch is done."""

    def trial(self, number: int, loss: float) -> None:
        """A trial is done."""


def read_recipe(path: Path, **changed: object) -> RecordRecipe:
    """A recipe with some of its parts replaced."""
    return RecordRecipe.model_validate(yaml.safe_load(path.read_text()) | changed)


def folds(records: Records, seed: int) -> Iterator[dict[str, NDArray[np.int64]]]:
    """The rows of each fold as `test`, of the rest 85% for training and 15% for validation."""
    names = [f"fold {i}" for i in range(FOLDS)]
    dealt = split(records.y, dict.fromkeys(names, 1 / FOLDS), records.patient, seed)
    for name in names:
        rest = np.setdiff1d(np.arange(len(records.y)), dealt[name])
        inner = split(
            records.y[rest], {"train": 0.85, "validation": 0.15}, records.patient[rest], seed
        )
        yield {"test": dealt[name]} | {part: rest[rows] for part, rows in inner.items()}


def scored(recipe: RecordRecipe, prepared: Prepared) -> dict[str, NDArray[Any]]:
    """The fold's calibrated probabilities, sets, and calls at the deciding point."""
    model = fit_trust(recipe, prepared, train(recipe, prepared))
    test = prepared.dataset.test
    assert test is not None
    served = load_model(model.files, len(prepared.encoding.features), 2, exclusive=True)
    p = model.spec.calibration.apply(served.logits(test.x))
    point = model.spec.deciding(model.spec.findings[0])
    return {
        "p": p,
        "y": test.y,
        "patient": test.patient,
        "before": test.subgroups[HOURS] == BEFORE,
        "called": p[:, 1] >= point.threshold,
        "covered": model.spec.conformal.sets(p)[np.arange(len(p)), test.y],
        **{f"group {name}": values for name, values in test.subgroups.items()},
    }


def figures(all_folds: dict[str, NDArray[Any]], resamples: int = 200) -> dict[str, str]:
    """Each figure with its 95% interval by bootstrap over patients."""
    p, y, before = all_folds["p"], all_folds["y"], all_folds["before"]
    called, patient = all_folds["called"], all_folds["patient"]
    begins = called & ~np.concatenate([[False], called[:-1] & (patient[1:] == patient[:-1])])
    groups = {
        f"AUROC, {key[6:]} {value}": all_folds[key] == value
        for key in all_folds
        if key.startswith("group ") and key != f"group {HOURS}"
        for value in np.unique(all_folds[key])
        if (all_folds[key] == value).sum() >= 1000
    }

    def statistics(weights: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        early = weights[..., before]
        return {
            "AUROC before onset": auc(p[before], y[before], early),
            "AUPRC before onset": auprc(p[before], y[before], early),
            "AUROC all hours": auc(p, y, weights),
            "AUPRC all hours": auprc(p, y, weights),
            "ECE all hours": ece(p, y, weights),
            "coverage, positive hours": mean(all_folds["covered"][y == 1], weights[..., y == 1]),
            "coverage, negative hours": mean(all_folds["covered"][y == 0], weights[..., y == 0]),
            "sensitivity before onset": mean(
                called[before & (y == 1)], weights[..., before & (y == 1)]
            ),
            "alarms a patient-day": 24 * mean(begins[before], early),
            "alarm hours a patient-day": 24 * mean(called[before], early),
            **{name: auc(p[rows], y[rows], weights[..., rows]) for name, rows in groups.items()},
        }

    found = bootstrap(statistics, patient, resamples)
    return {
        name: f"{value.value:.3f} ({value.low:.3f} to {value.high:.3f})"
        for name, value in found.items()
    }


def in_folds(path: Path, cohort: Path, seeds: list[int], names: list[str]) -> None:
    """Five folds by stay, dealt out by each seed, of each of the named models."""
    recipes = {name: read_recipe(path, **MODELS[name]) for name in names}
    records = read_records(cohort, recipes[names[0]].data).plausible()
    for seed in seeds:
        scores: dict[str, list[dict[str, NDArray[Any]]]] = {name: [] for name in names}
        for parts in folds(records, seed):
            for name, recipe in recipes.items():
                started = perf_counter()
                changed = recipe.model_copy(update={"seed": seed})
                scores[name].append(scored(changed, make_features(changed, records, parts)))
                print(f"  {name} {perf_counter() - started:.0f} s", file=sys.stderr)
        for name, some in scores.items():
            joined = {key: np.concatenate([one[key] for one in some]) for key in some[0]}
            show(f"{name}, seed {seed}", joined)


def show(title: str, answers: dict[str, NDArray[Any]]) -> None:
    """Print the figures as rows of a table."""
    print(f"\n{title}")
    for what, value in figures(answers).items():
        print(f"| {what} | {value} |", flush=True)


def elsewhere(path: Path, cohort: Path, others: list[Path]) -> None:
    """Validation figures of every model, and those at other places; no test part is opened."""
    for name, changed in MODELS.items():
        for seed in range(3 if name == "LightGBM" else 1):
            recipe = read_recipe(path, seed=seed, **changed)
            with tempfile.TemporaryDirectory() as home:
                registry = open_registry(Settings(home=Path(home)))
                version = run(recipe, cohort, Path(home), registry, Silence())
                found = [version.manifest.validation]
                found += [evaluate_file(registry, version, other, "benchmark") for other in others]
            for evaluation in found:
                print(f"\n{name}, seed {seed}, {evaluation.dataset}, {evaluation.part}")
                coverage = evaluation.conformal.coverage_by_label
                rows = evaluation.metrics | {f"coverage, {k}": v for k, v in coverage.items()}
                for what, e in (rows | {"unfamiliar": evaluation.unfamiliar}).items():
                    print(f"| {what} | {e.value:.3f} ({e.low:.3f} to {e.high:.3f}) |")


def main() -> None:
    """Run what the command line names."""
    what, *places = sys.argv[1:]
    if what == "folds":
        recipe, cohort, seeds, *names = places
        dealt = [int(seed) for seed in seeds.split(",")]
        in_folds(Path(recipe), Path(cohort), dealt, names or list(MODELS))
    else:
        elsewhere(Path(places[0]), Path(places[1]), [Path(place) for place in places[2:]])


if __name__ == "__main__":
    main()
