"""Label shift on the chest X-rays: the alarm and the estimates, where the truth is known.

Part 1 makes prevalences from the validation part alone: half is the reference, the other half is
thinned to a known prevalence. Part 2 compares validation with test: alarm and estimates on test
pictures as they are, and false alarms on random half-splits of both together. Test labels are
counted once, for the last line.

    POLYCLINIC_HOME=HOME python benchmarks/label_shift.py DATA [MODEL]
"""

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from polyclinic.diagnosis.imaging.classifier import ImageClassifier
from polyclinic.diagnosis.imaging.source import read_source
from polyclinic.diagnosis.imaging.spec import NETWORK_FILE
from polyclinic.learning.serve.onnx_network import OnnxNetwork
from polyclinic.learning.trust.label_shift import ALARM, Method, estimate_prevalence
from polyclinic.learning.trust.shift_alarm import ShiftReference, energy_test, fit_shift_reference
from polyclinic.registry.starters import install_starters
from polyclinic.registry.store import open_registry

SPLITS = 200
DRAWS = 20
METHODS: tuple[Method, ...] = ("em", "bbse")


def main(data: Path, name: str) -> None:
    """Print both parts as tables."""
    registry = open_registry()
    install_starters(registry)
    version = registry.resolve(name)
    model = ImageClassifier.load(registry, version)
    network = OnnxNetwork(registry.load(version)[NETWORK_FILE], threads=1)
    dataset = read_source(data, model.labels).dataset
    assert dataset.test is not None
    held_out, site = network.run_all(dataset.validation.x), network.run_all(dataset.test.x)
    reference = fit_shift_reference(
        network.run_all(dataset.train.x)["features"],
        held_out["features"],
        model.spec.calibration.apply(held_out["logits"]),
        dataset.validation.y,
    )
    print(f"{version.identity.name}@{version.identity.version}\n")
    simulate(reference, held_out["features"])

    print("\n| validation against | alarm p | residual p | estimated prevalence (95% CI) |")
    print("| --- | --- | --- | --- |")
    probabilities = model.spec.calibration.apply(site["logits"])
    for method in METHODS:
        found = estimate_prevalence(reference, site["features"], probabilities, method)
        share = found.prevalence[1]
        print(
            f"| test, {method} | {found.alarm_p_value:.3f} | {found.residual_p_value:.3f} "
            f"| {share.value:.3f} ({share.low:.3f} to {share.high:.3f}) |"
        )
    rows = reference.project(np.concatenate([held_out["features"], site["features"]]))
    rng = np.random.default_rng(0)
    splits = [np.array_split(rng.permutation(rows), 2) for _ in range(SPLITS)]
    alarms = np.mean([energy_test(*halves) <= ALARM for halves in splits])
    print(f"\nFalse alarms at p <= {ALARM} on {SPLITS} half-splits of both together: {alarms:.1%}")
    before, after = dataset.validation.y.mean(), dataset.test.y.mean()
    print(f"True prevalence: validation {before:.3f}, test {after:.3f}")


def simulate(reference: ShiftReference, features: NDArray[np.float32]) -> None:
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
