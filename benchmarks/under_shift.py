"""Trust where the site is another: conformal sets, selection, operating points, prevalence.

The site is the test part of the chest X-rays (pneumonia 62.5%, in training 90%). Its labels are
needed, so this opens it once, through the registry's log. Then, in one table each:

1. class-conditional sets fitted on one half of validation and test together and judged on the
   other, 200 times, as exchangeability asks; and fitted on validation, judged on test, as it is;
2. the shift alarm on validation against test, and on 200 half-splits, where it must be silent;
3. the error at 80% coverage, surest pictures first;
4. accuracy at every operating point fixed on validation, as it is and with probabilities
   re-weighted to the prevalence that EM estimates from the test pictures without their labels; and
   at the minimum-error threshold of the test pictures' scores, without their labels too.

    POLYCLINIC_HOME=HOME python benchmarks/under_shift.py DATA [MODEL]
"""

import sys
from pathlib import Path

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray

from polyclinic.diagnosis.answers import SHIFT_FILE
from polyclinic.diagnosis.imaging.classifier import ImageClassifier
from polyclinic.diagnosis.imaging.source import read_source
from polyclinic.learning.evaluate.bootstrap import bootstrap
from polyclinic.learning.evaluate.metrics import binary_metrics
from polyclinic.learning.evaluate.selective import evaluate_selection, surest_label
from polyclinic.learning.prepare.dataset import Part
from polyclinic.learning.trust.conformal import fit_conformal
from polyclinic.learning.trust.label_shift import ALARM, estimate_prevalence, reweight
from polyclinic.learning.trust.minimum_error import minimum_error_threshold
from polyclinic.learning.trust.shift_alarm import ShiftReference, energy_test
from polyclinic.registry.starters import install_starters
from polyclinic.registry.store import open_registry

SPLITS = 200
Floats = NDArray[np.float64]


def main(data: Path, name: str) -> None:
    """Print the tables."""
    registry = open_registry()
    install_starters(registry)
    version = registry.resolve(name)
    model = ImageClassifier.load(registry, version)
    reference = ShiftReference.from_arrays(
        safetensors.numpy.load(registry.load(version)[SHIFT_FILE])
    )
    dataset = read_source(data, model.labels).dataset
    held_out, site = dataset.validation, dataset.test
    assert site is not None
    opened = registry.open_test(version, version.manifest.data.digest, "benchmarks/under_shift.py")
    print(f"{version}; opening {opened} of the test part\n")
    here, there = model.score(held_out.x), model.score(site.x)

    print("| coverage of 90% sets | all | no pneumonia | pneumonia |\n| --- | --- | --- | --- |")
    p = np.concatenate([here.probabilities, there.probabilities])
    y = np.concatenate([held_out.y, site.y]).astype(np.int64)
    rng = np.random.default_rng(0)
    coverages = [coverage_of_halves(p, y, rng) for _ in range(SPLITS)]
    print(row(f"mean of {SPLITS} half-splits of both", np.mean(coverages, axis=0)))
    print(row("fitted on validation, judged on test", coverage(there.sets, site.y)))

    estimate = estimate_prevalence(reference, there.features, there.probabilities)
    rows = reference.project(np.concatenate([here.features, there.features]))
    halves = [np.array_split(rng.permutation(rows), 2) for _ in range(SPLITS)]
    false_alarms = np.mean([energy_test(*half) <= ALARM for half in halves])
    share = estimate.prevalence[1]
    print(
        f"\nShift alarm on test: p = {estimate.alarm_p_value:.3f}; false alarms {false_alarms:.1%}"
    )
    print(
        f"Prevalence of pneumonia by EM {share.value:.3f} ({share.low:.3f} to {share.high:.3f}), "
        f"truth {site.y.mean():.3f}; trusted: {estimate.trusted} "
        f"(residual p = {estimate.residual_p_value:.3f})"
    )

    print("\n| selection at 80% coverage | full error | error | ratio (95% CI) |")
    print("| --- | --- | --- | --- |")
    threshold = model.spec.deciding(model.spec.findings[0]).threshold
    for title, part, scores in (("validation", held_out, here), ("test", site, there)):
        print(selected(title, part, scores.probabilities, threshold))

    print("\n| accuracy on test, point | as it is | re-weighted |\n| --- | --- | --- |")
    weighted = reweight(there.probabilities, reference.prevalence, prevalence(share.value))
    for point in model.spec.operating_points:
        # Youden's and the others' points call the same pictures at any prevalence.
        again = weighted if point.name == "argmax" else there.probabilities
        cells = [
            accuracy(q[:, 1] >= point.threshold, site.y == 1) for q in (there.probabilities, again)
        ]
        print(f"| {point.name} ({point.threshold:.3f}) | {' | '.join(cells)} |")
    log_odds = there.logits[:, 1].astype(np.float64) - there.logits[:, 0]
    called = log_odds >= minimum_error_threshold(log_odds)
    print(f"| minimum error on the unlabelled test scores | | {accuracy(called, site.y == 1)} |")
    print(f"\nIts share of pneumonia: {called.mean():.3f}")


def coverage_of_halves(p: Floats, y: NDArray[np.int64], rng: np.random.Generator) -> Floats:
    """Coverage on one random half of sets fitted on the other."""
    fit, judge = np.array_split(rng.permutation(len(y)), 2)
    sets = fit_conformal("class-conditional", 0.9, p[fit], y[fit]).sets(p[judge])
    return coverage(sets, y[judge])


def coverage(sets: NDArray[np.bool_], y: NDArray[np.generic]) -> Floats:
    """Of all examples, and of each label's."""
    held = sets[np.arange(len(y)), y]
    return np.array([held.mean(), *(held[y == label].mean() for label in (0, 1))])


def row(title: str, values: Floats) -> str:
    """A row of the first table."""
    return f"| {title} | {' | '.join(f'{value:.3f}' for value in values)} |"


def selected(title: str, part: Part, p: Floats, threshold: float) -> str:
    """A row of the table of selection."""
    found = evaluate_selection(surest_label(p), (p[:, 1] >= threshold) != (part.y == 1))
    ratio = found.ratio
    shown = f"{ratio.value:.2f} ({ratio.low:.2f} to {ratio.high:.2f})" if ratio else "none"
    return f"| {title} | {found.error.value:.3f} | {found.selective_error.value:.3f} | {shown} |"


def prevalence(pneumonia: float) -> Floats:
    """Of both labels."""
    return np.array([1 - pneumonia, pneumonia])


def accuracy(called: NDArray[np.bool_], present: NDArray[np.bool_]) -> str:
    """With its interval."""
    found = bootstrap(
        lambda weights: {"accuracy": binary_metrics(called, present, weights)["accuracy"]},
        np.arange(len(called)),
    )["accuracy"]
    return f"{found.value:.3f} ({found.low:.3f} to {found.high:.3f})"


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:] or ["chest-xray-pneumonia"])
