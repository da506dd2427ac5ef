"""From hourly values to what was known at each hour, as features whose names explain themselves.

A feature at an hour rests on that hour and those before it in the same stay, and its value does not
depend on what else is in the arrays: a series cut off at the hour gives the same bits.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from polyclinic.core.frozen import Frozen

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]

#: Of one variable: its value in the row or its latest one; the hours since that was measured; how
#: often it was measured; the latest value less the one that stood at the window's start.
Statistic = Literal["value", "last", "hours since", "count", "min", "max", "mean", "change"]

#: A window that reaches back to the stay's first hour.
STAY = 0


class Feature(Frozen):
    """One column of a model's input: a statistic of a variable.

    hours: the window's length; `STAY` reaches back to the stay's start; None where the statistic
    has no window. category: the feature is 1 where the variable is this word, else 0.
    """

    variable: str
    statistic: Statistic
    unit: str
    hours: int | None = None
    category: str | None = None

    @property
    def window(self) -> str:
        """The window in words."""
        if self.hours is None:
            return ""
        return "since the stay began" if self.hours == STAY else f"over {self.hours} h"

    @property
    def name(self) -> str:
        """Variable, statistic, window and unit in words, such as `crea, max over 24 h [mg/dL]`."""
        words = self.variable
        if self.category is not None:
            return f"{words} is {self.category}"
        if self.statistic != "value":
            words += f", {self.statistic}" + (f" {self.window}" if self.window else "")
        return f"{words} [{self.unit}]" if self.unit else words


@dataclass(frozen=True)
class Hourly:
    """Hourly values of stays, one stay after another.

    values: (n, v), NaN where nothing was measured. start: (n,) the row at which each row's stay
    begins; rows of a stay are consecutive hours.
    """

    values: Floats
    start: Rows

    @property
    def hour(self) -> Rows:
        """Hours since the stay began (n,)."""
        return np.arange(len(self.start)) - self.start


def hourly_features(
    series: Hourly,
    names: Sequence[str],
    units: Sequence[str],
    windows: Sequence[int],
    rows: Rows,
) -> tuple[list[Feature], Floats]:
    """Features of v variables at the hours of `rows` (e,), and their values (e, d).

    NaN where unknown.

    windows: lengths in hours, the decision hour included; `STAY` among them reaches back to the
    start. A count is 0 where nothing was measured, never unknown.
    """
    features: list[Feature] = []
    columns: list[Floats] = []
    for statistic, hours, values in _statistics(series, windows):
        for name, unit in zip(names, units, strict=True):
            of = {"hours since": "h", "count": ""}.get(statistic, unit)
            features.append(Feature(variable=name, statistic=statistic, unit=of, hours=hours))
        columns.append(values[rows].astype(np.float32))
    return features, np.concatenate(columns, axis=1)


def _statistics(
    series: Hourly, windows: Sequence[int]
) -> Iterator[tuple[Statistic, int | None, NDArray[np.floating]]]:
    values, start = series.values, series.start
    present = np.isfinite(values)
    rows = np.arange(len(values))[:, None]
    at = np.maximum.accumulate(np.where(present, rows, -1), axis=0)
    seen = at >= start[:, None]
    last = np.where(seen, np.take_along_axis(values, np.maximum(at, 0), axis=0), np.nan)
    yield "last", None, last
    yield "hours since", None, np.where(seen, rows - at, np.nan)
    # In double precision, so that means of single-precision values are rounded once.
    zeroed = np.where(present, values, 0.0).astype(np.float64)
    for hours in windows:
        count = over_window(np.add, present.astype(np.float64), start, hours, 0.0)
        total = over_window(np.add, zeroed, start, hours, 0.0)
        yield "count", hours, count
        yield "min", hours, over_window(np.fmin, values, start, hours, np.nan)
        yield "max", hours, over_window(np.fmax, values, start, hours, np.nan)
        yield (
            "mean",
            hours,
            np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0),
        )
        yield "change", hours, last - _stood_before(last, start, hours)


def over_window(
    combine: Callable[[NDArray[np.floating], NDArray[np.floating]], NDArray[np.floating]],
    values: NDArray[np.floating],
    start: Rows,
    hours: int,
    nothing: float,
) -> NDArray[np.floating]:
    """Values (n, v) combined over the last `hours` rows of each row's stay.

    `nothing` is the operation's neutral value. Windows are put together from blocks whose length
    doubles, so that the order of operations, and so every bit, depends on the window alone.
    """
    reach = hours if hours != STAY else int((np.arange(len(start)) - start).max(initial=0)) + 1
    block, length = values, 1
    result, done = None, 0
    while True:
        if reach & length:
            part = block if done == 0 else _earlier(block, start, done, nothing)
            result = part if result is None else combine(result, part)
            done += length
        if done == reach:
            return result if result is not None else block
        block = combine(block, _earlier(block, start, length, nothing))
        length *= 2


def _earlier(
    values: NDArray[np.floating], start: Rows, hours: int, nothing: float
) -> NDArray[np.floating]:
    """What stood in each row's stay so many hours before; `nothing` before its start."""
    moved = np.full_like(values, nothing)
    moved[hours:] = values[:-hours] if hours < len(values) else values[:0]
    moved[np.arange(len(start)) - start < hours] = nothing
    return moved


def _stood_before(last: NDArray[np.floating], start: Rows, hours: int) -> NDArray[np.floating]:
    """The latest value `hours` before each row; before that is known, the stay's first one."""
    n = np.arange(len(last))
    known = np.isfinite(last)
    # The first row from which on a variable is known in the stay.
    begins = np.where(
        known & ~_earlier(known.astype(np.float32), start, 1, 0).astype(bool), n[:, None], -1
    )
    first = np.maximum.accumulate(begins, axis=0)
    back = np.maximum(n - hours, start) if hours != STAY else start
    row = np.maximum(np.minimum(np.maximum(back[:, None], first), n[:, None]), 0)
    return np.where(known, np.take_along_axis(last, row, axis=0), np.nan)
