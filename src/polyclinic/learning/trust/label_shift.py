"""Label shift: how frequent each label is at a site, from the site's unlabelled inputs.

Both methods hold where only the labels' frequencies changed, and inputs with one label look as they
did. Whether that is so is tested too: `PrevalenceEstimate.residual_p_value`. Needs NumPy alone.
"""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from polyclinic.core.errors import InvalidInput, UnsupportedInput
from polyclinic.core.evaluation import Estimate
from polyclinic.core.frozen import Frozen
from polyclinic.core.prediction import Fraction
from polyclinic.learning.labels import Labels, multi_label
from polyclinic.learning.trust.shift_alarm import ShiftReference, energy_test

Method = Literal["em", "bbse"]
Floats = NDArray[np.float64]

RESAMPLES = 500

#: A p-value at or below this is an alarm.
ALARM = 0.01

_TOLERANCE = 1e-6
_MAX_ROUNDS = 10_000


class PrevalenceEstimate(Frozen):
    """How frequent each label is at a site; `prevalence` has one value a label, in their order.

    Intervals are 95% bootstrap intervals, true where only frequencies changed. `alarm_p_value`:
    whether the site's inputs differ at all from the held-out ones. `residual_p_value`: whether they
    still differ from held-out inputs of the estimated prevalence; where it is small, something else
    changed too, and the estimate must not be used.
    """

    method: Method
    examples: int
    prevalence: tuple[Estimate, ...]
    source_prevalence: tuple[Fraction, ...]
    alarm_p_value: Fraction
    residual_p_value: Fraction

    @property
    def alarm(self) -> bool:
        """Whether the site's inputs differ from the held-out ones."""
        return self.alarm_p_value <= ALARM

    @property
    def trusted(self) -> bool:
        """Whether the labels' frequencies alone explain how the site's inputs differ."""
        return self.residual_p_value > ALARM


def estimate_prevalence(
    reference: ShiftReference,
    features: ArrayLike,
    probabilities: Floats,
    method: Method = "em",
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> PrevalenceEstimate:
    """The prevalence at a site, from its inputs' features (n, d) and probabilities (n, k).

    The bootstrap draws the site's inputs and, for `bbse`, the held-out ones: `em` has no other use
    for these than their prevalence. Raises `InvalidInput` where there are fewer than two inputs, or
    probabilities do not fit the reference, and `UnsupportedInput` of multi-label data.
    """
    if multi_label(reference.y):
        raise UnsupportedInput(
            "Prevalence is estimated where one label is true at a time; here several can be.",
            where="reference",
            remedy="`ShiftReference.p_value` tells whether the inputs differ.",
        )
    k, n = reference.probabilities.shape[1], len(probabilities)
    if n < 2 or probabilities.shape != (n, k) or not np.isfinite(probabilities).all():
        raise InvalidInput(
            f"Prevalence needs finite probabilities (n, {k}) of at least two inputs, not of shape "
            f"{probabilities.shape}.",
            where="probabilities",
        )
    rows = reference.project(features)
    rng = np.random.default_rng(seed)

    def estimate(here: Labels, there: Labels) -> Floats:
        if method == "em":
            return prevalence_em(probabilities[here], reference.prevalence)
        held_out = reference.probabilities[there], reference.y[there]
        return prevalence_bbse(probabilities[here], *held_out)

    m = len(reference.y)
    value = estimate(np.arange(n), np.arange(m))
    draws = [estimate(rng.integers(n, size=n), rng.integers(m, size=m)) for _ in range(resamples)]
    low, high = np.percentile(draws, [2.5, 97.5], axis=0)
    matched = reference.rows[_of_prevalence(reference.y, value, rng)]
    return PrevalenceEstimate(
        method=method,
        examples=n,
        prevalence=tuple(
            Estimate(value=float(v), low=float(a), high=float(b))
            for v, a, b in zip(value, low, high, strict=True)
        ),
        source_prevalence=tuple(reference.prevalence.tolist()),
        alarm_p_value=energy_test(reference.rows, rows, seed=seed),
        residual_p_value=energy_test(matched, rows, seed=seed),
    )


def prevalence_em(probabilities: Floats, source_prevalence: Floats) -> Floats:
    """The likeliest prevalence (k,) of inputs with calibrated probabilities (n, k).

    Expectation and maximisation in turn, until no value moves by 1e-6 (Saerens, Latinne and
    Decaestecker 2002, section 2.2). `source_prevalence` (k,) is that of the examples on which the
    probabilities are calibrated.
    """
    odds = probabilities / np.maximum(source_prevalence, _TOLERANCE)
    prevalence = source_prevalence
    for _ in range(_MAX_ROUNDS):
        weighted = odds * prevalence
        changed = (weighted / weighted.sum(axis=1, keepdims=True)).mean(axis=0)
        if np.abs(changed - prevalence).max() < _TOLERANCE:
            return np.asarray(changed)
        prevalence = changed
    return prevalence


def prevalence_bbse(
    probabilities: Floats, held_out_probabilities: Floats, held_out_y: Labels
) -> Floats:
    """The prevalence (k,) that makes the mean of probabilities (n, k) what it is.

    Black-box shift estimation (Lipton, Wang and Smola 2018, section 4), with mean probabilities in
    place of counts of the likeliest label, by least squares; negative values become 0. Held-out
    inputs: probabilities (m, k), y (m,). A label that none of them has gets 0.
    """
    k = held_out_probabilities.shape[1]
    truth = np.eye(k)[held_out_y]
    by_label = held_out_probabilities.T @ truth / np.maximum(truth.sum(axis=0), 1.0)
    solved, *_ = np.linalg.lstsq(by_label, probabilities.mean(axis=0), rcond=None)
    positive = np.maximum(solved, 0.0)
    return np.asarray(positive / positive.sum())


def reweight(probabilities: Floats, source_prevalence: Floats, target_prevalence: Floats) -> Floats:
    """Probabilities (n, k) as they are where labels have another prevalence (k,).

    By Bayes' rule (Elkan 2001, theorem 2; Saerens et al. 2002, equation 2.4). Raises `InvalidInput`
    where a label has no source prevalence: nothing is known of it.
    """
    source, target = np.asarray(source_prevalence), np.asarray(target_prevalence)
    if not (source > 0).all():
        raise InvalidInput("A label with prevalence 0 cannot be re-weighted.", where="prevalence")
    weighted = probabilities * (target / source)
    return np.asarray(weighted / weighted.sum(axis=1, keepdims=True))


def _of_prevalence(y: Labels, prevalence: Floats, rng: np.random.Generator) -> Labels:
    """As many rows of y (m,) as can be had, at random, with labels of that prevalence."""
    counts = np.bincount(y, minlength=len(prevalence))
    wanted = prevalence > 1 / len(y)
    size = (counts[wanted] / prevalence[wanted]).min()
    taken = np.floor(size * prevalence + 1e-9).astype(np.int64)
    rows = [rng.permutation(np.flatnonzero(y == label))[:t] for label, t in enumerate(taken)]
    return np.concatenate(rows)
