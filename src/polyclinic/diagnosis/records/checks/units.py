"""Values in another unit than the column's, or with a lost decimal point."""

from collections.abc import Iterator

import numpy as np

from polyclinic.clinical.analytes import BY_LOINC, BY_NAME
from polyclinic.clinical.ucum import unit
from polyclinic.clinical.units import straight_line
from polyclinic.diagnosis.records.checks.sheet import (
    MIN_GROUPS,
    MIN_OF_MEDIAN,
    Doubles,
    Sheet,
)
from polyclinic.diagnosis.records.checks.spread import Spread
from polyclinic.diagnosis.records.checks.typical import typical
from polyclinic.diagnosis.records.inputs import Rows
from polyclinic.diagnosis.records.variables import Variable
from polyclinic.learning.prepare.issues import QualityIssue, issue

#: In what other units things are commonly measured; of a column those that measure the same.
UNITS = (
    "umol/L", "mmol/L", "mg/dL", "mg/L", "g/L", "g/dL", "ug/dL", "ng/mL", "ng/L", "kPa", "[degF]",
    "K", "[lb_av]", "[oz_av]", "g", "[in_i]", "[ft_i]", "m", "mm", "mo", "d", "1", "L", "/uL",
)  # fmt: skip
DECIMALS = (10.0, 100.0, 1000.0, 0.1, 0.01, 0.001)
#: Conversions nearer to none than this cannot be told.
LEAST = 1.5
#: Slips of a decimal are so many times as many as the values of the tail that leads to them; values
#: in another unit are more of them.
TAIL = 3

#: In words, and the straight line to the column's unit.
Reading = tuple[str, float, float]


def other_units(sheet: Sheet) -> Iterator[QualityIssue]:
    """Groups whose values are unusual as they stand and usual if read in another unit.

    Of a whole column the median is judged, by what is typical of adults where that is known.
    """
    for column, variable in enumerate(sheet.variables):
        groups = np.flatnonzero(np.isfinite(sheet.medians[:, column]))
        if variable.type != "number" or len(groups) < MIN_OF_MEDIAN:
            continue
        medians = sheet.medians[groups, column]
        whole = _whole(variable, float(np.median(medians)))
        if whole is not None:
            expected = typical(variable)
            detail = (
                f"The median of {variable.name} is {np.median(medians):g}, where "
                f"{expected[0] if expected else 0:g} to {expected[1] if expected else 0:g} "
                f"{variable.unit} is typical: its values look as if {whole}."
            )
            rows = sheet.rows(groups, column)
            yield issue("wrong_unit", "error", variable.name, detail, rows, sheet.name)
            continue
        if len(groups) < MIN_GROUPS:
            continue
        for words, some in _some(variable, medians):
            detail = (
                f"The values of {len(some)} of {len(groups)} {_those(sheet)} are unusual of "
                f"{variable.name} [{variable.unit}], but would be usual if {words}."
            )
            yield sheet.wrong("wrong_unit", column, groups[some], len(groups), detail)


def _those(sheet: Sheet) -> str:
    return "stays" if sheet.series else "rows"


def _readings(variable: Variable) -> list[Reading]:
    """How a column's numbers may be meant."""
    analyte = BY_LOINC.get(variable.loinc) if variable.loinc else BY_NAME.get(variable.name)
    target = unit(variable.unit) if variable.unit else None
    readings: list[Reading] = []
    for name in UNITS:
        source = unit(name)
        if source is None or target is None:
            continue
        line = straight_line(source, target, analyte)
        if line is not None and (line[1] or not 1 / LEAST < line[0] < LEAST):
            readings.append((f"in {name}", *line))
    return readings + [
        (f"{by:g} times as large" if by > 1 else f"{1 / by:g} times smaller", by, 0.0)
        for by in DECIMALS
    ]


def _whole(variable: Variable, median: float) -> str | None:
    expected = typical(variable)
    if expected is None or expected[0] <= median <= expected[1]:
        return None
    for words, slope, intercept in _readings(variable):
        if expected[0] <= slope * median + intercept <= expected[1]:
            return words
    return None


def _some(variable: Variable, medians: Doubles) -> Iterator[tuple[str, Rows]]:
    """By another reading those of the medians (g,) that only it makes usual."""
    positive = bool((medians > 0).mean() > 0.9)
    spread = Spread.of(_scaled(medians, positive))
    unusual = spread.unusual(_scaled(medians, positive))
    readings = _readings(variable) if unusual.any() else []
    far = np.full((len(readings) + 1, len(medians)), np.inf)
    for row, (_, slope, intercept) in enumerate(readings):
        read = _scaled(slope * medians + intercept, positive)
        far[row] = np.where(unusual & spread.usual(read), spread.distance(read), np.inf)
    # Of two that fit alike a unit is likelier than a slip, and stands first.
    far[: len(readings) - len(DECIMALS)] *= 0.5
    best = np.where(np.isfinite(far).any(axis=0), far.argmin(axis=0), -1)
    scaled = _scaled(medians, positive)
    for row in np.unique(best[best >= 0]).tolist():
        some = np.flatnonzero(best == row)
        tail = TAIL if row >= len(readings) - len(DECIMALS) else 2
        if len(some) > tail * _between(scaled, scaled[some], spread.middle):
            yield readings[row][0], some


def _between(values: Doubles, suspects: Doubles, middle: float) -> int:
    """How many values lie farther in than the suspects, up to half way to the middle.

    A unit leaves a gap there; a tail, such as that of the very ill, fills it.
    """
    edge = suspects[np.abs(suspects - middle).argmin()]
    half = (edge + middle) / 2
    return int(((values > min(edge, half)) & (values < max(edge, half))).sum())


def _scaled(values: Doubles, positive: bool) -> Doubles:
    """What has no values below nought is judged by its logarithm."""
    return np.log(np.maximum(values, 1e-9)) if positive else values
