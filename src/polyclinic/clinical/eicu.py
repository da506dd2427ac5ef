"""eICU-CRD: its CSV tables into timelines.

Every time is an offset in minutes from a unit stay's beginning; no date is told, and not how far
apart two hospital stays of a person lie. So a timeline here is one hospital stay, whose date is the
first day of the year of discharge, at the hour of admission; its person may have several. Tables:
Pollard et al., Scientific Data 5, 180178 (2018); https://eicu-crd.mit.edu/eicutables.
"""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import polars as pl

from polyclinic.clinical.analytes import BY_NAME
from polyclinic.clinical.codes import ENCOUNTER_CLASS, LOINC
from polyclinic.clinical.eicu_tables import ID, NUMBER, TABLES, TEXT, at, moment
from polyclinic.clinical.exports import Export
from polyclinic.clinical.report import Reading
from polyclinic.clinical.timeline import Patient, Sex

_SEXES: dict[str | None, Sex] = {"Male": "male", "Female": "female", "Other": "other"}


def read_eicu(folder: Path) -> Reading:
    """The timelines of a folder with `patient`, and of the other tables what is there.

    admissionDx, diagnosis, lab, medication, physicalExam and treatment are read, `.csv` or
    `.csv.gz`. A patient is a hospital stay, an encounter a unit stay. Raises `NotFound`, and
    `InvalidInput` naming the file.
    """
    export = Export(folder)
    table = export.required(
        "patient",
        {
            "patientunitstayid": ID,
            "patienthealthsystemstayid": TEXT,
            "uniquepid": TEXT,
            "gender": TEXT,
            "age": TEXT,
            "hospitaladmittime24": TEXT,
            "hospitaladmitoffset": ID,
            "hospitaldischargeyear": pl.Int32(),
            "hospitaldischargeoffset": ID,
            "hospitaldischargestatus": TEXT,
            "unitdischargeoffset": ID,
            "admissionheight": NUMBER,
            "admissionweight": NUMBER,
            "dischargeweight": NUMBER,
        },
        key="patientunitstayid",
    )
    units = table.with_columns(
        begins=pl.datetime("hospitaldischargeyear", 1, 1, time_unit="us", time_zone="UTC")
        + pl.col("hospitaladmittime24")
        .str.to_time("%H:%M:%S", strict=False)
        .cast(pl.Duration("us"))
        - pl.duration(minutes="hospitaladmitoffset"),
        patient="patienthealthsystemstayid",
        encounter=pl.col("patientunitstayid").cast(TEXT),
    )
    stays = units.select("patientunitstayid", "patient", "encounter", "begins")
    _units(export, units)
    for name, kind, key, columns, events in TABLES:
        found = export.table(name, {key: ID, "patientunitstayid": ID, **columns}, key=key)
        if found is not None:
            rows = export.belonging(found, stays, "patientunitstayid", name)
            source = pl.format("{}/{}", pl.lit(name), key)
            export.add(events(rows, export.report).with_columns(source=source), kind, name)
    return Reading(export.timeline(_people(units)), export.report)


def _units(export: Export, units: pl.DataFrame) -> None:
    """Unit stays, the body's measures at their ends, and death in hospital."""
    units = units.with_columns(
        leaves=at("unitdischargeoffset"),
        source=pl.format("patient/{}", "patientunitstayid"),
    )
    stays = units.with_columns(
        **moment(pl.col("begins")),
        end="leaves",
        system=pl.lit(ENCOUNTER_CLASS),
        code=pl.lit("IMP"),
        display=pl.lit("inpatient encounter"),
    )
    export.add(stays, "encounter", "patient")
    for column, name, time in (
        ("admissionheight", "height", "begins"),
        ("admissionweight", "weight", "begins"),
        ("dischargeweight", "weight", "leaves"),
    ):
        analyte = BY_NAME[name]
        measured = units.filter(pl.col(column).is_not_null()).with_columns(
            **moment(pl.col(time)),
            system=pl.lit(LOINC),
            code=pl.lit(analyte.loinc),
            display=pl.lit(analyte.display),
            value=column,
            unit=pl.lit(analyte.unit),
        )
        export.add(measured, "observation", "patient")
    died = pl.col("hospitaldischargestatus") == "Expired"
    deaths = (
        units.filter(died)
        .unique("patient", keep="first", maintain_order=True)
        .with_columns(
            **moment(at("hospitaldischargeoffset")),
            system=pl.lit(LOINC),
            code=pl.lit("31211-6"),
            display=pl.lit("Date of death"),
        )
    )
    export.add(deaths, "observation", "patient")


def _people(units: pl.DataFrame) -> Iterator[Patient]:
    """Age is in full years, and only told to be above 89 beyond that."""
    admitted = units["begins"].dt.date()
    rows = units.select("patient", "uniquepid", "age", "gender")
    for (patient, person, age, gender), day in zip(rows.iter_rows(), admitted, strict=True):
        birth = latest = None
        if day is not None and age == "> 89":
            latest = day - timedelta(days=round(90 * 365.25))
        elif day is not None and age is not None and age.isdecimal() and len(age) <= 3:
            latest = day - timedelta(days=int(int(age) * 365.25))
            birth = latest - timedelta(days=366)
        yield Patient(patient, person or patient, birth, latest, _SEXES.get(gender))
