"""Checks of the quality gate that are of records: of values, columns, times, copies and leaks."""

from collections.abc import Iterator

from polyclinic.diagnosis.records.checks.columns import implausible_values, known_afterwards
from polyclinic.diagnosis.records.checks.doubles import duplicated_rows, repeated_stays
from polyclinic.diagnosis.records.checks.leaks import leaks
from polyclinic.diagnosis.records.checks.lone_values import (
    decimal_slips,
    frozen_series,
    sentinels,
)
from polyclinic.diagnosis.records.checks.order import shifted_rows
from polyclinic.diagnosis.records.checks.sheet import sheets
from polyclinic.diagnosis.records.checks.shifts import shifted_series
from polyclinic.diagnosis.records.checks.swaps import swapped_columns
from polyclinic.diagnosis.records.checks.units import other_units
from polyclinic.diagnosis.records.inputs import Rows
from polyclinic.diagnosis.records.records import Records
from polyclinic.learning.prepare.issues import QualityIssue

#: Of every sheet of values; of hours; of tables.
_OF_SHEETS = (other_units, swapped_columns, sentinels)
_OF_SERIES = (frozen_series, decimal_slips, shifted_series, repeated_stays)
#: The names of what is checked.
CHECKS = tuple(
    each.__name__
    for each in (
        known_afterwards,
        implausible_values,
        *_OF_SHEETS,
        *_OF_SERIES,
        duplicated_rows,
        shifted_rows,
        leaks,
    )
)


def check_records(records: Records, train: Rows) -> Iterator[QualityIssue]:
    """What is wrong with records as they were read; leaks are looked for in `train` alone.

    An `error` names what must not be learnt from; a `warning` what must be known. Rows are those of
    the source's file, counted from 0.
    """
    yield from known_afterwards((*records.fixed, *records.hourly, *records.notes))
    for raw in sheets(records):
        yield from implausible_values(raw)
        sheet = raw.finite()
        for check in (*_OF_SHEETS, *(_OF_SERIES if sheet.series else ())):
            yield from check(sheet)
        # Rows that are alike but for what their texts say are no doubles.
        if sheet.name == "table" and not records.notes:
            yield from duplicated_rows(sheet, records.y)
            yield from shifted_rows(sheet)
    yield from leaks(records, train)
