"""What checks see of records: a sheet of values, which rows belong together, and their places."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from polyclinic.diagnosis.records.inputs import Rows
from polyclinic.diagnosis.records.records import Records
from polyclinic.diagnosis.records.variables import Variable
from polyclinic.learning.prepare.issues import QualityIssue, Severity, issue

#: What is wrong with more than this share of a column is no slip: it would be learnt.
SLIPS = 0.02
#: What is usual is judged from no fewer groups; of a whole column the median, from fewer.
MIN_GROUPS, MIN_OF_MEDIAN = 100, 20

#: Nothing that is measured is so large.
GREATEST = 1e12

Values = NDArray[np.float32]
Doubles = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Sheet:
    """Values (n, v) of one file, row by row as it was read.

    name: of the file. group: (n,) whose each row is, counted from 0, rows of a group together; of a
    table and of what does not change each row is a group of its own. origin: (n,) the file's rows.
    """

    name: str
    variables: tuple[Variable, ...]
    values: Values
    group: Rows
    origin: Rows

    @property
    def series(self) -> bool:
        """Whether rows are hours."""
        return self.name == "dyn"

    def finite(self) -> "Sheet":
        """The same without what is infinite, or so large that sums of it would be."""
        with np.errstate(invalid="ignore"):
            values = np.where(np.abs(self.values) < GREATEST, self.values, np.float32(np.nan))
        return replace(self, values=values)

    @cached_property
    def bounds(self) -> Rows:
        """Where each of the g groups begins, and the last one ends (g + 1,)."""
        return np.flatnonzero(
            np.diff(self.group, prepend=-1, append=self.group.max(initial=-1) + 1)
        )

    @cached_property
    def medians(self) -> Doubles:
        """The median of each group's finite values (g, v); NaN where there is none."""
        values = self.values.astype(np.float64)
        if not self.series:
            return values
        found = np.full((len(self.bounds) - 1, values.shape[1]), np.nan)
        columns = np.arange(values.shape[1])
        for row, (start, end) in enumerate(zip(self.bounds, self.bounds[1:], strict=False)):
            some = np.sort(values[start:end], axis=0)  # NaN comes last
            known = np.isfinite(some).sum(axis=0)
            below, above = np.maximum(known - 1, 0) // 2, known // 2
            above = np.minimum(above, np.maximum(known - 1, 0))
            found[row] = (some[below, columns] + some[above, columns]) / 2
        return found

    def rows(self, groups: Rows, column: int) -> Rows:
        """The file's rows of some groups in which a column is known."""
        chosen = np.isin(self.group, groups) & ~np.isnan(self.values[:, column])
        return self.origin[chosen]

    def wrong(
        self, check: str, column: int, groups: Rows, of: int, detail: str, rows: Iterable[int] = ()
    ) -> QualityIssue:
        """An issue of some of the `of` groups of a column: an error where they are no slips."""
        severity: Severity = "error" if len(groups) > SLIPS * of else "warning"
        named = list(rows) or self.rows(groups, column)
        return issue(check, severity, self.variables[column].name, detail, named, self.name)


def sheets(records: Records) -> tuple[Sheet, ...]:
    """The sheets of a table (`table`), or of stays (`sta`, `dyn`)."""
    inputs = records.inputs
    hourly = inputs.hourly
    subjects = np.arange(len(inputs.fixed))
    if hourly is None:
        return (Sheet("table", records.fixed, inputs.fixed, subjects, records.origin),)
    there = np.flatnonzero(records.origin >= 0)
    _, group = np.unique(hourly.start[there], return_inverse=True)
    return (
        Sheet("sta", records.fixed, inputs.fixed, subjects, subjects),
        Sheet("dyn", records.hourly, hourly.values[there], group, records.origin[there]),
    )
