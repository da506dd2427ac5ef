"""Selective prediction: how wrong a model is on the inputs of which it is surest.

Risk and coverage after Geifman and El-Yaniv 2017. `confidence` (n,) orders inputs, the surest
highest; `wrong` (n,) says where the model's call is not the truth.
"""

import numpy as np
from numpy.typing import NDArray

from polyclinic.core.errors import InvalidInput
from polyclinic.core.evaluation import Estimate
from polyclinic.core.frozen import Frozen
from polyclinic.core.prediction import Fraction
from polyclinic.learning.evaluate.bootstrap import RESAMPLES, bootstrap
from polyclinic.learning.evaluate.metrics import mean

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


class SelectiveResult(Frozen):
    """The error on all inputs, on the surest fraction `coverage` of them, and their ratio.

    `ratio` is absent where there is no error at all.
    """

    coverage: Fraction
    examples: int
    error: Estimate
    selective_error: Estimate
    ratio: Estimate | None


def surest_label(probabilities: Floats) -> Floats:
    """The confidence (n,) that orders best: the probability of the likeliest label of (n, k).

    Raises `InvalidInput` where rows do not sum to 1: of multi-label data none is the likeliest.

    On the validation part of the chest X-rays (three seeds, `benchmarks/selective.py`) the error at
    80% coverage is 0.00 to 0.10 of the full error by it, 0.10 to 0.13 by the distance from the
    operating point, 0.26 to 0.29 with familiarity too, and 0.79 to 1.06 by familiarity alone.
    """
    if not np.allclose(probabilities.sum(axis=1), 1.0, atol=1e-3):
        raise InvalidInput(
            "The likeliest label orders inputs only where one label is true at a time.",
            where="probabilities",
            remedy="Of multi-label data take one label at a time, as columns 1 - p and p.",
        )
    return np.asarray(probabilities.max(axis=1))


def risk_coverage(confidence: Floats, wrong: Flags) -> tuple[Floats, Floats]:
    """Rising coverages (t,) and the error (t,) on that fraction, for each distinct confidence.

    Raises `InvalidInput` where there is no input, or a confidence is not finite.
    """
    coverage, errors = _cumulative(confidence, wrong, np.ones((1, len(wrong))))
    return coverage[0], errors[0] / coverage[0]


def selective_error(
    confidence: Floats, wrong: Flags, coverage: float, weights: Floats | None = None
) -> Floats:
    """The error on the surest fraction `coverage`; (b,) for weights (b, n), else (1,).

    Where the last inputs that are let in are equally sure as others that are not, or an input is
    let in with a part of its weight, their mean error counts.
    """
    shares, errors = _cumulative(
        confidence, wrong, np.ones((1, len(wrong))) if weights is None else weights
    )
    return np.array(
        [
            np.interp(coverage, np.append(0.0, share), np.append(0.0, error)) / coverage
            for share, error in zip(shares, errors, strict=True)
        ]
    )


def evaluate_selection(
    confidence: Floats,
    wrong: Flags,
    coverage: float = 0.8,
    patients: NDArray[np.str_] | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> SelectiveResult:
    """Both errors and their ratio, with 95% bootstrap intervals over patients (n,), if known.

    Raises `InvalidInput` as `risk_coverage` does, or where coverage is not above 0 and at most 1.
    """
    if not 0 < coverage <= 1:
        raise InvalidInput(f"Coverage must be above 0 and at most 1, not {coverage}.")

    def statistics(weights: Floats) -> dict[str, Floats]:
        error = mean(wrong, weights)
        selective = selective_error(confidence, wrong, coverage, weights)
        ratio = np.divide(selective, error, out=np.full_like(error, np.nan), where=error > 0)
        return {"error": error, "selective_error": selective, "ratio": ratio}

    clusters = np.arange(len(wrong)) if patients is None else patients
    estimates = bootstrap(statistics, clusters, resamples, seed)
    return SelectiveResult(
        coverage=coverage,
        examples=len(wrong),
        error=estimates["error"],
        selective_error=estimates["selective_error"],
        ratio=estimates.get("ratio"),
    )


def _cumulative(confidence: Floats, wrong: Flags, weights: Floats) -> tuple[Floats, Floats]:
    """Share of the weight (b, t), and of it in error, of inputs at least as sure as each."""
    if len(wrong) == 0 or confidence.shape != wrong.shape or not np.isfinite(confidence).all():
        raise InvalidInput("Each input needs a finite confidence.", where="confidence")
    order = np.argsort(-confidence, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(confidence[order]) != 0, True))
    sorted_weights = weights[:, order]
    total = weights.sum(axis=1, keepdims=True)
    covered = sorted_weights.cumsum(axis=1)[:, ends] / total
    return covered, (sorted_weights * wrong[order]).cumsum(axis=1)[:, ends] / total
