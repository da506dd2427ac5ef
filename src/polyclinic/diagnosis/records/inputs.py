"""What a model is given of patients, and the encoding that makes features of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from polyclinic.core.frozen import Frozen
from polyclinic.diagnosis.records.features import (
    STAY,
    Feature,
    Floats,
    Hourly,
    Step,
    row_features,
    row_values,
    window_features,
    window_values,
)
from polyclinic.diagnosis.records.groups import Group, group
from polyclinic.diagnosis.records.variables import Variable

Rows: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True)
class Inputs:
    """What is known of m subjects, and the e moments at which something is asked of them.

    fixed: (m, s) float32, what does not change; a category is the index of its word; NaN where
    missing. subject: (e,) of each moment. hourly: the hourly values of all subjects, one after
    another, and row: (e,) the row at which it is asked; both None for plain tables.
    notes: (m, t * w) the embeddings of t texts, NaN where there is none.
    """

    fixed: Floats
    subject: Rows
    hourly: Hourly | None = None
    row: Rows | None = None
    notes: Floats | None = None


class Encoding(Frozen):
    """Which variables become which features; a model version keeps its own.

    fixed: variables that do not change: a table's columns, or of a stay age, sex and so on.
    hourly: variables measured by the hour. windows: in hours, as in `window_values`.
    steps: in place of statistics over windows, the values of so many rows themselves, for networks.
    per: hourly variables that are also taken per unit of a fixed one, such as urine per weight.
    decision_hour: the one hour at which the model answers; None for every hour.
    step: where rows are days, all that is said of hours is of days.
    notes: texts, each of which has an embedding of so many numbers (`note_width`).
    """

    fixed: tuple[Variable, ...]
    hourly: tuple[Variable, ...] = ()
    windows: tuple[int, ...] = ()
    steps: int = Field(default=0, ge=0)
    per: dict[str, str] = Field(default_factory=dict)
    decision_hour: int | None = Field(default=None, ge=0)
    step: Step = "h"
    notes: tuple[Variable, ...] = ()
    note_width: int = Field(default=0, ge=0)

    @cached_property
    def features(self) -> tuple[Feature, ...]:
        """The features, in the order of the columns that `encode` gives."""
        found = [feature for variable in self.fixed for feature, _ in _kinds(variable)]
        if self.hourly:
            found += self._features_of_hours()
        found += [
            Feature(variable=note.name, statistic="embedding", unit="", number=number)
            for note in self.notes
            for number in range(self.note_width)
        ]
        return tuple(found)

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        """Which of the features are one piece of evidence together."""
        return group(self.features)

    @cached_property
    def names(self) -> frozenset[str]:
        """The names of all variables."""
        return frozenset(each.name for each in (*self.fixed, *self.hourly, *self.notes))

    @cached_property
    def plausible(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The least and the greatest plausible value of each hourly variable (v,)."""
        low = [-np.inf if each.low is None else each.low for each in self.hourly]
        high = [np.inf if each.high is None else each.high for each in self.hourly]
        # Beyond single precision a value would become infinite.
        greatest = float(np.finfo(np.float32).max)
        return np.maximum(low, -greatest), np.minimum(high, greatest)

    def encode(self, inputs: Inputs) -> Floats:
        """Features (e, d) of each moment, float32, NaN where unknown."""
        columns = []
        for index, variable in enumerate(self.fixed):
            values = inputs.fixed[inputs.subject, index]
            for _, code in _kinds(variable):
                is_it = np.where(np.isnan(values), np.nan, values == code)
                columns.append(values if code is None else is_it)
        fixed = np.empty((len(inputs.subject), len(columns)), np.float32)
        for index, column in enumerate(columns):
            fixed[:, index] = column
        parts = [fixed]
        if self.hourly:
            parts += self._values_of_hours(inputs)
        if self.notes:
            if inputs.notes is None:
                raise TypeError("The encoding has texts; the inputs have none.")
            parts.append(inputs.notes[inputs.subject])
        return np.concatenate(parts, axis=1)

    @cached_property
    def _measured(self) -> tuple[Variable, ...]:
        return (*self.hourly, *(self._ratio(*pair) for pair in self.per.items()))

    def _features_of_hours(self) -> list[Feature]:
        if self.steps:
            features = row_features(self._measured, self.steps, self.step)
        else:
            features = window_features(self._measured, self.windows, self.step)
        by = "days" if self.step == "d" else "hours"
        hour = Feature(variable=f"{by} since the stay began", statistic="value", unit=self.step)
        return [hour, *features]

    def _values_of_hours(self, inputs: Inputs) -> list[Floats]:
        series, row = inputs.hourly, inputs.row
        if series is None or row is None:
            raise TypeError("The encoding has hourly variables; the inputs have none.")
        series = Hourly(self._with_ratios(inputs, series, row), series.start)
        if self.steps:
            values = row_values(series, self.steps, row)
        else:
            values = window_values(series, self._measured, self.windows, row)
        hours = (row - series.start[row]).astype(np.float32)[:, None]
        return [hours, values]

    def _ratio(self, above: str, below: str) -> Variable:
        """What is called `above` per unit of `below`."""
        one, other = self._named(above, self.hourly), self._named(below, self.fixed)
        return Variable(
            name=f"{above} per {below}",
            display=f"{one.title} per {other.title.lower()}",
            unit=f"{one.unit}/{other.unit}" if one.unit and other.unit else "",
            adds_up=one.adds_up,
        )

    def _with_ratios(self, inputs: Inputs, series: Hourly, row: Rows) -> Floats:
        if not self.per:
            return series.values
        # Whose each hour is; of stays that nothing is asked of it does not matter.
        whose = np.zeros(len(series.start), np.int64)
        whose[series.start[row]] = inputs.subject
        whose = whose[series.start]
        columns = [series.values]
        for above, below in self.per.items():
            i, j = (
                [variable.name for variable in some].index(name)
                for name, some in ((above, self.hourly), (below, self.fixed))
            )
            columns.append((series.values[:, i] / inputs.fixed[whose, j])[:, None])
        return np.concatenate(columns, axis=1)

    @staticmethod
    def _named(name: str, variables: tuple[Variable, ...]) -> Variable:
        return next(variable for variable in variables if variable.name == name)

    @model_validator(mode="after")
    def _fits(self) -> "Encoding":
        names = [variable.name for variable in (*self.fixed, *self.hourly, *self.notes)]
        if len(set(names)) < len(names):
            raise ValueError("a variable stands there twice")
        hourly, fixed = ({each.name for each in some} for some in (self.hourly, self.fixed))
        numbers = {each.name for each in self.fixed if each.type == "number"}
        for above, below in self.per.items():
            if above not in hourly or below not in fixed & numbers:
                raise ValueError(f"per: {above} by the hour per {below} cannot be made")
        if any(hours < STAY for hours in self.windows):
            raise ValueError("a window has a negative length")
        return self


def _kinds(variable: Variable) -> Iterator[tuple[Feature, int | None]]:
    """The features of a fixed variable, with the code of the category that each stands for."""
    if variable.type == "number":
        yield Feature(variable=variable.name, statistic="value", unit=variable.unit), None
        return
    # Of two categories the second says all.
    first = 1 if len(variable.categories) == 2 else 0
    for code, word in list(enumerate(variable.categories))[first:]:
        yield (
            Feature(variable=variable.name, statistic="value", unit="", category=word),
            code,
        )
