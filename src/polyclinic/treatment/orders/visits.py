"""Visits at which something was ordered: what was known when each began, and what was ordered.

A recommendation is made when the visit begins. What was coded when the patient left is known only
later, so that it is no input; nor is any order of the visit itself.
"""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl
from numpy.typing import NDArray

from polyclinic.clinical.codes import ICD_9_CM, ICD_10, ICD_10_CM, LOINC
from polyclinic.clinical.timeline import Timeline
from polyclinic.treatment.drugs.formulary import Formulary
from polyclinic.treatment.patient import POSSIBLE

#: What is no order but its consequence, or hearsay: it is history, never the answer.
_NO_ORDERS = ("MedicationAdministration/", "MedicationStatement/", "MedicationDispense/")
#: Systems whose first three characters are a category.
_ICD = (ICD_9_CM, ICD_10, ICD_10_CM)


@dataclass(frozen=True)
class Visits:
    """n visits, in order of patient and time.

    patient, person, sex: (n,); age: (n,) years, NaN where unknown; time: (n,) microseconds since
    1970. Facts are in long frames, whose `row` is a visit: conditions (row, fact, display), known
    and not over; history (row, drug, last: whether at the visit before); values (row, fact,
    display, value), the latest known; orders (row, drug), the answer.
    drugs: drug, system, code, display of everything that was ordered; one that the formulary does
    not know stands under its own code.
    """

    patient: NDArray[np.str_]
    person: NDArray[np.str_]
    sex: NDArray[np.str_]
    age: NDArray[np.float32]
    time: NDArray[np.int64]
    conditions: pl.DataFrame
    history: pl.DataFrame
    values: pl.DataFrame
    orders: pl.DataFrame
    drugs: pl.DataFrame

    def __len__(self) -> int:
        return len(self.patient)

    @property
    def before(self) -> NDArray[np.int64]:
        """The number (n,) of visits of the same patient that stand before each."""
        starts = np.r_[True, self.patient[1:] != self.patient[:-1]] if len(self) else np.empty(0)
        first = np.maximum.accumulate(np.where(starts, np.arange(len(self)), 0))
        return np.arange(len(self)) - first


def read_visits(timeline: Timeline, formulary: Formulary, asked: datetime | None = None) -> Visits:
    """The visits of a timeline at which something was ordered; with `asked`, one more then.

    asked: a decision time for every patient, at which nothing has been ordered yet; visits that
    began later are left out.
    """
    events = timeline.events
    if asked is not None:
        events = events.filter(pl.col("known") <= asked)
    taken, drugs = _named(events.filter(pl.col("kind") == "medication"), formulary)
    visits = _visits(events, taken, timeline, asked)
    orders = visits.join(taken.filter(~_hearsay()), on=("patient", "encounter"), nulls_equal=False)
    people = visits.join(timeline.patients, on="patient", how="left", maintain_order="left")
    return Visits(
        patient=people["patient"].to_numpy().astype(np.str_),
        person=people["person"].fill_null(people["patient"]).to_numpy().astype(np.str_),
        sex=people["sex"].cast(pl.String).fill_null("unknown").to_numpy().astype(np.str_),
        age=_ages(people),
        time=people["time"].dt.epoch("us").to_numpy(),
        conditions=_conditions(visits, events),
        history=_history(visits, taken),
        values=_values(visits, events),
        orders=orders.select("row", "drug").unique(maintain_order=True),
        drugs=drugs,
    )


def _hearsay() -> pl.Expr:
    source = pl.col("source").fill_null("")
    return pl.any_horizontal(source.str.starts_with(kind) for kind in _NO_ORDERS)


def _named(medications: pl.DataFrame, formulary: Formulary) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Medications by drug, a row for each ingredient; and all drugs."""
    keys = ["system", "code", "also", "display"]
    medications = medications.with_columns(pl.col("also").list.join("\n"))
    written = medications.select(keys).unique(maintain_order=True)
    rows: list[tuple[int, str, str, str, str]] = []
    for number, (system, code, also, display) in enumerate(written.iter_rows()):
        found = formulary.of(system, code, also.split("\n") if also else (), display)
        rows += (
            (number, drug.name, drug.coding.system, drug.coding.code, drug.name) for drug in found
        )
        if not found and (code or display):
            name = display or code
            key = f"{system}|{code}" if code else f"text|{name.lower()}"
            rows.append((number, key, system or "", code or name, name))
    schema = {"number": pl.UInt32, **dict.fromkeys(("drug", "dsystem", "dcode", "name"), pl.String)}
    names = pl.DataFrame(rows, schema, orient="row")
    numbered = written.with_row_index("number").join(names, on="number", maintain_order="left")
    taken = medications.join(numbered, on=keys, nulls_equal=True, maintain_order="left")
    drugs = names.select("drug", system="dsystem", code="dcode", display="name")
    return taken, drugs.unique("drug", maintain_order=True, keep="first").sort("drug")


def _visits(
    events: pl.DataFrame, taken: pl.DataFrame, timeline: Timeline, asked: datetime | None
) -> pl.DataFrame:
    """Columns row, patient, encounter, time."""
    ordered = taken.filter(~_hearsay()).select("patient", "encounter").unique()
    encounters = events.filter(pl.col("kind") == "encounter").select(
        "patient", "encounter", time=pl.coalesce("start", "known")
    )
    visits = encounters.drop_nulls().join(ordered, on=("patient", "encounter"), how="semi")
    if asked is not None:
        visits = visits.filter(pl.col("time") < asked)
        now = timeline.patients.select(
            "patient",
            encounter=pl.lit(None, pl.String),
            time=pl.lit(asked).dt.convert_time_zone("UTC").dt.cast_time_unit("us"),
        )
        visits = pl.concat([visits, now])
    unique = visits.unique(("patient", "encounter"), keep="first", maintain_order=True)
    return unique.sort("patient", "time", "encounter", nulls_last=True).with_row_index("row")


def _ages(people: pl.DataFrame) -> NDArray[np.float32]:
    days = (pl.col("time").dt.date() - pl.col("latest_birth")).dt.total_days()
    return people.select(age=days / 365.25)["age"].fill_null(np.nan).to_numpy().astype(np.float32)


def _known(visits: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    """Pairs of a visit and an event known when it began."""
    return (
        visits.select("row", "patient", "time", visit="encounter")
        .join(events, on="patient", maintain_order="left")
        .filter(pl.col("known") <= pl.col("time"))
    )


def _conditions(visits: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    """Conditions by category."""
    conditions = events.filter(pl.col("kind") == "condition", pl.col("code").is_not_null())
    category = (
        pl.when(pl.col("system").is_in(_ICD))
        .then(pl.col("code").str.split(".").list.first())
        .otherwise("code")
    )
    known = (
        _known(visits, conditions)
        .filter(pl.col("end").is_null() | (pl.col("end") > pl.col("time")))
        .select("row", fact=pl.format("{}|{}", "system", category), display="display")
    )
    return known.unique(("row", "fact"), maintain_order=True)


def _history(visits: pl.DataFrame, taken: pl.DataFrame) -> pl.DataFrame:
    """What was ordered, given or taken before, but for this visit's own orders."""
    earlier = _known(visits, taken).filter(
        pl.col("visit").is_null()
        | pl.col("encounter").is_null()
        | (pl.col("encounter") != pl.col("visit"))
    )
    previous = visits.select(
        "row", last=pl.col("encounter").shift(1).over("patient", order_by="row")
    )
    return (
        earlier.join(previous, on="row", maintain_order="left")
        .group_by("row", "drug", maintain_order=True)
        .agg(last=(pl.col("encounter") == pl.col("last")).fill_null(value=False).any())
    )


def _values(visits: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    """The latest number of each kind; one in another unit, or that cannot be, is left out."""
    numbers = events.filter(
        pl.col("kind") == "observation",
        pl.col("value").is_not_null(),
        pl.col("code").is_not_null(),
        pl.col("canonical").fill_null(value=True),
    ).select(
        *("patient", "known", "start", "value", "unit", "display"),
        fact=pl.format("{}|{}", "system", "code"),
    )
    possible = pl.DataFrame(
        [(f"{LOINC}|{code}", low, high) for code, (_, low, high, _) in POSSIBLE.items()],
        {"fact": pl.String, "low": pl.Float64, "high": pl.Float64},
        orient="row",
    )
    bounded = numbers.join(possible, on="fact", how="left", maintain_order="left")
    numbers = bounded.filter(
        pl.col("low").is_null() | pl.col("value").is_between(pl.col("low"), pl.col("high"))
    )
    return (
        _known(visits, numbers)
        .sort("row", "known", "start", nulls_last=False, maintain_order=True)
        .group_by("row", "fact", maintain_order=True)
        .agg(pl.col("display").last(), pl.col("value").last(), pl.col("unit").last())
    )
