"""Stays by the hour, in the layout that `clinical.icu` reads."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from polyclinic.clinical.icu import Cohort, read_cohort
from polyclinic.core.errors import InvalidInput
from polyclinic.diagnosis.records.features import Hourly
from polyclinic.diagnosis.records.inputs import Inputs, Rows
from polyclinic.diagnosis.records.recipe import HourlyData, Onset
from polyclinic.diagnosis.records.records import AFTER, BEFORE, HOURS, Records
from polyclinic.diagnosis.records.sources.stay_variables import FIXED, HOURLY
from polyclinic.diagnosis.records.variables import AGE, SEX, age_bands
from polyclinic.learning.prepare.issues import QualityIssue, issue

#: No stay is longer; a later hour is an error of the times.
LONGEST_STAY_H = 24 * 365


def read_stays(folder: Path, data: HourlyData) -> Records:
    """The stays of a folder, each hour of which, or each stay, is an example.

    Hours that the source leaves out are hours in which nothing was measured. What came after
    `decision_hour` is not read. Raises `NotFound`, or `InvalidInput` naming the file and column.
    """
    cohort = read_cohort(folder)
    if cohort.hourly != (data.decision_hour is None):
        by = "hour" if cohort.hourly else "stay"
        raise InvalidInput(
            f"The labels are by the {by}.",
            where=str(folder / "outc.parquet"),
            remedy="Give the recipe a decision_hour where labels are by the stay, else none.",
        )
    possible = (cohort.hours >= 0) & (cohort.hours <= LONGEST_STAY_H)
    issues = tuple(_impossible_times(np.flatnonzero(~possible)))
    last = LONGEST_STAY_H if data.decision_hour is None else data.decision_hour
    used = np.flatnonzero(possible & (cohort.hours <= last))
    series, first = _grid(cohort, used, data.decision_hour)
    stay = cohort.stay_of_row[used]
    row = first[stay] + cohort.hours[used]
    origin = np.full(len(series.start), -1)
    origin[row] = used
    series.values[row] = cohort.values[used]
    if cohort.hourly:
        subject, y = stay, cohort.labels[used].astype(np.int64)
    else:
        subject, y = np.arange(len(cohort)), cohort.labels.astype(np.int64)
        row = first + last
    fixed = cohort.static.astype(np.float32)
    sexes = np.nan_to_num(fixed[subject, 1], nan=2).astype(np.int64)
    subgroups = {
        SEX: np.array(["female", "male", "unknown"])[sexes],
        AGE: age_bands(fixed[subject, 0]),
    }
    if data.onset is not None:
        subgroups[HOURS] = _hours_of_onset(y, subject, data.onset)
    return Records(
        fixed=FIXED,
        hourly=HOURLY,
        inputs=Inputs(fixed, subject, series, row),
        y=y,
        patient=cohort.stays[subject].astype(np.str_),
        part=np.full(len(y), ""),
        origin=origin,
        subgroups=subgroups,
        issues=issues,
    )


def _impossible_times(rows: Rows) -> Iterator[QualityIssue]:
    if rows.size:
        detail = f"{rows.size} times lie before the stay or more than a year after it."
        yield issue("time_travel", "error", "time", detail, rows, "dyn")


def _grid(cohort: Cohort, used: Rows, decision_hour: int | None) -> tuple[Hourly, Rows]:
    """Series of every hour of every stay, with nothing in them, and each stay's first row (n,)."""
    if decision_hour is None:
        lengths = np.zeros(len(cohort), np.int64)
        np.maximum.at(lengths, cohort.stay_of_row[used], cohort.hours[used] + 1)
    else:
        lengths = np.full(len(cohort), decision_hour + 1)
    first = np.cumsum(lengths) - lengths
    values = np.full((lengths.sum(), len(HOURLY)), np.nan, np.float32)
    return Hourly(values, np.repeat(first, lengths)), first


def _hours_of_onset(y: NDArray[np.int64], subject: Rows, onset: Onset) -> NDArray[np.str_]:
    """Whether each hour lies before the onset of its stay; without an onset all do.

    A stay's first true hour is `before` hours before the onset, unless the stay began later than
    that; then its last true one is `after` hours after it.
    """
    after = np.zeros(len(y), np.bool_)
    starts = np.flatnonzero(np.diff(subject, prepend=-1))
    for start, end in zip(starts, [*starts[1:], len(y)], strict=True):
        true = np.flatnonzero(y[start:end])
        if true.size:
            cut = true[0] == 0
            begins = max(true[-1] - onset.after, 0) if cut else true[0] + onset.before
            after[start + begins : end] = True
    return np.where(after, AFTER, BEFORE)
