"""Late fusion of two halves of a record, against each half and against one model of both.

    python benchmarks/fusion.py recipes/mortality24.yaml COHORT

Vital signs and laboratory values of the first day stand for what two
departments know of a patient: no data at hand pairs pictures with records. Five folds by stay; each
half's model is calibrated by its own validation, and their probabilities are fused as
`POST /v1/diagnosis/patient` does. The two are not independent given the truth, which is what the
fusion takes them to be. Intervals by bootstrap over stays.
"""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polyclinic.diagnosis.records.models import load_model
from polyclinic.diagnosis.records.recipe import RecordRecipe
from polyclinic.diagnosis.records.records import Records
from polyclinic.diagnosis.records.source import read_records
from polyclinic.diagnosis.records.steps.prepare import make_features
from polyclinic.diagnosis.records.steps.train import train
from polyclinic.diagnosis.records.steps.trust import fit_trust
from polyclinic.learning.evaluate.bootstrap import bootstrap
from polyclinic.learning.evaluate.metrics import auc, auprc, ece, log_loss
from records import folds, read_recipe

VITALS = {"dbp", "fio2", "hr", "map", "o2sat", "resp", "sbp", "temp", "urine"}

Floats = NDArray[np.float64]


def half(records: Records, names: set[str]) -> Records:
    """The records with only these hourly variables, and what does not change."""
    inputs = records.inputs
    assert inputs.hourly is not None
    chosen = [i for i, variable in enumerate(records.hourly) if variable.name in names]
    hourly = replace(inputs.hourly, values=inputs.hourly.values[:, chosen])
    variables = tuple(records.hourly[i] for i in chosen)
    return replace(records, hourly=variables, inputs=replace(inputs, hourly=hourly))


def answers(
    recipe: RecordRecipe, records: Records, parts: dict[str, NDArray[np.int64]]
) -> tuple[Floats, float]:
    """Calibrated probabilities of the fold (n,), and the prevalence they are for."""
    prepared = make_features(recipe, records, parts)
    model = fit_trust(recipe, prepared, train(recipe, prepared))
    served = load_model(model.files, len(prepared.encoding.features), 2, exclusive=True)
    test = prepared.dataset.parts["test"]
    found = model.spec.calibration.apply(served.logits(test.x))[:, 1]
    return found, float(prepared.dataset.validation.y.mean())


def log_odds(p: Any) -> Any:
    """Of probabilities."""
    p = np.clip(p, 1e-6, 1 - 1e-6)
    return np.log(p / (1 - p))


def main() -> None:
    """Print a table."""
    recipe = read_recipe(Path(sys.argv[1]))
    records = read_records(Path(sys.argv[2]), recipe.data).plausible()
    names = {variable.name for variable in records.hourly}
    views = {"vital signs": VITALS, "laboratory": names - VITALS, "one model of both": names}
    told: dict[str, list[Floats]] = {}
    truth = []
    for parts in folds(records, 0):
        truth.append(records.y[parts["test"]])
        some = {name: answers(recipe, half(records, view), parts) for name, view in views.items()}
        (one, prior), (other, prior_other), _ = some.values()
        moved = log_odds(one) - log_odds(prior) + log_odds(other) - log_odds(prior_other)
        fused = moved + (log_odds(prior) + log_odds(prior_other)) / 2
        for name, (found, _) in some.items():
            told.setdefault(name, []).append(found)
        told.setdefault("fused", []).append(1 / (1 + np.exp(-fused)))
    y = np.concatenate(truth)
    measures = {"AUROC": auc, "AUPRC": auprc, "ECE": ece, "log loss": log_loss}
    print("| | " + " | ".join(measures) + " |\n" + "| --- " * 5 + "|")
    for name, parts_of in told.items():
        found = np.concatenate(parts_of)
        p = np.column_stack([1 - found, found])
        estimates = bootstrap(
            lambda weights, p=p: {n: measure(p, y, weights) for n, measure in measures.items()},
            np.arange(len(y)),
            1000,
        )
        cells = (f"{e.value:.3f} ({e.low:.3f} to {e.high:.3f})" for e in estimates.values())
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
