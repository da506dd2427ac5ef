"""Columns that stand in each other's place."""

from collections.abc import Iterator
from itertools import combinations

import numpy as np

from polyclinic.diagnosis.records.checks.sheet import MIN_GROUPS, MIN_OF_MEDIAN, Sheet
from polyclinic.diagnosis.records.checks.spread import Spread
from polyclinic.diagnosis.records.checks.typical import typical
from polyclinic.learning.prepare.issues import QualityIssue, issue

#: At most this share of groups has two columns in the other order than the rest.
REVERSED = 0.05
MIN_VALUES = 2
#: What fits in another place lies well within the fence there.
FITS = 2.3
#: Of those with the other order, so many times as many must be swapped as not.
TAIL = 3


def swapped_columns(sheet: Sheet) -> Iterator[QualityIssue]:
    """Two columns that fit each other's place and not their own, in some groups or in all."""
    medians, variables = sheet.medians, sheet.variables
    numbers = [i for i, each in enumerate(variables) if each.type == "number"]
    many = {i for i in numbers if np.isfinite(medians[:, i]).sum() >= MIN_OF_MEDIAN}
    counts = np.add.reduceat(~np.isnan(sheet.values), sheet.bounds[:-1], axis=0, dtype=np.int64)
    spreads = {i: Spread.of(medians[np.isfinite(medians[:, i]), i]) for i in many}
    for i, j in combinations(sorted(many), 2):
        groups = np.flatnonzero(np.isfinite(medians[:, i]) & np.isfinite(medians[:, j]))
        names = f"{variables[i].name} and {variables[j].name}"
        if _whole(sheet, i, j, spreads):
            detail = f"{names} stand in each other's place: each has the other's typical median."
            yield issue("swapped_columns", "error", variables[i].name, detail, part=sheet.name)
            continue
        if len(groups) < MIN_GROUPS:
            continue
        one, other = medians[groups, i], medians[groups, j]
        apart = one - other
        against = np.sign(apart) == -np.sign(np.median(apart))
        if not 0 < against.sum() <= REVERSED * len(groups):
            continue
        wrong = against & spreads[j].usual(one, FITS) & spreads[i].usual(other, FITS)
        wrong &= Spread.of(apart).unusual(apart)
        # One or two values may be so by chance, unless neither is at home where it stands.
        enough = np.minimum(counts[groups, i], counts[groups, j]) >= MIN_VALUES
        wrong &= enough | (spreads[i].unusual(one) & spreads[j].unusual(other))
        some = groups[wrong]
        # Where illness puts them in the other order now and then, one more is no swap.
        if some.size > TAIL * (against.sum() - some.size):
            detail = (
                f"{names} stand in each other's place in {len(some)} of {len(groups)} "
                f"{'stays' if sheet.series else 'rows'}: each is usual only as the other."
            )
            yield sheet.wrong("swapped_columns", i, some, len(groups), detail)


def _whole(sheet: Sheet, i: int, j: int, spreads: dict[int, Spread]) -> bool:
    one, other = typical(sheet.variables[i]), typical(sheet.variables[j])
    if one is None or other is None:
        return False
    mine, theirs = spreads[i].middle, spreads[j].middle

    def within(value: float, bounds: tuple[float, float]) -> bool:
        return bounds[0] <= value <= bounds[1]

    own = within(mine, one) or within(theirs, other)
    return not own and within(mine, other) and within(theirs, one)
