"""Columns of a table that slipped by some rows against the others."""

from collections.abc import Iterator

import numpy as np

from polyclinic.diagnosis.records.checks.sheet import Doubles, Sheet
from polyclinic.diagnosis.records.inputs import Rows
from polyclinic.learning.prepare.issues import QualityIssue

LAGS = (-3, -2, -1, 1, 2, 3)
#: So many rows at a time are looked at.
BLOCK = 50
#: A column in its place has no stronger correlation with its own neighbours' columns than this
#: allows: so much at least, and so much more than in its place.
HIGH, MORE = 0.7, 0.4


def shifted_rows(sheet: Sheet) -> Iterator[QualityIssue]:
    """A column that goes with the columns of the rows above or below, and not with its own."""
    ranked = _ranks(sheet.values.astype(np.float64))
    n = len(ranked)
    blocks = [np.arange(start, min(start + BLOCK, n)) for start in range(0, n, BLOCK)]
    blocks = [rows for rows in blocks if len(rows) >= BLOCK // 2]
    found: dict[tuple[int, int], list[Rows]] = {}
    for rows in blocks:
        here = np.abs(_correlation(ranked[rows], ranked[rows]))
        for lag in LAGS:
            inside = rows[(rows + lag >= 0) & (rows + lag < n)]
            there = np.abs(_correlation(ranked[inside], ranked[inside + lag]))
            off = (there >= HIGH) & (there - here >= MORE)
            # A column and itself tell only of a sorted table.
            np.fill_diagonal(off, val=False)
            strong = (here >= HIGH).sum(axis=1) - 1
            for column in np.flatnonzero(off.sum(axis=1) > np.maximum(strong, 0)).tolist():
                found.setdefault((column, lag), []).append(rows)
    for (column, lag), where in found.items():
        rows = np.concatenate(where)
        detail = (
            f"{sheet.variables[column].name} goes with the other columns only when moved "
            f"{abs(lag)} rows {'down' if lag > 0 else 'up'}, in {len(rows)} of {n} rows."
        )
        yield sheet.wrong("shifted_column", column, rows, n, detail, sheet.origin[rows])


def _ranks(values: Doubles) -> Doubles:
    """Ranks (n, v), NaN where nothing is known: so that no outlier makes a correlation."""
    ranked = values.argsort(axis=0).argsort(axis=0).astype(np.float64)
    ranked[np.isnan(values)] = np.nan
    return ranked


def _correlation(one: Doubles, other: Doubles) -> Doubles:
    """Of each column of one with each of the other (v, v); what is missing counts as the mean."""
    x, y = (_standard(each) for each in (one, other))
    correlation: Doubles = x.T @ y / len(x)
    return correlation


def _standard(values: Doubles) -> Doubles:
    known = np.isfinite(values)
    mean = np.where(known, values, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    apart = np.where(known, values - mean, 0.0)
    scale = np.sqrt((apart * apart).mean(axis=0))
    standard: Doubles = apart / np.where(scale > 0, scale, 1.0)
    return standard
