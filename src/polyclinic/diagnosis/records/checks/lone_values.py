"""Values that stand alone: frozen, slipped by a decimal point, or written for none."""

from collections.abc import Iterator

import numpy as np

from polyclinic.diagnosis.records.checks.sheet import MIN_GROUPS, Doubles, Sheet
from polyclinic.learning.prepare.issues import QualityIssue

#: Nothing that varies elsewhere is the same for so many hours, nor so much longer than it ever is.
FROZEN_HOURS, FROZEN_TIMES = 24, 2
#: What is written where nothing is known.
SENTINELS = (-999, -99, -9, -1, 0, 99, 999, 9999, 99999, 888, 8888, 9998)
MIN_SENTINELS = 3
#: A slip of the decimal point: so far from its neighbours, which are so near each other.
SLIP, NEAR = 7.0, 1.3


def frozen_series(sheet: Sheet) -> Iterator[QualityIssue]:
    """A value that stands still for longer than it does in almost any other stay."""
    stays = len(sheet.bounds) - 1
    for column, variable in enumerate(sheet.variables):
        at = np.flatnonzero(~np.isnan(sheet.values[:, column]))
        if not len(at) or variable.medication is not None:  # 1 wherever it was given
            continue
        values, group = sheet.values[at, column], sheet.group[at]
        new = np.append(True, (np.diff(values) != 0) | (np.diff(group) != 0))
        begins = np.flatnonzero(new)
        lengths = np.diff(begins, append=len(at))
        longest = np.zeros(stays, np.int64)
        np.maximum.at(longest, group[begins], lengths)
        measured = longest[longest > 0]
        usual = int(np.quantile(measured, 0.99))
        frozen = np.flatnonzero(lengths >= max(FROZEN_HOURS, FROZEN_TIMES * usual))
        if frozen.size and len(measured) >= MIN_GROUPS:
            those = np.unique(group[begins[frozen]])
            rows = np.concatenate([at[begins[i] : begins[i] + lengths[i]] for i in frozen])
            detail = (
                f"{variable.name} stands still for up to {lengths[frozen].max()} values in "
                f"{len(those)} of {len(measured)} stays; in 99 of 100 for at most {usual}."
            )
            yield sheet.wrong("frozen", column, those, len(measured), detail, sheet.origin[rows])


def decimal_slips(sheet: Sheet) -> Iterator[QualityIssue]:
    """A value that is a power of ten off between two neighbours of the same stay."""
    for column, variable in enumerate(sheet.variables):
        at = np.flatnonzero(sheet.values[:, column] > 0)
        if len(at) < MIN_GROUPS or variable.type != "number":
            continue
        values, group = np.log(sheet.values[at, column].astype(np.float64)), sheet.group[at]
        before, now, after = values[:-2], values[1:-1], values[2:]
        inside = group[:-2] == group[2:]
        level = (before + after) / 2
        near = inside & (np.abs(before - after) < np.log(NEAR))
        tens = np.round((now - level) / np.log(10.0))
        slip = near & (np.abs(tens) >= 1) & (np.abs(now - level - tens * np.log(10)) < np.log(NEAR))
        # Where values leap by so much anyway, a leap says nothing.
        leaps = (np.abs(np.diff(values)) > np.log(SLIP)) & (np.diff(group) == 0)
        rows = at[1:-1][slip]
        if rows.size and leaps.mean() < 0.002 + 2 * len(rows) / len(at):
            detail = (
                f"{len(rows)} of {len(at)} values of {variable.name} are ten times or more off "
                "between neighbours that agree: the decimal point slipped."
            )
            yield sheet.wrong("decimal_slip", column, rows, len(at), detail, sheet.origin[rows])


def sentinels(sheet: Sheet) -> Iterator[QualityIssue]:
    """A round number that stands far out, again and again: it stands for a missing value."""
    for column, variable in enumerate(sheet.variables):
        values = sheet.values[:, column].astype(np.float64)
        known = np.isfinite(values)
        if variable.type != "number" or known.sum() < MIN_GROUPS:
            continue
        for word in SENTINELS:
            is_it = values == word
            if is_it.sum() < MIN_SENTINELS:
                continue
            rest = values[known & ~is_it]
            if not len(rest) or rest.min() == rest.max():  # a yes and a no, written 1 and 0
                continue
            low, middle, high = np.quantile(rest, [0.001, 0.5, 0.999])
            beyond = (rest >= word) if word > high else (rest <= word)
            out = word > 2 * high - low if word > middle else _far_below(rest, word)
            if out and is_it.sum() > 3 * beyond.sum():
                rows = np.flatnonzero(is_it)
                detail = (
                    f"{word} stands {len(rows)} times in {variable.name}, far from all other "
                    "values: it seems to stand for a missing one."
                )
                yield sheet.wrong(
                    "sentinel", column, rows, int(known.sum()), detail, sheet.origin[rows]
                )


def _far_below(values: Doubles, word: float) -> bool:
    """Whether a word lies below values (n,), far from where they begin: no small one of them."""
    low, middle = np.quantile(values, [0.01, 0.5])
    # Where a column is of few steps, the next one beyond the last is not far.
    step = float(np.diff(np.unique(values)[:20]).mean()) if values.min() < values.max() else 0.0
    return bool(low - word > max(10 * step, (middle - word) / 3))
