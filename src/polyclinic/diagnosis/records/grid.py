"""From timelines to the grid that hourly stays are: rows of an hour or a day up to a decision.

Only what was known at the decision enters (`Timeline.known_at`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from polyclinic.clinical.analytes import BY_LOINC
from polyclinic.clinical.codes import LOINC
from polyclinic.clinical.timeline import Timeline
from polyclinic.clinical.ucum import unit
from polyclinic.clinical.units import straight_line
from polyclinic.diagnosis.records.features import Hourly, Step
from polyclinic.diagnosis.records.inputs import Inputs
from polyclinic.diagnosis.records.variables import AGE, SEX, Variable

_LENGTH = {"h": timedelta(hours=1), "d": timedelta(days=1)}
#: At most so many rows are looked back.
_ROWS = {"h": 24 * 90, "d": 366}


@dataclass(frozen=True)
class Grid:
    """What a model is given of m patients, in the order of the decisions, each asked once.

    left_out: values whose unit is not that of their variable: columns patient, variable (its name),
    unit and source.
    """

    inputs: Inputs
    left_out: pl.DataFrame


def to_grid(
    timeline: Timeline,
    decisions: pl.DataFrame,
    fixed: Sequence[Variable],
    measured: Sequence[Variable],
    step: Step,
) -> Grid:
    """What was known of each patient at the decision: fixed values, and rows of the measured ones.

    decisions: columns patient and time (with a zone), one row a patient.
    Of hours the first row begins with the encounter under way, or else with the first value; of
    days with the first value, since visits are single days of one course. Of several values in a
    row the last stands, or the sum of those that add up; a medication is 1 where it was ordered or
    given, a finding its probability. Of fixed ones the latest value stands. Nothing is judged:
    implausible values stay.
    """
    asked = decisions.select("patient", "time").with_row_index("subject")
    known = timeline.known_at(asked.select("patient", "time"))
    variables = (*fixed, *measured)
    values, left_out = _values(known, variables, asked)
    of_grid = values.filter(pl.col("variable") >= len(fixed))
    spans = _spans(known, asked, of_grid, step)
    numbers = np.full((len(asked), len(fixed)), np.nan, np.float32)
    latest = values.filter(pl.col("variable") < len(fixed))
    numbers[latest["subject"].to_numpy(), latest["variable"].to_numpy()] = latest["value"]
    for index, variable in enumerate(fixed):
        if variable.name == AGE:
            ages = asked.join(known.ages(asked), on="patient", how="left", maintain_order="left")
            numbers[:, index] = ages["age"].fill_null(np.nan)
        elif variable.name == SEX:
            numbers[:, index] = _sexes(known, asked, variable)
    if not measured:
        return Grid(Inputs(numbers, np.arange(len(asked))), left_out)
    series, last = _rows(of_grid, spans, measured, len(fixed), step)
    return Grid(Inputs(numbers, np.arange(len(asked)), series, last), left_out)


def _codes(
    variables: Sequence[Variable],
) -> Iterator[tuple[int, str, str, str | None, float, float]]:
    """Of each code of a variable: its index, kind, unit, and the line to the variable's own unit.

    A medication is 1 whatever its dose; a finding's probability has no unit.
    """
    for index, variable in enumerate(variables):
        if variable.medication is not None:
            yield index, variable.medication, "medication", None, 0.0, 1.0
        if variable.finding is not None:
            yield index, variable.finding, "finding", None, 1.0, 0.0
        if variable.loinc is None:
            continue
        analyte = BY_LOINC.get(variable.loinc)
        if analyte is None:
            yield index, f"{LOINC}|{variable.loinc}", "observation", variable.unit, 1.0, 0.0
            continue
        source, target = unit(analyte.unit), unit(variable.unit)
        if source is None or target is None:
            continue
        line = straight_line(source, target, analyte)
        if line is None:
            continue
        for code in (analyte.loinc, *analyte.also):
            yield index, f"{LOINC}|{code}", "observation", analyte.unit, *line


def _values(
    known: Timeline, variables: Sequence[Variable], asked: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Columns subject, variable (its index), at and value, in order of time; and what is left out.

    A value without a time of its own is taken to be of when it became known.
    """
    codes = pl.DataFrame(
        list(_codes(variables)),
        {
            "variable": pl.Int64,
            "key": pl.String,
            "kind": pl.String,
            "expected": pl.String,
            "slope": pl.Float64,
            "intercept": pl.Float64,
        },
        orient="row",
    )
    found = (
        known.events.filter((pl.col("kind") == "medication") | pl.col("value").is_not_null())
        .with_row_index("event")
        .with_columns(
            pl.col("kind").cast(pl.String),
            at=pl.coalesce("start", "known"),
            key=pl.concat_list(pl.format("{}|{}", "system", "code"), "also"),
        )
        .explode("key")
        .join(codes, on=["key", "kind"])
        .unique(["event", "variable"], maintain_order=True)
        .join(asked, on="patient", maintain_order="left")
        .sort("at", maintain_order=True)
    )
    fits = pl.col("expected").is_null() | (pl.col("unit").fill_null("") == pl.col("expected"))
    number = pl.col("value").fill_null(0.0) * pl.col("slope") + pl.col("intercept")
    names = pl.Series([variable.name for variable in variables], dtype=pl.String)
    return (
        found.filter(fits).select("subject", "variable", "at", value=number),
        found.filter(~fits).select(
            "patient",
            "unit",
            "source",
            variable=pl.col("variable").replace_strict(
                range(len(names)), names, return_dtype=pl.String
            ),
        ),
    )


def _spans(known: Timeline, asked: pl.DataFrame, values: pl.DataFrame, step: Step) -> pl.DataFrame:
    """Columns subject, time, begin (of the first row) and length (rows), in order of subject."""
    first = values.group_by("subject").agg(begin=pl.col("at").min())
    spans = asked.join(first, on="subject", how="left", maintain_order="left")
    if step == "h":
        # Of what was known, an encounter without an end is under way, and so is one that just ends.
        under_way = (
            known.events.filter(pl.col("kind") == "encounter")
            .join(asked, on="patient")
            .filter(pl.col("end").is_null() | (pl.col("end") == pl.col("time")))
            .group_by("patient")
            .agg(admitted=pl.col("start").max())
        )
        spans = spans.join(under_way, on="patient", how="left", maintain_order="left")
        spans = spans.with_columns(begin=pl.coalesce("admitted", "begin"))
    earliest = pl.col("time") - (_ROWS[step] - 1) * _LENGTH[step]
    begin = pl.max_horizontal(pl.coalesce("begin", "time"), earliest)
    return spans.with_columns(begin=pl.min_horizontal(begin, "time")).select(
        "subject",
        "begin",
        length=1
        + (pl.col("time") - pl.col("begin")).dt.total_microseconds() // _microseconds(step),
    )


def _rows(
    values: pl.DataFrame, spans: pl.DataFrame, measured: Sequence[Variable], skip: int, step: Step
) -> tuple[Hourly, NDArray[np.int64]]:
    """The series of all subjects, and the row (m,) of each one's decision."""
    lengths = spans["length"].to_numpy()
    first = np.cumsum(lengths) - lengths
    adding = [skip + index for index, variable in enumerate(measured) if variable.adds_up]
    value = pl.col("value")
    cells = (
        values.join(spans.with_columns(first=first), on="subject", maintain_order="left")
        .with_columns(ago=(pl.col("at") - pl.col("begin")).dt.total_microseconds())
        .filter(pl.col("ago") >= 0)
        .with_columns(row=pl.col("first") + pl.col("ago") // _microseconds(step))
        .group_by("row", "variable", maintain_order=True)
        .agg(
            pl.when(pl.col("variable").first().is_in(adding))
            .then(value.sum())
            .otherwise(value.last())
        )
    )
    grid = np.full((int(lengths.sum()), len(measured)), np.nan, np.float32)
    grid[cells["row"].to_numpy(), cells["variable"].to_numpy() - skip] = cells["value"].to_numpy()
    return Hourly(grid, np.repeat(first, lengths)), first + lengths - 1


def _sexes(known: Timeline, asked: pl.DataFrame, variable: Variable) -> NDArray[np.float64]:
    """The index of each patient's sex among the words of the variable; NaN where it is none."""
    words = {word.lower(): float(index) for index, word in enumerate(variable.categories)}
    sexes = asked.join(known.patients, on="patient", how="left", maintain_order="left")["sex"]
    return np.array([words.get(sex, np.nan) for sex in sexes.to_list()])


def _microseconds(step: Step) -> int:
    return _LENGTH[step] // timedelta(microseconds=1)
