"""Timelines of patients: exports of FHIR, MIMIC-III or eICU, each patient asked about once."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import polars as pl

from polyclinic.clinical.eicu import read_eicu
from polyclinic.clinical.fhir import read_ndjson
from polyclinic.clinical.mimic import read_mimic
from polyclinic.clinical.report import Reading, Report
from polyclinic.clinical.timeline import Timeline
from polyclinic.core.errors import InvalidInput
from polyclinic.diagnosis.records.grid import to_grid
from polyclinic.diagnosis.records.inputs import Inputs, Rows
from polyclinic.diagnosis.records.problems import problems
from polyclinic.diagnosis.records.recipe import TimelineData
from polyclinic.diagnosis.records.records import Records
from polyclinic.diagnosis.records.variables import AGE, SEX, age_bands
from polyclinic.learning.prepare.issues import QualityIssue, issue

_READERS: dict[str, Callable[[Path], Reading]] = {
    "fhir": read_ndjson,
    "mimic": read_mimic,
    "eicu": read_eicu,
}


def read_timelines(folder: Path, data: TimelineData) -> Records:
    """Each patient of an export as an example, decided at the end of the last encounter.

    Then most is known of a patient, and the whole of it is what a reviewer of problem lists has.
    Conditions are the labels and no input: neither the list itself nor what was coded later leaks.
    Patients without an encounter that ended are left out, and counted. In issues, rows number the
    patients in the order of their ids. Raises `NotFound`, or `InvalidInput` naming the place.
    """
    reading = _READERS[data.export](folder)
    timeline = reading.timeline
    decisions = last_encounters(timeline)
    if decisions.is_empty():
        raise InvalidInput(
            "No patient has an encounter that ended, which is when the model is asked.",
            where=str(folder),
            remedy="Add Encounter resources with a period to the export.",
        )
    issues = [*_of_reading(reading.report), *_undecided(timeline, decisions)]
    grid = to_grid(timeline, decisions, data.fixed, data.measured, data.step)
    issues += _left_out(grid.left_out)
    people = decisions.join(timeline.patients, on="patient", maintain_order="left")
    ages = decisions.join(timeline.ages(decisions), on="patient", maintain_order="left")
    inputs = grid.inputs
    return Records(
        fixed=data.fixed,
        hourly=data.measured,
        inputs=inputs,
        y=problems(timeline, decisions, data.codings),
        patient=people["person"].to_numpy().astype(np.str_),
        part=np.full(len(people), ""),
        origin=_whose(inputs),
        subgroups={
            SEX: people["sex"].cast(pl.String).fill_null("unknown").to_numpy().astype(np.str_),
            AGE: age_bands(ages["age"].fill_null(np.nan).to_numpy()),
        },
        issues=tuple(issues),
    )


def last_encounters(timeline: Timeline) -> pl.DataFrame:
    """Columns patient and time, in order of patient: the end of each one's last encounter."""
    ended = (pl.col("kind") == "encounter") & pl.col("end").is_not_null()
    return (
        timeline.events.filter(ended)
        .group_by("patient")
        .agg(time=pl.col("end").max())
        .sort("patient")
    )


def _whose(inputs: Inputs) -> Rows:
    """The number of the patient of each row; -1 where nothing was recorded."""
    if inputs.hourly is None or inputs.row is None:
        return inputs.subject
    starts = inputs.hourly.start[inputs.row]
    empty = np.isnan(inputs.hourly.values).all(axis=1)
    return np.where(empty, -1, np.searchsorted(starts, inputs.hourly.start))


def _of_reading(report: Report) -> Iterator[QualityIssue]:
    """What the reader found: of each check how often, and the first place."""
    first = {each.check: each for each in reversed(report.issues)}
    for check, times in report.counts.items():
        found = first[check]
        what = f"{check.replace('_', ' ')}, {times:,} times; first: {found.detail}"
        yield issue(check, "warning", found.where, what)


def _undecided(timeline: Timeline, decisions: pl.DataFrame) -> Iterator[QualityIssue]:
    count = len(timeline.patients) - len(decisions)
    if count:
        detail = f"{count:,} patients have no encounter that ended; left out."
        yield issue("no_decision", "warning", "Encounter", detail)


def _left_out(left_out: pl.DataFrame) -> Iterator[QualityIssue]:
    """Values in a unit that is not their variable's, by variable."""
    found = left_out.group_by("variable", maintain_order=True).agg(
        pl.len(), pl.col("source").first(), pl.col("unit").fill_null("no unit").first()
    )
    for variable, count, source, unit in found.iter_rows():
        detail = f"{count:,} values are not in its unit; left out, as {source} in {unit}."
        yield issue("unit", "warning", variable, detail)
