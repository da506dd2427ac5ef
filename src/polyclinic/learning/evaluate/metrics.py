"""Point metrics of classification, as pure functions.

Shapes: probabilities (n, k) whose rows sum to 1; y (n,) indices of the true labels. Of multi-label
data: probabilities (n, k), each of its own, and truth (n, k) bool. `weights`
(..., n) says how often each example counts, and the result has shape (...): all resamples of a
bootstrap in one call, or a single number where weights are left out. A metric that is undefined is
NaN. With two labels the second is the positive one.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from polyclinic.core.evaluation import ReliabilityBin
from polyclinic.learning.labels import Labels, multi_label

Floats = NDArray[np.float64]

BINS = 15


def auc(probabilities: Floats, y: Labels, weights: Floats | None = None) -> Floats:
    """Area under the ROC curve, by ranks (Hanley and McNeil 1982); ties count half.

    With more than two labels the mean over each against the rest (macro). Undefined where a label
    has no example.
    """
    return _macro(_area_under_roc, _ranked(probabilities, y, weights))


def auprc(probabilities: Floats, y: Labels, weights: Floats | None = None) -> Floats:
    """Average precision: precision at each threshold, weighted by the recall it adds.

    No interpolation (Davis and Goadrich 2006). More than two labels and undefined as in `auc`.
    """
    return _macro(_average_precision, _ranked(probabilities, y, weights))


def accuracy(probabilities: Floats, y: Labels, weights: Floats | None = None) -> Floats:
    """How often the likeliest label is the true one."""
    return mean(probabilities.argmax(axis=1) == y, weights)


def brier(probabilities: Floats, y: Labels, weights: Floats | None = None) -> Floats:
    """Mean squared error of the probabilities, less being better.

    With two labels that of the positive one, from 0 to 1; with more, the sum over all labels, from
    0 to 2 (Brier 1950).
    """
    squares = np.square(probabilities - np.eye(probabilities.shape[1])[y])
    return mean(squares[:, 1] if probabilities.shape[1] == 2 else squares.sum(axis=1), weights)


def log_loss(probabilities: Floats, y: Labels, weights: Floats | None = None) -> Floats:
    """Mean of -ln p(true label), with p no less than 1e-15."""
    return mean(-np.log(np.maximum(probabilities[np.arange(len(y)), y], 1e-15)), weights)


def ece(probabilities: Floats, y: Labels, weights: Floats | None = None) -> Floats:
    """Expected calibration error over 15 bins of equal width (Guo et al. 2017, section 2).

    With two labels the positive one's probability against how often it was true; with more, the
    likeliest label's against how often it was right.
    """
    confidence, right = _confidence(probabilities, y)
    gap = (confidence - right)[:, None] * (_bin(confidence)[:, None] == np.arange(BINS))
    w = _weights(weights, len(y))
    return ratio(np.abs(w @ gap).sum(axis=-1), w.sum(axis=-1))


def classification_metrics(
    probabilities: Floats, y: Labels, weights: Floats | None = None
) -> dict[str, Floats]:
    """All of the above by name: `auc`, `auprc`, `accuracy`, `brier`, `ece`, `log_loss`."""
    ranked = _ranked(probabilities, y, weights)
    return {
        "auc": _macro(_area_under_roc, ranked),
        "auprc": _macro(_average_precision, ranked),
        "accuracy": accuracy(probabilities, y, weights),
        "brier": brier(probabilities, y, weights),
        "ece": ece(probabilities, y, weights),
        "log_loss": log_loss(probabilities, y, weights),
    }


def multi_label_metrics(
    probabilities: Floats, truth: NDArray[np.bool_], weights: Floats | None = None
) -> dict[str, Floats]:
    """What the above are where each label is a question of its own, by name.

    `auc`, `auprc`, `brier`, `ece` and `log_loss` are means over the labels, each taken as two:
    absent, present. At a probability of 0.5 `hamming_accuracy` is how often a label is called
    rightly (the ACC of MedMNIST), `exact_match` how often all labels of an input are.
    """
    each = [
        classification_metrics(np.column_stack([1 - p, p]), present.astype(np.int64), weights)
        for p, present in zip(probabilities.T, truth.T, strict=True)
    ]
    names = ("auc", "auprc", "brier", "ece", "log_loss")
    right = (probabilities >= 0.5) == truth
    return {
        **{name: np.asarray(np.mean([found[name] for found in each], axis=0)) for name in names},
        "exact_match": mean(right.all(axis=1), weights),
        "hamming_accuracy": mean(right.mean(axis=1), weights),
    }


def ordinal_metrics(
    probabilities: Floats, y: Labels, weights: Floats | None = None
) -> dict[str, Floats]:
    """How far the likeliest label is off where labels are grades, in their order.

    `mean_absolute_error` in grades; `quadratic_kappa`, the agreement beyond chance with errors
    weighed by their square (Cohen 1968), undefined where call and truth are one grade throughout.
    """
    called, true = probabilities.argmax(axis=1), y
    squared = mean(np.square(called - true), weights)
    # The mean square were call and truth independent: all pairs of one's and the other's grades.
    by_chance = (
        mean(np.square(called), weights)
        + mean(np.square(true), weights)
        - 2 * mean(called, weights) * mean(true, weights)
    )
    return {
        "mean_absolute_error": mean(np.abs(called - true), weights),
        "quadratic_kappa": 1 - ratio(squared, by_chance),
    }


def binary_metrics(
    called: NDArray[np.bool_], present: NDArray[np.bool_], weights: Floats | None = None
) -> dict[str, Floats]:
    """What a yes-or-no call (n,) is worth against the truth (n,), by name.

    `accuracy`, `balanced_accuracy`, `sensitivity`, `specificity`, `ppv`, `npv` (positive and
    negative predictive value) and `f1`.
    """
    w = _weights(weights, len(present))
    tp, fn = w @ (called & present), w @ (~called & present)
    fp, tn = w @ (called & ~present), w @ (~called & ~present)
    sensitivity, specificity = ratio(tp, tp + fn), ratio(tn, tn + fp)
    return {
        "accuracy": ratio(tp + tn, tp + fn + fp + tn),
        "balanced_accuracy": (sensitivity + specificity) / 2,
        "sensitivity": sensitivity,
        "specificity": specificity,
        "ppv": ratio(tp, tp + fp),
        "npv": ratio(tn, tn + fn),
        "f1": ratio(2 * tp, 2 * tp + fp + fn),
    }


def reliability(probabilities: Floats, y: Labels) -> tuple[ReliabilityBin, ...]:
    """The bins of `ece` that are not empty; of multi-label data those of all labels together."""
    confidence, right = (
        (probabilities.ravel(), y.ravel().astype(np.float64))
        if multi_label(y)
        else _confidence(probabilities, y)
    )
    bins = _bin(confidence)
    return tuple(
        ReliabilityBin(
            probability=min(1.0, float(confidence[bins == b].mean())),
            observed=float(right[bins == b].mean()),
            count=int((bins == b).sum()),
        )
        for b in np.unique(bins)
    )


def mean(values: NDArray[np.generic], weights: Floats | None = None) -> Floats:
    """The weighted mean of values (n,)."""
    w = _weights(weights, len(values))
    return ratio(w @ values.astype(np.float64), w.sum(axis=-1))


def _weights(weights: Floats | None, n: int) -> Floats:
    return np.ones(n) if weights is None else weights


def ratio(numerator: Floats, denominator: Floats) -> Floats:
    """The quotient, NaN where the denominator is 0."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.true_divide(numerator, denominator))


def _confidence(probabilities: Floats, y: Labels) -> tuple[Floats, Floats]:
    if probabilities.shape[1] == 2:
        return probabilities[:, 1], (y == 1).astype(np.float64)
    return probabilities.max(axis=1), (probabilities.argmax(axis=1) == y).astype(np.float64)


def _bin(confidence: Floats) -> NDArray[np.int64]:
    return np.minimum((confidence * BINS).astype(np.int64), BINS - 1)


def _ranked(
    probabilities: Floats, y: Labels, weights: Floats | None
) -> list[tuple[Floats, Floats]]:
    """The weights with and without each label (..., t), by its t rising distinct probabilities."""
    w = _weights(weights, len(y))
    k = probabilities.shape[1]
    ranked = []
    for label in [1] if k == 2 else range(k):
        order = np.argsort(probabilities[:, label])
        p = probabilities[order, label]
        starts = np.flatnonzero(np.concatenate([[True], p[1:] != p[:-1]]))
        both = w[..., order]
        positive = both * (y[order] == label)
        if len(starts) < len(p):
            both = np.add.reduceat(both, starts, axis=-1)
            positive = np.add.reduceat(positive, starts, axis=-1)
        ranked.append((positive, both - positive))
    return ranked


def _macro(area: Callable[[Floats, Floats], Floats], ranked: list[tuple[Floats, Floats]]) -> Floats:
    """The mean of an area over the labels."""
    return np.asarray(np.mean([area(*label) for label in ranked], axis=0))


def _area_under_roc(positive: Floats, negative: Floats) -> Floats:
    below = negative.cumsum(axis=-1) - negative / 2
    pairs = positive.sum(axis=-1) * negative.sum(axis=-1)
    return ratio((positive * below).sum(axis=-1), pairs)


def _average_precision(positive: Floats, negative: Floats) -> Floats:
    found = positive[..., ::-1].cumsum(axis=-1)
    called = found + negative[..., ::-1].cumsum(axis=-1)
    precision = np.divide(found, called, out=np.zeros_like(found), where=called > 0)
    total, both = found[..., -1], negative.sum(axis=-1) > 0
    area = (positive[..., ::-1] * precision).sum(axis=-1)
    return ratio(area, np.where(both, total, np.nan))
