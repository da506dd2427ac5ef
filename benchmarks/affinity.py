"""Affinity of drugs and proteins on DAVIS, by DeepDTA's folds, beside what was published.

    python benchmarks/affinity.py FOLDER [--json] [--test] [--version NAME@VERSION] [--quick]

FOLDER is `../shared/data/affinity/davis`. The recipe `recipes/davis.yaml` is trained in a registry
of its own: a model is chosen on the first of the five training folds, and measured on all five, and
on splits of the same pairs in which drugs, proteins or both are new. Only with --test is the test
fold of 5,010 pairs opened, after the choice, by the model as it is served. --version measures a
registered version instead of training one. --quick leaves out the candidates but means and kernel.

Published figures are of the same test fold; their models were trained on the five training folds.
Intervals are of 95%. Coverage is of 90% intervals: by folds the mean of 200 re-splits of held-out
pairs (of whole drugs or proteins where these are new), and on the test fold as it is served.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")

from polyclinic.core.evaluation import Estimate, Evaluation
from polyclinic.core.settings import Settings
from polyclinic.discovery.affinity.recipe import AffinityRecipe
from polyclinic.discovery.affinity.steps.evaluation import evaluate_file
from polyclinic.discovery.affinity.steps.run import run
from polyclinic.learning.recipe import parse_recipe, read_yaml
from polyclinic.registry.store import open_registry

RECIPE = Path(__file__).parents[1] / "recipes" / "davis.yaml"

#: Concordance index and mean squared error of pKd on the test fold: of the first three by Ozturk et
#: al. 2018 (DeepDTA, Bioinformatics 34:i821-i829), of the last by Nguyen et al. 2021 (GraphDTA,
#: Bioinformatics 37:1140-1147).
PUBLISHED = {
    "KronRLS": (0.871, 0.379),
    "SimBoost": (0.872, 0.282),
    "DeepDTA": (0.878, 0.261),
    "GraphDTA": (0.893, 0.229),
}


class Watcher:
    """Says on stderr how far it is."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    def step(self, name: str) -> None:
        """A step begins."""
        self._say(name)

    def trial(self, number: int, loss: float) -> None:
        """So many candidates are done."""
        self._say(f"  {number} done, lowest mean squared error {loss:.4f}")

    def _say(self, words: str) -> None:
        print(f"{time.monotonic() - self._start:6.0f} s  {words}", file=sys.stderr)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--test", action="store_true")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--version")
    asked = parser.parse_args()
    found = measure(asked.folder, asked.version, test=asked.test, quick=asked.quick)
    if asked.json:
        print(json.dumps(found, indent=2))
        return
    for name, own in found.items():
        print(name)
        for key, value in own.items() if isinstance(own, dict) else {"": own}.items():
            print(f"  {key}: {shown(value)}")


def measure(folder: Path, name: str | None, *, test: bool, quick: bool) -> dict[str, Any]:
    """Figures by folds, in each way in which a pair can be new, and of the test fold."""
    with tempfile.TemporaryDirectory() as home:
        registry = open_registry() if name else open_registry(Settings(home=Path(home)))
        start = time.monotonic()
        if name:
            version = registry.resolve(name)
        else:
            content = read_yaml(RECIPE)
            if quick:
                content["candidates"] = ["means", "kernel"]
            recipe = parse_recipe(content, AffinityRecipe, str(RECIPE))
            version = run(recipe, folder, RECIPE.parent, registry, Watcher())
        validation = version.manifest.validation
        found: dict[str, Any] = {
            "model": {
                "version": str(version),
                "chosen": version.manifest.spec["model"],
                "why": validation.notes[0],
                "training_seconds": None if name else round(time.monotonic() - start, 1),
                "bytes": sum(each.size for each in version.manifest.artefacts.values()),
            },
            "published": {
                each: {"concordance": ci, "mse": mse} for each, (ci, mse) in PUBLISHED.items()
            },
            "first_fold": {each.name: said(each.metrics) for each in validation.comparisons},
            "training_folds": {
                each.value: {"pairs": each.examples} | said(each.metrics)
                for each in validation.subgroups
            },
        }
        if test:
            found["test_fold"] = of_test(evaluate_file(registry, version, folder, "benchmarks"))
            found["test_openings"] = len(registry.test_openings(version.manifest.data.digest))
        return found


def of_test(evaluation: Evaluation) -> dict[str, Any]:
    """The test fold's figures, and by what is new."""
    return {
        "all": {"pairs": evaluation.examples} | said(evaluation.metrics),
        **{
            each.value: {"pairs": each.examples} | said(each.metrics)
            for each in evaluation.subgroups
        },
    }


def said(metrics: dict[str, Estimate]) -> dict[str, Any]:
    """Values with their intervals."""
    return {
        name: {
            "value": round(each.value, 4),
            "low": round(each.low, 4),
            "high": round(each.high, 4),
        }
        for name, each in metrics.items()
    }


def shown(value: Any) -> str:
    """A figure, or several, in a line."""
    if not isinstance(value, dict):
        return str(value)
    if set(value) == {"value", "low", "high"}:
        return f"{value['value']:.3f} ({value['low']:.3f} to {value['high']:.3f})"
    return ", ".join(f"{name} {shown(each)}" for name, each in value.items())


if __name__ == "__main__":
    main()
