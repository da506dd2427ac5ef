"""Columns that were shifted in time against those they go together with."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from polyclinic.diagnosis.records.checks.sheet import Doubles, Mask, Sheet, Values
from polyclinic.diagnosis.records.inputs import Rows
from polyclinic.learning.prepare.issues import QualityIssue, issue

#: In hours; 0 comes first, so that of equals nothing is shifted.
LAGS = (0, -1, 1, -2, 2, -3, 3)
#: A column is compared with so many of those that it goes together with best.
PARTNERS = 4
#: In standard deviations: none of some thousand stays differs so by chance.
SURELY = 4.5


class _Way(NamedTuple):
    """A way in which columns go together, in an index from 0 to 1.

    high: so much they do, in the right place. low: at most so much where they are shifted. least:
    of how many values a stay must have to tell.
    """

    high: float
    low: float
    least: int


#: Values of one sample are known together: the Jaccard index of their hours.
_SAMPLES = _Way(high=0.75, low=0.2, least=4)
#: Vital signs move together: the correlation of their steps from hour to hour.
_MOVES = _Way(high=0.6, low=0.2, least=30)


def shifted_series(sheet: Sheet) -> Iterator[QualityIssue]:
    """A column that some hours off goes together with others as it should in its place."""
    known = ~np.isnan(sheet.values)
    if not len(known):
        return
    share = known.mean(axis=0)
    steps = np.diff(sheet.values, axis=0, prepend=np.float32(np.nan))
    steps[sheet.bounds[:-1]] = np.nan
    samples = np.flatnonzero((share > 0) & (share < 0.3))
    yield from _shifted(sheet, _SAMPLES, np.where(known, 1, np.nan).astype(np.float32), samples)
    yield from _shifted(sheet, _MOVES, steps, np.flatnonzero(share >= 0.3))


def _shifted(sheet: Sheet, way: _Way, data: Values, columns: Rows) -> Iterator[QualityIssue]:
    names = [sheet.variables[column].name for column in columns]
    pairs = _Pairs(data[:, columns], sheet, way)
    lags, index = pairs.whole()
    for i, name in enumerate(names):
        partners = np.flatnonzero(index[i] >= way.high)
        off = partners[lags[i, partners] != 0]
        if 2 * len(off) > len(partners):
            lag = int(lags[i, off[0]])
            detail = f"{name} goes together with {_list(names, off)} only {_words(lag)}."
            rows = sheet.rows(np.arange(len(sheet.bounds) - 1), int(columns[i]))
            yield issue("shifted_column", "error", name, detail, rows, sheet.name)
        elif len(partners):
            best = partners[np.argsort(-index[i, partners])][:PARTNERS]
            for lag, groups, of in pairs.stays(i, best[lags[i, best] == 0]):
                detail = (
                    f"In {len(groups)} of {of} stays {name} goes together with "
                    f"{_list(names, best)} only {_words(lag)}."
                )
                yield sheet.wrong("shifted_column", int(columns[i]), groups, of, detail)


def _list(names: list[str], some: Rows) -> str:
    return ", ".join(names[each] for each in some)


def _words(lag: int) -> str:
    return f"when moved {abs(lag)} h {'later' if lag > 0 else 'earlier'}"


@dataclass(frozen=True)
class _Pairs:
    """How columns (n, c) go together, NaN where nothing is known, in all stays and in each.

    Ones where known make the index below that of Jaccard; steps, which are about nought, a
    correlation.
    """

    data: Values
    sheet: Sheet
    way: _Way

    @property
    def _of_samples(self) -> bool:
        return self.way is _SAMPLES

    def whole(self) -> tuple[Rows, Doubles]:
        """By pair (c, c) the lag at which they go together best, and how much."""
        found = []
        x, known = np.nan_to_num(self.data), np.isfinite(self.data).astype(np.float32)
        for lag in LAGS:
            y = self._moved(np.arange(x.shape[1]), lag)
            y, there = np.nan_to_num(y), np.isfinite(y).astype(np.float32)
            both = known.T @ there
            if self._of_samples:
                either = known.sum(axis=0)[:, None] + there.sum(axis=0) - both
                index = both / np.maximum(either, 1)
            else:
                scale = np.sqrt(((x * x).T @ there) * (known.T @ (y * y)))
                index = (x.T @ y) / np.maximum(scale, 1e-12)
            found.append(np.where(both >= self.way.least, index, 0.0))
        all_lags = np.stack(found).astype(np.float64)
        all_lags[:, np.arange(x.shape[1]), np.arange(x.shape[1])] = 0.0
        return np.array(LAGS)[all_lags.argmax(axis=0)], all_lags.max(axis=0)

    def stays(self, i: int, partners: Rows) -> Iterator[tuple[int, Rows, int]]:
        """By lag the stays in which a column goes with most of its partners so, and of how many."""
        if not len(partners):
            return
        still, count = self._by_stay(i, partners, 0)
        telling = count >= self.way.least
        for lag in LAGS[1:]:
            index, _ = self._by_stay(i, partners, lag)
            off = telling & self._off(still, index, count)
            groups = np.flatnonzero(2 * off.sum(axis=1) > telling.sum(axis=1))
            if groups.size:
                yield lag, groups, int(telling.any(axis=1).sum())

    def _off(self, still: Doubles, moved: Doubles, count: Doubles) -> Mask:
        """Where moved columns go together, and unmoved ones do not.

        Of correlations the difference is tested by Fisher's transformation.
        """
        low: Mask = (still <= self.way.low) & (moved >= self.way.high)
        if self._of_samples:
            return low
        z = np.arctanh(np.clip(moved, -0.999, 0.999)) - np.arctanh(np.clip(still, -0.999, 0.999))
        surely: Mask = z * np.sqrt(np.maximum(count - 3, 0) / 2) >= SURELY
        return surely & (moved >= self.way.high / 1.4)

    def _by_stay(self, i: int, partners: Rows, lag: int) -> tuple[Doubles, Doubles]:
        """The index of each stay with each partner (g, p), and of how many values it is."""
        x, y = self.data[:, [i]].astype(np.float64), self._moved(partners, lag).astype(np.float64)
        both = np.isfinite(x) & np.isfinite(y)
        if self._of_samples:
            one, other = self._sums(np.isfinite(x)), self._sums(np.isfinite(y))
            common = self._sums(both)
            index = common / np.maximum(one + other - common, 1)
            return index, np.minimum(one, other)
        x, y = np.where(both, x, 0.0), np.where(both, y, 0.0)
        scale = np.sqrt(self._sums(x * x) * self._sums(y * y))
        return self._sums(x * y) / np.maximum(scale, 1e-12), self._sums(both)

    def _sums(self, values: Doubles | Mask) -> Doubles:
        return np.add.reduceat(values.astype(np.float64), self.sheet.bounds[:-1], axis=0)

    def _moved(self, columns: Rows, lag: int) -> Values:
        """What stands `lag` rows later in the same stay (n, p); NaN where nothing does."""
        group = self.sheet.group
        at = np.arange(len(group)) + lag
        inside = (at >= 0) & (at < len(group))
        at = np.clip(at, 0, len(group) - 1)
        inside &= group[at] == group
        moved: Values = np.where(
            inside[:, None], self.data[np.ix_(at, columns)], np.float32(np.nan)
        )
        return moved
