"""Splits: by patient where patients are known, with each label shared out evenly."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polyclinic.core.errors import InvalidInput
from polyclinic.learning.labels import Labels, multi_label

Rows = NDArray[np.int64]


def split(
    y: Labels,
    fractions: Mapping[str, float],
    patient: NDArray[Any] | None = None,
    seed: int = 0,
) -> dict[str, Rows]:
    """Rising row indices of each named part; every row of y, (n,) or (n, k) bool, is in one.

    fractions: part -> share of the rows, summing to 1. patient: (n,) ids; all rows of a patient go
    to one part. Iterative stratification (Sechidis, Tsoumakas and Vlahavas 2011): patients with the
    rarest label are dealt out first, each to the part that has least of its share of that label.
    Rows of multi-label data without a label are shared out as if that were one more. The same
    arguments give the same parts.

    Raises `InvalidInput` where the fractions are not shares of 1, or a label is carried by too few
    patients to stand in every part.
    """
    if not fractions or min(fractions.values()) <= 0 or abs(sum(fractions.values()) - 1) > 1e-9:
        raise InvalidInput(
            f"The fractions {dict(fractions)} are not positive numbers that sum to 1.",
            where="fractions",
        )
    if multi_label(y):
        labels = np.flatnonzero(y.any(axis=0))
        truth = y[:, labels].astype(np.bool_)
    else:
        labels = np.unique(y)
        truth = y[:, None] == labels
    kinds = np.column_stack([truth, ~truth.any(axis=1)])
    ids, group = np.unique(np.arange(len(y)) if patient is None else patient, return_inverse=True)
    counts = np.zeros((len(ids), kinds.shape[1]), dtype=np.int64)
    np.add.at(counts, group, kinds)
    part_of_group = _deal(counts, list(fractions.values()), seed)
    part = part_of_group[group]
    rows = {name: np.flatnonzero(part == index) for index, name in enumerate(fractions)}
    for index, value in enumerate(labels):
        if len(np.unique(part[truth[:, index]])) < len(fractions):
            raise InvalidInput(
                f"Label {value} is carried by {int((counts[:, index] > 0).sum())} patients, too "
                f"few to stand in all of {', '.join(fractions)}.",
                where="labels",
                remedy="Gather more examples of the label, merge it with another, or split into "
                "fewer parts.",
            )
    return rows


def _deal(counts: Rows, fractions: list[float], seed: int) -> Rows:
    """The part (g,) of each group, given its number of rows of each label: counts (g, k)."""
    rarity = counts.sum(axis=0).argsort(kind="stable").argsort(kind="stable")
    k = counts.shape[1]
    rarest = np.where(counts > 0, rarity, k).argmin(axis=1)
    shuffled = np.random.default_rng(seed).permutation(len(counts))
    order = shuffled[
        np.lexsort((-counts.sum(axis=1)[shuffled], rarity[rarest][shuffled]))
    ]  # the rarest label first, and of one label the largest group first
    parts = range(len(fractions))
    # How full each part is, of each label and (last) of all rows, as a multiple of its share.
    filled = [[0.0] * (k + 1) for _ in parts]
    dealt = np.empty(len(counts), dtype=np.int64)
    for group in order.tolist():
        key = int(rarest[group])
        chosen = min(parts, key=lambda p: (filled[p][key], filled[p][k], -fractions[p]))
        dealt[group] = chosen
        share = fractions[chosen]
        for column in np.flatnonzero(counts[group]).tolist():
            filled[chosen][column] += counts[group, column] / share
            filled[chosen][k] += counts[group, column] / share
    return dealt
