"""Conditions of a simulated hospital's patients, in five folds, with and without medications.

    python benchmarks/conditions.py EXPORT [SEED]

EXPORT is made as `recipes/conditions.yaml` says. Patients are dealt into five folds; of the others
a part decides when to stop and calibrates, and the fold is scored. The predictions of all folds are
scored together, with intervals by bootstrap over patients. Without medications the task is what
laboratory values and vital signs tell; `age and sex` is what those two tell. One thread.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from polyclinic.diagnosis.records.models import load_model
from polyclinic.diagnosis.records.recipe import RecordRecipe, TimelineData
from polyclinic.diagnosis.records.records import Records
from polyclinic.diagnosis.records.source import read_records
from polyclinic.diagnosis.records.steps.prepare import make_features
from polyclinic.diagnosis.records.steps.train import train
from polyclinic.diagnosis.records.steps.trust import fit_trust
from polyclinic.learning.evaluate.bootstrap import bootstrap
from polyclinic.learning.evaluate.metrics import classification_metrics, mean, multi_label_metrics
from polyclinic.learning.prepare.splits import split

RECIPE = Path(__file__).parents[1] / "recipes" / "conditions.yaml"
FOLDS = 5
RESAMPLES = 200
MODELS: dict[str, dict[str, Any]] = {
    "LightGBM": {},
    "logistic": {"model": {"name": "logistic", "strengths": [1e-4, 1e-3, 1e-2]}},
    "prevalence": {"model": {"name": "prevalence"}},
}
#: Which of the measured variables are left.
INPUTS = ("all", "no medications", "age and sex")


def recipe_of(inputs: str, changed: dict[str, Any], seed: int) -> RecordRecipe:
    """The recipe with another model, and with fewer inputs."""
    content = yaml.safe_load(RECIPE.read_text()) | changed | {"seed": seed}
    measured = content["data"]["measured"]
    if inputs == "no medications":
        content["data"]["measured"] = [one for one in measured if "medication" not in one]
    elif inputs == "age and sex":
        # Something must be measured; once a year, and of no use.
        content["data"]["measured"] = [one for one in measured if one["name"] == "inr_pt"]
        content["data"]["fixed"] = content["data"]["fixed"][:2]
    return RecordRecipe.model_validate(content)


def folds(records: Records, seed: int) -> Iterator[dict[str, NDArray[np.int64]]]:
    """The rows of each fold as `test`, of the rest 85% for training and 15% for validation."""
    names = [f"fold {i}" for i in range(FOLDS)]
    dealt = split(records.y, dict.fromkeys(names, 1 / FOLDS), records.patient, seed)
    for name in names:
        rest = np.setdiff1d(np.arange(len(records.y)), dealt[name])
        shares = {"train": 0.85, "validation": 0.15}
        inner = split(records.y[rest], shares, records.patient[rest], seed)
        yield {"test": dealt[name]} | {part: rest[rows] for part, rows in inner.items()}


def scored(recipe: RecordRecipe, records: Records) -> dict[str, NDArray[Any]]:
    """Calibrated probabilities and sets of every fold, and the truth."""
    found: list[dict[str, NDArray[Any]]] = []
    for parts in folds(records, recipe.seed):
        prepared = make_features(recipe, records, parts)
        model = fit_trust(recipe, prepared, train(recipe, prepared))
        test = prepared.dataset.test
        assert test is not None
        shape = len(prepared.encoding.features), len(recipe.data.labels)
        served = load_model(model.files, *shape, exclusive=False)
        p = model.spec.calibration.apply(served.logits(test.x))
        sets = model.spec.conformal.sets(p)
        found.append({"p": p, "sets": sets, "y": test.y, "patient": np.asarray(test.patient)})
    return {key: np.concatenate([fold[key] for fold in found]) for key in found[0]}


def figures(data: TimelineData, answers: dict[str, NDArray[Any]]) -> dict[str, str]:
    """Each figure with its 95% interval by bootstrap over patients."""
    p, y, sets = answers["p"], answers["y"], answers["sets"]

    def statistics(weights: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        found = {f"macro {name}": v for name, v in multi_label_metrics(p, y, weights).items()}
        for column, label in enumerate(data.labels):
            present = y[:, column]
            two = np.column_stack([1 - p[:, column], p[:, column]])
            each = classification_metrics(two, present.astype(np.int64), weights)
            for name in ("auc", "auprc", "ece"):
                found[f"{label.code} {name}"] = each[name]
            found[f"{label.code} coverage"] = mean(
                sets[present, column].astype(np.float64), weights[..., present]
            )
        return found

    return {
        name: f"{value.value:.3f} ({value.low:.3f} to {value.high:.3f})"
        for name, value in bootstrap(statistics, answers["patient"], RESAMPLES).items()
    }


def main(export: Path, seed: int) -> None:
    """Print a table for each choice of inputs and model."""
    for inputs in INPUTS:
        for name, changed in MODELS.items():
            if name == "prevalence" and inputs != "all":
                continue
            recipe = recipe_of(inputs, changed, seed)
            assert isinstance(recipe.data, TimelineData)
            records = read_records(export, recipe.data).plausible()
            print(f"\n{name}, {inputs}: {len(records.y)} patients")
            for what, value in figures(recipe.data, scored(recipe, records)).items():
                print(f"| {what} | {value} |", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0)
