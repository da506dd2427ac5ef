"""Planted label errors found again: 8% of the labels are changed to another, at random.

On scikit-learn's digits, its breast cancer table, and the training part of the chest X-rays; then
what is suspect in the X-rays as they are, among which some labels are truly wrong, so that their
planted figures are a lower bound.

    python benchmarks/label_errors.py DATA
"""

import sys
import time
from pathlib import Path
from statistics import mean

import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits

from polyclinic.diagnosis.imaging.source import read_source
from polyclinic.learning.prepare.label_errors import (
    find_label_errors,
    out_of_sample_probabilities,
    suspect_labels,
)

SEEDS = 10
SHARE = 0.08


def main(data: Path) -> None:
    """Print a row for each data set, then the check of the X-rays."""
    digits, cancer, x_rays = load_digits(), load_breast_cancer(), read_source(data).dataset
    print("| data | examples | recall | precision | seconds |")
    print("| --- | --- | --- | --- | --- |")
    for name, x, y in (
        ("digits", digits.data, digits.target),
        ("breast cancer", cancer.data, cancer.target),
        ("chest X-rays, training part", x_rays.train.x, x_rays.train.y),
    ):
        k = int(y.max()) + 1
        found = []
        for seed in range(SEEDS):
            rng = np.random.default_rng(seed)
            flipped = rng.choice(len(y), round(SHARE * len(y)), replace=False)
            planted = y.copy()
            planted[flipped] = (y[flipped] + rng.integers(1, k, len(flipped))) % k
            start = time.perf_counter()
            probabilities = out_of_sample_probabilities(x, planted, k, seed=seed)
            rows = find_label_errors(probabilities, planted).rows
            hits = np.isin(rows, flipped).sum()
            seconds = time.perf_counter() - start
            found.append((hits / len(flipped), hits / len(rows), seconds))
        recall, precision, seconds = (mean(column) for column in zip(*found, strict=True))
        print(f"| {name} | {len(y)} | {recall:.3f} | {precision:.3f} | {seconds:.1f} |", flush=True)
    print("\nThe chest X-rays as they are:")
    for issue in suspect_labels(x_rays):
        print(f"- {issue.where}: {issue.detail} Rows {issue.rows}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
