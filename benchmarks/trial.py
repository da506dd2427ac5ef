"""ACTG 175: what choosing a treatment by a model is worth, against each arm for all.

    python benchmarks/trial.py FILE [--seeds N] [--json]

FILE is ACTG175.csv (`polyclinic data get actg175`). Outcome and covariates are those of
`recipes/actg175.yaml`. Each learner's policy is cross-fitted in five folds, its value by
doubly-robust scores whose nuisances are cross-fitted as well, so that nobody is judged by a model
that saw them; all of it for several seeds, of which medians are told with their spread. Subgroup
effects and the calibration of predicted benefits are of the first seed. All 2,139 patients take
part: this is no look at the recipe's test part alone.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from polyclinic.core.evaluation import Estimate
from polyclinic.learning.effect.features import fit_basis
from polyclinic.learning.effect.learners import LEARNERS, doubly_robust
from polyclinic.learning.effect.policy import calibration, mean, policy_value, predicted_elsewhere
from polyclinic.learning.recipe import parse_recipe, read_yaml
from polyclinic.treatment.benefit.recipe import BenefitRecipe
from polyclinic.treatment.benefit.table import read_trial
from polyclinic.treatment.benefit.train import as_trial

RECIPE = Path(__file__).parents[1] / "recipes" / "actg175.yaml"
FOLDS = 5


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    found = measure(asked.file, asked.seeds)
    if asked.json:
        print(json.dumps(found, indent=2))
        return
    for name, own in found.items():
        print(name)
        for key, value in own.items():
            print(f"  {key}: {value}")


def measure(file: Path, seeds: int) -> dict[str, Any]:
    """Values of arms and policies, subgroups, and calibration, in days."""
    recipe = parse_recipe(read_yaml(RECIPE), BenefitRecipe, str(RECIPE))
    table = read_trial(file, recipe.data)
    rows = np.arange(len(table))
    names = [arm.display for arm in recipe.data.arms]
    trial = as_trial(table, rows, fit_basis(table.x), len(names), randomised=True)
    scores = doubly_robust(trial, FOLDS, 0)
    best = int(scores.mean(axis=0).argmax())
    found: dict[str, Any] = {
        "arms for all": {name: said(mean(own)) for name, own in zip(names, scores.T, strict=True)}
    }
    for learner in LEARNERS:
        worths = []
        for seed in range(seeds):
            predicted = predicted_elsewhere(learner, trial, FOLDS, seed)
            worths.append(policy_value(doubly_robust(trial, FOLDS, seed), predicted.argmax(axis=1)))
        value = [worth.value.value for worth in worths]
        first = predicted_elsewhere(learner, trial, FOLDS, 0)
        told = {
            "value, median over seeds": f"{np.median(value):.1f} ({min(value):.1f} to "
            f"{max(value):.1f})",
            "value, first seed": said(worths[0].value),
            **{
                f"over {name}": said(middle([worth.over[number] for worth in worths]))
                for number, name in enumerate(names)
            },
        }
        for number, name in enumerate(names):
            if number != best:
                groups, slope = calibration(
                    first[:, best] - first[:, number], scores[:, best] - scores[:, number]
                )
                told[f"calibration slope, {names[best]} over {name}"] = said(slope, 2)
                told[f"  fifths by predicted benefit over {name}"] = "; ".join(
                    f"{group.predicted:.0f} → {said(group.observed, 0)}" for group in groups
                )
        found[f"{learner}-learner"] = told
    subgroups: dict[str, str] = {}
    for place, covariate in enumerate(recipe.data.covariates):
        if covariate.name not in recipe.data.subgroups or not covariate.values:
            continue
        for value, words in covariate.values.items():
            own = table.x[:, place] == float(value)
            for number, name in enumerate(names):
                if number != best:
                    effect = mean(scores[own, best] - scores[own, number])
                    subgroups[f"{covariate.display} {words} ({int(own.sum())}), over {name}"] = (
                        said(effect)
                    )
    found[f"{names[best]} within subgroups"] = subgroups
    return found


def middle(estimates: list[Estimate]) -> Estimate:
    """The estimate of the seed whose value is the median."""
    return sorted(estimates, key=lambda each: each.value)[len(estimates) // 2]


def said(estimate: Estimate, digits: int = 1) -> str:
    """The value with its 95% interval."""
    low, high = f"{estimate.low:.{digits}f}", f"{estimate.high:.{digits}f}"
    return f"{estimate.value:.{digits}f} ({low} to {high})"


if __name__ == "__main__":
    main()
