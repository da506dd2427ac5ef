"""Checks of the quality gate that look at labels alone."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from polyclinic.learning.prepare.dataset import Dataset, Part
from polyclinic.learning.prepare.issues import QualityIssue, Severity, issue

MIN_EXAMPLES = 20
IMBALANCE_RATIO = 5.0
SHIFT_SIGNIFICANCE = 0.01


def label_absent(dataset: Dataset) -> Iterator[QualityIssue]:
    """A label without an example in a part, or of multi-label data without a counter-example.

    It cannot be learnt or calibrated; of the test part it only costs some figures.
    """
    for name, part in dataset.parts.items():
        severity: Severity = "warning" if name == "test" else "error"
        for label, count in zip(dataset.labels, _counts(dataset, part), strict=True):
            what = f"{label.code} ({label.display})"
            if count == 0:
                yield issue("label_absent", severity, name, f"No example of {what}.")
            elif dataset.multi_label and count == len(part):
                yield issue("label_absent", severity, name, f"No example without {what}.")


def few_examples(dataset: Dataset) -> Iterator[QualityIssue]:
    """A label with so few examples in a part that its figures say little."""
    for name, part in dataset.parts.items():
        for label, count in zip(dataset.labels, _counts(dataset, part), strict=True):
            if 0 < count < MIN_EXAMPLES:
                yield issue(
                    "few_examples",
                    "warning",
                    name,
                    f"{count} examples of {label.code} ({label.display}), below {MIN_EXAMPLES}.",
                )


def label_shift(dataset: Dataset) -> Iterator[QualityIssue]:
    """Labels as frequent in training as elsewhere? Pearson's chi-square test of homogeneity.

    Of multi-label data each label's presence is tested, by Bonferroni's bound for that many tests.
    """
    train = _counts(dataset, dataset.train)
    n = len(dataset.train)
    for name, part in dataset.parts.items():
        if name == "train":
            continue
        counts, m = _counts(dataset, part), len(part)
        if dataset.multi_label:
            tables = [
                np.array([[a, n - a], [b, m - b]]) for a, b in zip(train, counts, strict=True)
            ]
            p_values = np.minimum(1.0, len(tables) * np.array([_homogeneity(t) for t in tables]))
        else:
            p_values = np.full(len(counts), _homogeneity(np.stack([train, counts])))
        shifted = np.flatnonzero(p_values < SHIFT_SIGNIFICANCE)
        if shifted.size:
            prevalences = ", ".join(
                f"{dataset.labels[i].code}: {train[i] / n:.1%} and {counts[i] / m:.1%}"
                for i in shifted
            )
            yield issue(
                "label_shift",
                "warning",
                f"train and {name}",
                f"Labels differ in frequency (p = {p_values.min():.2g}): {prevalences}.",
            )


def imbalance(dataset: Dataset) -> Iterator[QualityIssue]:
    """Training labels of which one is many times as frequent as another.

    Of multi-label data: labels that are many times as often absent as present, or the reverse.
    """
    counts = _counts(dataset, dataset.train)
    if dataset.multi_label:
        n = len(dataset.train)
        rarer = np.minimum(counts, n - counts)
        uneven = np.flatnonzero((rarer > 0) & (n - rarer >= IMBALANCE_RATIO * rarer))
        if uneven.size:
            shares = ", ".join(f"{dataset.labels[i].code} in {counts[i] / n:.1%}" for i in uneven)
            yield issue("imbalance", "warning", "train", f"Present are {shares} of the examples.")
        return
    most, least = int(counts.argmax()), int(counts.argmin())
    if counts[least] > 0 and counts[most] >= IMBALANCE_RATIO * counts[least]:
        yield issue(
            "imbalance",
            "warning",
            "train",
            f"{dataset.labels[most].code} has {counts[most]} examples, "
            f"{dataset.labels[least].code} {counts[least]}.",
        )


def _counts(dataset: Dataset, part: Part) -> NDArray[np.int64]:
    """How many examples each label has (k,)."""
    return np.asarray(part.truth(len(dataset.labels)).sum(axis=0))


def _homogeneity(table: NDArray[np.int64]) -> float:
    """The p-value of counts (2, k) of two sources being of one distribution."""
    from scipy.stats import chi2_contingency

    seen = table[:, table.any(axis=0)]
    return float(chi2_contingency(seen).pvalue) if seen.shape[1] > 1 else 1.0
