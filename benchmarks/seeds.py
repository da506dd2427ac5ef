"""A recipe trained with several seeds, each measured once on the test part.

Every model goes through the five steps of `polyclinic train` and the one command that opens the
test part, so the openings are counted. State is kept in HOME, so that a stopped run goes on.

    POLYCLINIC_HOME=HOME python benchmarks/seeds.py RECIPE DATA SEEDS
"""

import sys
from pathlib import Path
from statistics import mean, stdev

from polyclinic.diagnosis.imaging.evaluation import evaluate_file
from polyclinic.diagnosis.imaging.recipe import ImageRecipe
from polyclinic.diagnosis.imaging.steps.run import run
from polyclinic.learning.recipe import parse_recipe, read_yaml
from polyclinic.learning.train.checkpoint import Epoch
from polyclinic.registry.store import open_registry


class Listener:
    """Says nothing: the table is the output."""

    def step(self, name: str) -> None:
        """A step begins."""

    def read(self, done: int, files: int) -> None:
        """Files are read."""

    def epoch(self, epoch: Epoch) -> None:
        """An epoch is done."""

    def trial(self, number: int, loss: float) -> None:
        """A trial is done."""


def main(recipe_path: Path, data: Path, seeds: int) -> None:
    """Print a row for each seed, then mean and deviation of the test AUC."""
    recipe = parse_recipe(read_yaml(recipe_path), ImageRecipe, str(recipe_path))
    registry = open_registry()
    print("| seed | validation AUC | test AUC (95% CI) | test accuracy at the deciding point |")
    print("| --- | --- | --- | --- |")
    aucs = []
    for seed in range(seeds):
        version = run(recipe.changed({"seed": seed}), data, Path(), registry, Listener())
        measured = evaluate_file(registry, version, data, "benchmarks/seeds.py")
        auc = measured.metrics["auc"]
        chosen = next(point for point in measured.operating_points if point.chosen)
        accuracy = chosen.metrics["accuracy"]
        validation = version.manifest.validation.metrics["auc"].value
        print(
            f"| {seed} | {validation:.4f} | {auc.value:.4f} ({auc.low:.4f} to {auc.high:.4f}) "
            f"| {accuracy.value:.3f} ({accuracy.low:.3f} to {accuracy.high:.3f}) |",
            flush=True,
        )
        aucs.append(auc.value)
    spread = stdev(aucs) if len(aucs) > 1 else 0.0
    print(f"\nTest AUC over {seeds} seeds: {mean(aucs):.4f} ± {spread:.4f} (standard deviation)")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
