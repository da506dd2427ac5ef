"""Prevalence estimated from unlabelled chest X-rays, where the truth is known.

Prevalences are made from the validation part alone: half is the reference, the other half is
thinned to a known prevalence. What happens on the test part is in `under_shift.py`.

    POLYCLINIC_HOME=HOME python benchmarks/label_shift.py DATA [MODEL]
"""

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from polyclinic.diagnosis.evaluation import read_reference
from polyclinic.diagnosis.imaging.classifier import ImageClassifier
from polyclinic.diagnosis.imaging.source import read_source
from polyclinic.learning.trust.label_shift import Method, estimate_prevalence
from polyclinic.learning.trust.shift_alarm import ShiftReference
from polyclinic.registry.starters import install_starters
from polyclinic.registry.store import open_registry

DRAWS = 20
METHODS: tuple[Method, ...] = ("em", "bbse")


def main(data: Path, name: str) -> None:
    """Print the table."""
    registry = open_registry()
    install_starters(registry)
    version = registry.resolve(name)
    model = ImageClassifier.load(registry, version)
    reference = read_reference(registry, version)
    assert reference is not None
    held_out = read_source(data, model.labels).dataset.validation
    print(f"{version}\n")
    simulate(reference, model.score(held_out.x).features)


def simulate(reference: ShiftReference, features: NDArray[np.floating]) -> None:
    """Known prevalences made from the validation part."""
    print("| true prevalence | method | mean error | CI holds truth | trusted | alarm |")
    print("| --- | --- | --- | --- | --- | --- |")
    y, probabilities = reference.y, reference.probabilities
    for target in (0.1, 0.3, 0.5, 0.74, 0.9):
        for method in METHODS:
            rng = np.random.default_rng(0)
            outcomes = []
            for _ in range(DRAWS):
                here, there = np.array_split(rng.permutation(len(y)), 2)
                half = ShiftReference(
                    reference.center,
                    reference.directions,
                    reference.rows[here],
                    probabilities[here],
                    y[here],
                )
                rows = thinned(y, there, target)
                found = estimate_prevalence(half, features[rows], probabilities[rows], method, 200)
                truth, share = y[rows].mean(), found.prevalence[1]
                held = share.low <= truth <= share.high
                outcomes.append((abs(share.value - truth), held, found.trusted, found.alarm))
            error, held, trusted, alarm = np.mean(outcomes, axis=0)
            print(
                f"| {target} | {method} | {error:.3f} | {held:.0%} | {trusted:.0%} | {alarm:.0%} |"
            )


def thinned(y: NDArray[np.int64], rows: NDArray[np.int64], share: float) -> NDArray[np.int64]:
    """The first of `rows` with and without the label, as many as give label 1 that share."""
    without, with_label = (rows[y[rows] == label] for label in (0, 1))
    size = min(len(without) / (1 - share), len(with_label) / share)
    return np.concatenate([without[: round(size * (1 - share))], with_label[: round(size * share)]])


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:] or ["chest-xray-pneumonia"])
