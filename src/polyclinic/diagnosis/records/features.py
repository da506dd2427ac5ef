"""From hourly values to what was known at each hour, as features whose names explain themselves.

A feature at an hour rests on that hour and those before it in the same stay, and its value does not
depend on what else is in the arrays: a series cut off at the hour gives the same bits.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from polyclinic.core.frozen import Frozen

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]

#: How long a row is: an hour or a day.
Step = Literal["h", "d"]

#: Of one variable: its value in the row or its latest one; the hours since that was measured; the
#: latest value less the one measured before it (step); how often it was measured; of what adds up
#: over hours, such as urine, the total; the latest value less the one that stood at the window's
#: start (change), or less the least within it (rise); what was measured some rows ago (at);
#: one number of many that stand for a text (embedding).
Statistic = Literal[
    "value",
    "last",
    "hours since",
    "step",
    "count",
    "total",
    "min",
    "max",
    "mean",
    "change",
    "rise",
    "at",
    "embedding",
]

#: A window that reaches back to the stay's first hour.
STAY = 0


class Feature(Frozen):
    """One column of a model's input: a statistic of a variable.

    hours: the window's length; `STAY` reaches back to the stay's start; None where the statistic
    has no window. category: the feature is 1 where the variable is this word, else 0. ago: of
    `at`, how many rows before the decision. number: which of an embedding's.
    step: where rows are days, `hours` counts days.
    """

    variable: str
    statistic: Statistic
    unit: str
    hours: int | None = None
    category: str | None = None
    ago: int | None = None
    number: int | None = None
    step: Step = "h"

    @property
    def window(self) -> str:
        """The window in words."""
        if self.ago is not None:
            return f"{self.ago} {self.step} before" if self.ago else "now"
        if self.hours is None:
            return ""
        return "since the stay began" if self.hours == STAY else f"over {self.hours} {self.step}"

    @property
    def name(self) -> str:
        """Variable, statistic, window and unit in words, such as `crea, max over 24 h [mg/dL]`."""
        words = self.variable
        if self.category is not None:
            return f"{words} is {self.category}"
        if self.statistic == "embedding":
            return words
        if self.statistic == "at":
            words += f" {self.window}"
        elif self.statistic != "value":
            statistic = self.statistic.replace("hours", "days" if self.step == "d" else "hours")
            words += f", {statistic}" + (f" {self.window}" if self.window else "")
        return f"{words} [{self.unit}]" if self.unit else words


class Measured(Protocol):
    """What must be known of a variable: how it is called, its unit, whether it adds up."""

    @property
    def name(self) -> str:
        """Its name."""
        ...

    @property
    def unit(self) -> str:
        """Its unit, in UCUM."""
        ...

    @property
    def adds_up(self) -> bool:
        """Whether hours add up to a total."""
        ...


@dataclass(frozen=True)
class Hourly:
    """Hourly values of stays, one stay after another.

    values: (n, v), NaN where nothing was measured. start: (n,) the row at which each row's stay
    begins; rows of a stay are consecutive hours.
    """

    values: Floats
    start: Rows


def window_features(
    measured: Sequence[Measured], windows: Sequence[int], step: Step = "h"
) -> list[Feature]:
    """The features whose values `window_values` gives."""
    features: list[Feature] = []
    nothing = Hourly(np.empty((0, len(measured)), np.float32), np.empty(0, np.int64))
    for statistic, hours, _ in _statistics(nothing, _adding(measured), windows, nothing.start):
        for each in measured:
            if statistic == "total" and not each.adds_up:
                continue
            rate = f"{each.unit}/{step}" if each.adds_up and each.unit else each.unit
            unit = {"hours since": step, "count": "", "total": each.unit}.get(statistic, rate)
            features.append(
                Feature(variable=each.name, statistic=statistic, unit=unit, hours=hours, step=step)
            )
    return features


def window_values(
    series: Hourly, measured: Sequence[Measured], windows: Sequence[int], rows: Rows
) -> Floats:
    """What was known of v variables at the hours of `rows` (e,): (e, d).

    windows: lengths in hours, the decision hour included; `STAY` among them reaches back to the
    start. A value that is unknown is NaN; a count or a total is 0 where nothing was measured. What
    adds up is seen as a rate an hour, since one place notes it hourly and another every few hours.
    """
    columns = [
        values.astype(np.float32)
        for _, _, values in _statistics(series, _adding(measured), windows, rows)
    ]
    return np.concatenate(columns, axis=1)


def row_features(measured: Sequence[Measured], steps: int, step: Step = "h") -> list[Feature]:
    """The features whose values `row_values` gives."""
    return [
        Feature(variable=each.name, statistic="at", unit=each.unit, ago=ago, step=step)
        for ago in range(steps - 1, -1, -1)
        for each in measured
    ]


def row_values(series: Hourly, steps: int, rows: Rows) -> Floats:
    """The values of the last `steps` rows up to each of `rows` (e,): (e, steps * v).

    The oldest row comes first. What lies before a stay began is NaN.
    """
    places = rows[:, None] - np.arange(steps - 1, -1, -1)
    values: Floats = series.values[np.maximum(places, 0)]
    values[places < series.start[rows][:, None]] = np.nan
    return values.reshape(len(rows), steps * series.values.shape[1])


def _adding(measured: Sequence[Measured]) -> NDArray[np.bool_]:
    return np.array([each.adds_up for each in measured], np.bool_)


def _statistics(
    series: Hourly, adding: NDArray[np.bool_], windows: Sequence[int], rows: Rows
) -> Iterator[tuple[Statistic, int | None, NDArray[np.floating]]]:
    start = series.start[rows]
    present = np.isfinite(series.values)
    place = np.arange(len(present))[:, None]
    # Where each variable was measured last; before the stay's start: not yet.
    latest = np.maximum.accumulate(np.where(present, place, -1), axis=0)
    values = _rates(series, adding, latest)
    at = latest[rows]
    last = _taken(values, at, at >= start[:, None])
    yield "last", None, last
    yield "hours since", None, np.where(at >= start[:, None], rows[:, None] - at, np.nan)
    # The latest measurement but one is what was the latest an hour before the latest.
    one_before = np.take_along_axis(latest, np.maximum(at - 1, 0), axis=0) if len(rows) else at
    twice = (at > start[:, None]) & (one_before >= start[:, None])
    yield "step", None, last - _taken(values, one_before, twice)
    places = np.where(present, place, len(values))
    first = _Windows.of(start, rows).over(np.minimum, places)
    # In double precision, so that means of single-precision values are rounded once.
    known, zeroed = (np.where(present, each, 0.0).astype(np.float64) for each in (1.0, values))
    amounts = np.where(present, series.values, 0.0)[:, adding].astype(np.float64)
    for hours in windows:
        since = start if hours == STAY else np.maximum(start, rows - hours + 1)
        window = _Windows.of(since, rows)
        count, total = window.over(np.add, known), window.over(np.add, zeroed)
        yield "count", hours, count
        yield "total", hours, window.over(np.add, amounts)
        least = window.over(np.fmin, values)
        yield "min", hours, least
        yield "rise", hours, last - least
        yield "max", hours, window.over(np.fmax, values)
        unknown = np.full_like(total, np.nan)
        yield "mean", hours, np.divide(total, count, out=unknown, where=count > 0)
        # What stood when the window began; before anything was known, the first value.
        before = start if hours == STAY else np.maximum(start, rows - hours)
        stood = np.maximum(latest[before], first)
        yield "change", hours, last - _taken(values, stood, at >= start[:, None])


def _rates(series: Hourly, adding: NDArray[np.bool_], latest: Rows) -> Floats:
    """The values (n, v), those that add up divided by the hours over which they did so."""
    if not adding.any():
        return series.values
    values = series.values.copy()
    # Before the first of a stay it added up since the stay began.
    before = np.concatenate([np.full((1, adding.sum()), -1), latest[:-1, adding]])
    before = np.maximum(before, series.start[:, None] - 1)
    values[:, adding] /= np.arange(len(values))[:, None] - before
    return values


@dataclass(frozen=True)
class _Windows:
    """One window for each moment; rows that none of them reaches are not looked at.

    reached: the rows within any, and one more, which follows the last. bounds: (2 e,) where in
    these each window begins and what follows it.
    """

    reached: Rows
    bounds: Rows

    @classmethod
    def of(cls, since: Rows, rows: Rows) -> "_Windows":
        """Windows from row `since` (e,) to row `rows` (e,), both included."""
        bounds = np.stack([since, rows + 1], axis=1)
        begins, ends = (np.bincount(each, minlength=bounds.max(initial=0) + 1) for each in bounds.T)
        inside = np.cumsum(begins - ends) > 0
        place = np.concatenate([[0], np.cumsum(inside)])
        return cls(np.append(np.flatnonzero(inside), 0), place[bounds].ravel())

    def over(self, combine: np.ufunc, values: NDArray[np.generic]) -> NDArray[Any]:
        """Values (n, v) combined in each window (e, v)."""
        if not len(self.bounds):
            return values[:0]
        # `reduceat` combines from each bound to before the next one; what lies between two windows
        # is every second of its results.
        combined: NDArray[Any] = combine.reduceat(values[self.reached], self.bounds, axis=0)
        return combined[::2]


def _taken(values: Floats, at: Rows, known: NDArray[np.bool_]) -> Floats:
    """The values (n, v) at rows (e, v) of each column; NaN where nothing is known."""
    if not len(at):
        return values[:0]
    inside = np.clip(at, 0, len(values) - 1)
    return np.where(known, np.take_along_axis(values, inside, axis=0), np.float32(np.nan))
