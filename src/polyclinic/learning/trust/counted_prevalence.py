"""Prevalence counted at a site from labels, and whether re-weighting to it would help there.

The count rests on nothing but its examples being drawn as those to come are. That re-weighting
helps needs more: inputs with one label looking as they did. So it is tried out, on patients that
were not counted.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from polyclinic.core.errors import InvalidInput, UnsupportedInput
from polyclinic.core.evaluation import Estimate
from polyclinic.core.frozen import Frozen
from polyclinic.core.prediction import Fraction
from polyclinic.learning.evaluate.bootstrap import bootstrap
from polyclinic.learning.evaluate.metrics import ece, log_loss, mean
from polyclinic.learning.labels import Labels, multi_label
from polyclinic.learning.prepare.splits import split
from polyclinic.learning.trust.label_shift import RESAMPLES, reweight

Floats = NDArray[np.float64]

#: So many at the most: each fold has patients of every label.
FOLDS = 5
#: A label that fewer patients have is not counted: there is too little to try it out on. With this
#: many, 20 labelled stays of another hospital helped the others (`benchmarks/recalibration.py`).
MIN_PATIENTS = 3


class CountedPrevalence(Frozen):
    """How frequent each label is among examples of a site; one value a label, in their order.

    Intervals are 95% bootstrap intervals over patients. before, after: `log_loss` and `ece` of the
    probabilities as they are, and re-weighted, each patient to the prevalence counted of others.
    gain: by how much the log loss falls.
    """

    method: Literal["counted"] = "counted"
    examples: int
    patients: int
    prevalence: tuple[Estimate, ...]
    source_prevalence: tuple[Fraction, ...]
    before: dict[str, Estimate]
    after: dict[str, Estimate]
    gain: Estimate

    @property
    def helps(self) -> bool:
        """Whether re-weighting makes patients who were not counted less surprising."""
        return self.gain.value > 0


def succession(counts: Floats) -> Floats:
    """Shares (k,) from counts (k,), each label counted once more (Laplace's rule of succession).

    What a few examples do not show is rare, not impossible.
    """
    return np.asarray((counts + 1) / (counts.sum() + len(counts)))


def count_prevalence(
    probabilities: Floats,
    y: Labels,
    patient: NDArray[np.str_],
    source_prevalence: Floats,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> CountedPrevalence:
    """The prevalence among examples with labels y (n,) of the patients (n,).

    probabilities: (n, k), calibrated where labels had `source_prevalence` (k,). Raises
    `InvalidInput` where fewer than `MIN_PATIENTS` have one of the labels, and `UnsupportedInput` of
    multi-label data.
    """
    if multi_label(y):
        raise UnsupportedInput(
            "Prevalence is counted where one label is true at a time; here several can be.",
            where="labels",
        )
    k = probabilities.shape[1]
    carriers = [len(np.unique(patient[y == label])) for label in range(k)]
    if min(carriers) < MIN_PATIENTS:
        raise InvalidInput(
            f"Label {int(np.argmin(carriers))} is carried by {min(carriers)} patients; "
            f"{MIN_PATIENTS} of each are needed.",
            where="labels",
            remedy="Label more examples.",
        )
    truth = np.eye(k)[y]
    reweighted = np.empty_like(probabilities)
    folds = min(FOLDS, *carriers)
    fractions = {f"fold {fold}": 1 / folds for fold in range(folds)}
    for rows in split(y, fractions, patient, seed).values():
        here = succession(truth.sum(axis=0) - truth[rows].sum(axis=0))
        reweighted[rows] = reweight(probabilities[rows], source_prevalence, here)

    def statistics(weights: Floats) -> dict[str, Floats]:
        losses = [log_loss(p, y, weights) for p in (probabilities, reweighted)]
        return {
            **{f"label {label}": mean(truth[:, label], weights) for label in range(k)},
            "log_loss before": losses[0],
            "log_loss after": losses[1],
            "ece before": ece(probabilities, y, weights),
            "ece after": ece(reweighted, y, weights),
            "gain": losses[0] - losses[1],
        }

    found = bootstrap(statistics, patient, resamples, seed)
    return CountedPrevalence(
        examples=len(y),
        patients=len(np.unique(patient)),
        prevalence=tuple(found[f"label {label}"] for label in range(k)),
        source_prevalence=tuple(source_prevalence.tolist()),
        before={name: found[f"{name} before"] for name in ("log_loss", "ece")},
        after={name: found[f"{name} after"] for name in ("log_loss", "ece")},
        gain=found["gain"],
    )
