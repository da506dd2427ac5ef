"""MIMIC-III: its CSV tables into timelines.

What its tables do not time is known when the patient leaves: diagnoses and procedures are coded
from the whole stay. Dates are shifted for each patient, so that none is real. Tables: Johnson et
al., Scientific Data 3, 160035 (2016); https://mimic.mit.edu/docs/iii/tables.
"""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import polars as pl

from polyclinic.clinical.analytes import BY_LOINC
from polyclinic.clinical.codes import ENCOUNTER_CLASS, ICD_9_CM, LOINC, NDC, icd_9_cm
from polyclinic.clinical.exports import TIME, Export
from polyclinic.clinical.report import Reading
from polyclinic.clinical.timeline import Kind, Patient, Sex

_ID = pl.Int64()
_TEXT = pl.String()
_LAST = timedelta(days=1) - timedelta(microseconds=1)
_OLDEST = timedelta(days=365.25 * 150)
_NINETY = timedelta(days=365.25 * 90)
_PATIENT_AND_STAY = (
    pl.col("subject_id").cast(pl.String).alias("patient"),
    pl.col("hadm_id").cast(pl.String).alias("encounter"),
)
_SEXES: dict[str | None, Sex] = {"M": "male", "F": "female"}


def read_mimic(folder: Path) -> Reading:
    """The timelines of a folder with PATIENTS and ADMISSIONS, and of the others what is there.

    DIAGNOSES_ICD, PROCEDURES_ICD, PRESCRIPTIONS, and LABEVENTS with D_LABITEMS are read, `.csv` or
    `.csv.gz`. A patient is a subject, an encounter an admission. Raises `NotFound`, and
    `InvalidInput` naming the file.
    """
    export = Export(folder)
    patients = export.required(
        "PATIENTS",
        {"subject_id": _ID, "gender": _TEXT, "dob": TIME, "dod": TIME},
        key="subject_id",
    )
    admissions = export.required(
        "ADMISSIONS",
        {
            "subject_id": _ID,
            "hadm_id": _ID,
            "admittime": TIME,
            "dischtime": TIME,
            "deathtime": TIME,
            "diagnosis": _TEXT,
        },
        key="hadm_id",
    )
    stays = admissions.select("hadm_id", "admittime", "dischtime", *_PATIENT_AND_STAY)
    _encounters(export, admissions)
    _deaths(export, patients, admissions)
    _coded(export, stays)
    _prescriptions(export, stays)
    _labs(export)
    return Reading(export.timeline(_people(patients, admissions)), export.report)


def _encounters(export: Export, admissions: pl.DataFrame) -> None:
    """`text` is the diagnosis written at admission."""
    events = admissions.select(
        *_PATIENT_AND_STAY,
        start="admittime",
        latest_start="admittime",
        end="dischtime",
        known="admittime",
        system=pl.lit(ENCOUNTER_CLASS),
        code=pl.lit("IMP"),
        display=pl.lit("inpatient encounter"),
        text="diagnosis",
        source=pl.format("ADMISSIONS/{}", "hadm_id"),
    )
    export.add(events, "encounter", "ADMISSIONS")


def _deaths(export: Export, patients: pl.DataFrame, admissions: pl.DataFrame) -> None:
    """In hospital to the minute, elsewhere to the day."""
    in_hospital = admissions.group_by("subject_id").agg(pl.col("deathtime").min())
    deaths = (
        patients.join(in_hospital, on="subject_id", how="left")
        .filter(pl.col("deathtime").is_not_null() | pl.col("dod").is_not_null())
        .select(
            patient=pl.col("subject_id").cast(pl.String),
            start=pl.coalesce("deathtime", "dod"),
            latest_start=pl.coalesce("deathtime", pl.col("dod") + _LAST),
            known=pl.coalesce("deathtime", pl.col("dod") + _LAST),
            system=pl.lit(LOINC),
            code=pl.lit("31211-6"),
            display=pl.lit("Date of death"),
            source=pl.format("PATIENTS/{}", "subject_id"),
        )
    )
    export.add(deaths, "observation", "PATIENTS")


def _coded(export: Export, stays: pl.DataFrame) -> None:
    """Diagnoses and procedures: at some time of the stay, known when the patient leaves."""
    tables: tuple[tuple[str, Kind], ...] = (
        ("DIAGNOSES_ICD", "condition"),
        ("PROCEDURES_ICD", "procedure"),
    )
    for name, kind in tables:
        table = export.table(
            name, {"row_id": _ID, "hadm_id": _ID, "icd9_code": _TEXT}, key="row_id"
        )
        if table is None:
            continue
        pointed = [
            code and icd_9_cm(code, procedure=kind == "procedure") for code in table["icd9_code"]
        ]
        events = export.belonging(
            table.with_columns(code=pl.Series(pointed, dtype=_TEXT)), stays, "hadm_id", name
        ).select(
            "patient",
            "encounter",
            "code",
            start="admittime",
            latest_start="dischtime",
            known="dischtime",
            system=pl.when(pl.col("code").is_not_null()).then(pl.lit(ICD_9_CM)),
            source=pl.format("{}/{}", pl.lit(name), "row_id"),
        )
        export.add(events, kind, name)


def _prescriptions(export: Export, stays: pl.DataFrame) -> None:
    """By the day: a prescription is known when its first day is over."""
    table = export.table(
        "PRESCRIPTIONS",
        {
            "row_id": _ID,
            "hadm_id": _ID,
            "startdate": TIME,
            "enddate": TIME,
            "drug": _TEXT,
            "ndc": _TEXT,
            "dose_val_rx": _TEXT,
            "dose_unit_rx": _TEXT,
            "route": _TEXT,
        },
        key="row_id",
    )
    if table is None:
        return
    coded = pl.col("ndc").str.contains("[1-9]")
    dose = pl.col("dose_val_rx").str.replace_all(",", "").cast(pl.Float64, strict=False)
    words = pl.concat_str("dose_val_rx", "dose_unit_rx", "route", separator=" ", ignore_nulls=True)
    events = export.belonging(table, stays, "hadm_id", "PRESCRIPTIONS").select(
        "patient",
        "encounter",
        start="startdate",
        latest_start=pl.col("startdate") + _LAST,
        end=pl.col("enddate") + _LAST,
        # Of one without a day all that is sure is that it was over when the patient left.
        known=pl.coalesce(pl.col("startdate") + _LAST, "dischtime"),
        system=pl.when(coded).then(pl.lit(NDC)),
        code=pl.when(coded).then("ndc"),
        display="drug",
        value=dose,
        unit=pl.when(dose.is_not_null()).then("dose_unit_rx"),
        text=words,
        source=pl.format("PRESCRIPTIONS/{}", "row_id"),
    )
    export.add(events, "medication", "PRESCRIPTIONS")


def _labs(export: Export) -> None:
    """At the time of the specimen, which is the only one that MIMIC-III tells."""
    table = export.table(
        "LABEVENTS",
        {
            "row_id": _ID,
            "subject_id": _ID,
            "hadm_id": _ID,
            "itemid": _ID,
            "charttime": TIME,
            "value": _TEXT,
            "valuenum": pl.Float64(),
            "valueuom": _TEXT,
        },
        key="row_id",
    )
    if table is None:
        return
    items = export.required(
        "D_LABITEMS", {"itemid": _ID, "label": _TEXT, "loinc_code": _TEXT}, key="itemid"
    )
    loinc = pl.col("loinc_code")
    standing = loinc.replace({code: analyte.loinc for code, analyte in BY_LOINC.items()})
    events = export.belonging(table, items, "itemid", "LABEVENTS").select(
        *_PATIENT_AND_STAY,
        start="charttime",
        latest_start="charttime",
        known="charttime",
        system=pl.when(loinc.is_not_null()).then(pl.lit(LOINC)),
        code=standing,
        display="label",
        also=pl.when(standing != loinc).then(
            pl.concat_list(pl.format("{}|{}", pl.lit(LOINC), loinc))
        ),
        value="valuenum",
        unit="valueuom",
        text=pl.when(pl.col("valuenum").is_null()).then("value"),
        source=pl.format("LABEVENTS/{}", "row_id"),
    )
    export.add(events, "observation", "LABEVENTS")


def _people(patients: pl.DataFrame, admissions: pl.DataFrame) -> Iterator[Patient]:
    """Birth to the day; of those above 89, moved 300 years back by MIMIC, only that they are."""
    first = admissions.group_by("subject_id").agg(pl.col("admittime").min())
    rows = patients.join(first, on="subject_id", how="left")
    for subject, gender, born, admitted in rows.select(
        "subject_id", "gender", "dob", "admittime"
    ).iter_rows():
        old = born and admitted and admitted - born > _OLDEST
        birth = None if born is None or old else born.date()
        latest = (admitted - _NINETY).date() if old else birth
        yield Patient(str(subject), str(subject), birth, latest, _SEXES.get(gender))
