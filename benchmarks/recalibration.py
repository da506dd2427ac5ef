"""A model of records at another hospital: what recalibration without labels, or by few, is worth.

    python benchmarks/recalibration.py RECIPE DATA OTHER [SEED ...]

The recipe's model, of two labels, is trained on DATA by each seed, and asked about one example of
each patient of OTHER. The first table is of all of them, with bootstrap intervals: as the model is,
re-weighted to the prevalence that EM estimates without labels, and to the true one. The second is
of what is fitted on m labelled patients, drawn at random 200 times, and measured on the others:
medians and 95% ranges over draws, and how often log loss was lower than without. `shift --labels`
is what `polyclinic shift --labels --apply` does: nothing where it refuses.
"""

import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit

from polyclinic.core.errors import InvalidInput
from polyclinic.core.evaluation import Estimate
from polyclinic.core.settings import Settings
from polyclinic.diagnosis.records.classifier import RecordClassifier
from polyclinic.diagnosis.records.recipe import RecordRecipe
from polyclinic.diagnosis.records.records import one_each
from polyclinic.diagnosis.records.source import read_records
from polyclinic.diagnosis.records.steps.run import run
from polyclinic.diagnosis.shift import needed_reference
from polyclinic.learning.evaluate.bootstrap import bootstrap
from polyclinic.learning.evaluate.metrics import classification_metrics
from polyclinic.learning.train.checkpoint import Epoch
from polyclinic.learning.trust.calibration import fit_calibration
from polyclinic.learning.trust.counted_prevalence import count_prevalence, succession
from polyclinic.learning.trust.label_shift import PrevalenceEstimate, estimate_prevalence, reweight
from polyclinic.registry.store import open_registry

DRAWS = 200
LABELLED = (20, 40)
METRICS = ("auc", "auprc", "ece", "log_loss", "brier")

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]


class Silence:
    """Nobody listens."""

    def step(self, name: str) -> None:
        """A step begins."""

    def epoch(self, epoch: Epoch) -> None:
        """An epoch is done."""

    def trial(self, number: int, loss: float) -> None:
        """A trial is done."""


@dataclass(frozen=True)
class Elsewhere:
    """What a model says of n patients of another place, and what is true.

    logits, probabilities: (n, 2). y: (n,). source: (2,) the prevalence where it was calibrated.
    """

    logits: Floats
    probabilities: Floats
    y: Rows
    source: Floats
    estimate: PrevalenceEstimate

    @property
    def log_odds(self) -> Floats:
        """Calibrated log-odds of the second label (n,)."""
        return np.asarray(np.diff(np.log(self.probabilities), axis=1)[:, 0])


#: Probabilities of all n patients (n, 2), by what is fitted on the labelled `rows`.
Fit = Callable[[Elsewhere, Rows], Floats]


def as_it_is(there: Elsewhere, _: Rows) -> Floats:
    """Nothing is fitted."""
    return there.probabilities


def counted(there: Elsewhere, rows: Rows) -> Floats:
    """Re-weighted by Bayes' rule to the prevalence among the labelled."""
    here = succession(np.bincount(there.y[rows], minlength=2).astype(np.float64))
    return reweight(there.probabilities, there.source, here)


def applied(there: Elsewhere, rows: Rows) -> Floats:
    """As `polyclinic shift --labels --apply`: where it is refused, nothing."""
    try:
        patient = rows.astype(np.str_)
        count = count_prevalence(
            there.probabilities[rows], there.y[rows], patient, there.source, resamples=2
        )
    except InvalidInput:
        return there.probabilities
    return counted(there, rows) if count.helps else there.probabilities


def intercept(there: Elsewhere, rows: Rows) -> Floats:
    """Log-odds moved until their mean probability is the (Laplace) share among the labelled."""
    share = (there.y[rows].sum() + 1) / (len(rows) + 2)
    z = there.log_odds
    moved = z + brentq(lambda by: expit(z[rows] + by).mean() - share, -20, 20)
    return np.column_stack([expit(-moved), expit(moved)])


def platt(there: Elsewhere, rows: Rows) -> Floats:
    """Slope and intercept on the logits (Platt 1999)."""
    return fit_calibration("platt", there.logits[rows], there.y[rows]).apply(there.logits)


FITS: dict[str, Fit] = {
    "as it is": as_it_is,
    "prevalence counted": counted,
    "`shift --labels`": applied,
    "intercept": intercept,
    "Platt": platt,
}


def trained_and_asked(recipe: RecordRecipe, data: Path, other: Path) -> Elsewhere:
    """The recipe's model, and what it says of one example of each patient of `other`."""
    with tempfile.TemporaryDirectory() as home:
        registry = open_registry(Settings(home=Path(home)))
        version = run(recipe, data, Path(home), registry, Silence())
        model = RecordClassifier.load(registry, version)
        reference = needed_reference(registry, version)
    records = read_records(other, recipe.data).plausible()
    part = one_each(records.examples(np.arange(len(records.y)), model.spec.encoding))
    scores = model.score(part.x)
    estimate = estimate_prevalence(reference, scores.features, scores.probabilities)
    counts = version.manifest.validation.label_counts
    source = np.array([counts[label.code] for label in model.labels]) / sum(counts.values())
    logits = np.asarray(scores.logits, dtype=np.float64)
    return Elsewhere(logits, scores.probabilities, part.y.astype(np.int64), source, estimate)


def intervals(p: Floats, y: Rows) -> dict[str, Estimate]:
    """Every metric with its 95% interval by bootstrap."""
    return bootstrap(lambda weights: classification_metrics(p, y, weights), np.arange(len(y)))


def of_all(there: Elsewhere, seed: int) -> None:
    """Rows of the first table."""
    em = np.array([share.value for share in there.estimate.prevalence])
    true = np.bincount(there.y, minlength=2) / len(there.y)
    trusted = "trusted" if there.estimate.trusted else "not trusted"
    for name, p in {
        "as it is": there.probabilities,
        f"EM: {em[1]:.1%}, {trusted}": reweight(there.probabilities, there.source, em),
        f"true prevalence: {true[1]:.1%}": reweight(there.probabilities, there.source, true),
    }.items():
        found = intervals(p, there.y)
        each = (found[metric] for metric in METRICS)
        cells = (f"{e.value:.3f} ({e.low:.3f} to {e.high:.3f})" for e in each)
        print(f"| {seed} | {name} | {' | '.join(cells)} |", flush=True)


def by_few(there: Elsewhere, seed: int, labelled: int) -> None:
    """Rows of the second table."""
    rng = np.random.default_rng(seed)
    figures: dict[str, list[list[float]]] = {name: [] for name in FITS}
    for _ in range(DRAWS):
        order = rng.permutation(len(there.y))
        rows, others = order[:labelled], order[labelled:]
        for name, fit in FITS.items():
            metrics = classification_metrics(fit(there, rows)[others], there.y[others])
            figures[name].append([float(metrics[metric]) for metric in METRICS])
    before = np.array(figures["as it is"])[:, METRICS.index("log_loss")]
    for name, some in figures.items():
        values = np.array(some)
        median, low, high = np.percentile(values, [50, 2.5, 97.5], axis=0)
        better = (values[:, METRICS.index("log_loss")] < before).mean()
        cells = (f"{m:.3f} ({a:.3f} to {b:.3f})" for m, a, b in zip(median, low, high, strict=True))
        print(f"| {seed} | {labelled} | {name} | {' | '.join(cells)} | {better:.0%} |", flush=True)


def main(path: Path, data: Path, other: Path, seeds: list[int]) -> None:
    """Print the tables."""
    content = yaml.safe_load(path.read_text())
    asked = {
        seed: trained_and_asked(RecordRecipe.model_validate(content | {"seed": seed}), data, other)
        for seed in seeds
    }
    print("| seed | | AUROC | AUPRC | ECE | log loss | Brier |\n| --- | --- |" + " --- |" * 5)
    for seed, there in asked.items():
        of_all(there, seed)
    print("\n| seed | labelled | | AUROC | AUPRC | ECE | log loss | Brier | log loss lower |")
    print("| --- | --- | --- |" + " --- |" * 6)
    for seed, there in asked.items():
        for labelled in LABELLED:
            by_few(there, seed, labelled)


if __name__ == "__main__":
    recipe, data, other, *seeds = sys.argv[1:]
    main(Path(recipe), Path(data), Path(other), [int(seed) for seed in seeds] or [0, 1, 2])
