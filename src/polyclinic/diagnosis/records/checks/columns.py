"""Columns that must not be features, values that cannot be, and columns that never vary."""

from collections.abc import Iterator, Sequence

import numpy as np

from polyclinic.diagnosis.records.checks.sheet import SLIPS, Sheet
from polyclinic.diagnosis.records.variables import Variable
from polyclinic.learning.prepare.issues import QualityIssue, Severity, issue


def known_afterwards(variables: Sequence[Variable]) -> Iterator[QualityIssue]:
    """A feature that the dictionary itself says is known only after the decision."""
    for variable in variables:
        if variable.known == "after decision":
            detail = f"{variable.name} is known only after the decision, and cannot be a feature."
            yield issue("after_decision", "error", variable.name, detail)


def implausible_values(sheet: Sheet) -> Iterator[QualityIssue]:
    """Values outside of what the dictionary says can be; columns that are empty or never vary."""
    for index, variable in enumerate(sheet.variables):
        column = sheet.values[:, index]
        known = column[~np.isnan(column)]
        wrong = np.flatnonzero(variable.implausible(column))
        if wrong.size:
            many = wrong.size > SLIPS * known.size
            severity: Severity = "error" if many else "warning"
            then = "its unit may be wrong, or its column" if many else "taken as missing"
            detail = (
                f"{wrong.size} of {known.size} values of {variable.name} lie outside "
                f"{variable.range}; {then}."
            )
            rows = sheet.origin[wrong]
            yield issue("implausible", severity, variable.name, detail, rows, sheet.name)
        if known.size == 0:
            detail = f"{variable.name} is empty."
            yield issue("empty_column", "warning", variable.name, detail, part=sheet.name)
        elif variable.medication is not None:
            continue  # 1 where it was given, so that it cannot vary
        elif len(column) > 1 and known.size > 1 and known.min() == known.max():
            detail = f"{variable.name} is {known[0]:g} wherever it is known."
            yield issue("constant_column", "warning", variable.name, detail, part=sheet.name)
