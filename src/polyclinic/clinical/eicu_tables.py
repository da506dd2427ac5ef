"""eICU-CRD's tables of what happened during a unit stay: from rows to events.

Rows come joined with their stay: patient, encounter, and `begins`, when it began.
"""

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

import polars as pl

from polyclinic.clinical.analytes import BY_NAME
from polyclinic.clinical.codes import ICD_9_CM, ICD_10_CM, LOINC
from polyclinic.clinical.eicu_names import LABORATORY, VITAL_SIGNS
from polyclinic.clinical.report import Report
from polyclinic.clinical.timeline import Kind

#: The system of what has no code but eICU's own words; the table's name follows.
EICU = "https://eicu-crd.mit.edu/eicutables/"
ID = pl.Int64()
TEXT = pl.String()
NUMBER = pl.Float64()

_ICD_9 = re.compile(r"(\d{3}|V\d\d)(\.\d{1,2})?|E\d{3}(\.\d)?")
_ICD_10 = re.compile(r"[A-Z]\d[\dA-Z](\.[\dA-Z]{1,4})?")


class Table(NamedTuple):
    """A table: its columns besides `key` and the unit stay, and how its rows become events."""

    name: str
    kind: Kind
    key: str
    columns: Mapping[str, pl.DataType]
    events: Callable[[pl.DataFrame, Report], pl.DataFrame]


def at(offset: str) -> pl.Expr:
    """The time so many minutes after the unit stay began."""
    return pl.col("begins") + pl.duration(minutes=offset)


def moment(time: pl.Expr) -> dict[str, pl.Expr]:
    """The times of what happened at `time` and was known then."""
    return {"start": time, "latest_start": time, "known": time}


def admission_diagnoses(rows: pl.DataFrame, _: Report) -> pl.DataFrame:
    """The reason of admission, known when it was entered."""
    reasons = pl.col("admitdxpath").str.contains("|All Diagnosis|", literal=True)
    return rows.filter(reasons).with_columns(
        **moment(at("admitdxenteredoffset")),
        system=pl.lit(f"{EICU}admissiondx"),
        code="admitdxpath",
        display="admitdxname",
    )


def diagnoses(rows: pl.DataFrame, _: Report) -> pl.DataFrame:
    """Known when entered; whether it was active at discharge, which is only known then, is not."""
    cells = rows.select("icd9code", "diagnosisstring").iter_rows()
    codes = [_icd(cell) or [(f"{EICU}diagnosis", words)] for cell, words in cells]
    also = [[f"{system}|{code}" for system, code in some[1:]] for some in codes]
    return rows.with_columns(
        **moment(at("diagnosisoffset")),
        system=pl.Series([some[0][0] for some in codes], dtype=TEXT),
        code=pl.Series([some[0][1] for some in codes], dtype=TEXT),
        also=pl.Series(also, dtype=pl.List(TEXT)),
        display="diagnosisstring",
    )


def laboratory(rows: pl.DataFrame, _: Report) -> pl.DataFrame:
    """Known when last revised; `text` is the result as written where it is no plain number."""
    codes = {name: BY_NAME[analyte].loinc for name, analyte in LABORATORY.items()}
    loinc = pl.col("labname").replace_strict(codes, default=None, return_dtype=TEXT)
    plain = pl.col("labresulttext").cast(NUMBER, strict=False).is_not_null()
    return rows.with_columns(
        start=at("labresultoffset"),
        latest_start=at("labresultoffset"),
        known=pl.max_horizontal(at("labresultoffset"), at("labresultrevisedoffset")),
        system=pl.when(loinc.is_null()).then(pl.lit(f"{EICU}lab")).otherwise(pl.lit(LOINC)),
        code=pl.coalesce(loinc, "labname"),
        display="labname",
        value="labresult",
        unit="labmeasurenamesystem",
        text=pl.when(~plain).then("labresulttext"),
    )


def medications(rows: pl.DataFrame, report: Report) -> pl.DataFrame:
    """Orders that were not cancelled, known when ordered and begun."""
    cancelled = pl.col("drugordercancelled") == "Yes"
    orders = rows.filter(cancelled.not_().fill_null(True))
    if len(orders) < len(rows):
        detail = "The order was cancelled."
        report.add("not_in_force", "warning", "medication", detail, len(rows) - len(orders))
    dose = pl.col("dosage").str.extract_groups(r"^([\d.,]+)\s*([A-Za-z%][^\d]*)$")
    amount = dose.struct[0].str.replace_all(",", "").cast(NUMBER, strict=False)
    hicl = pl.col("drughiclseqno").str.strip_suffix(".0")
    ends = pl.col("drugstopoffset") > pl.col("drugstartoffset")
    return orders.with_columns(
        start=at("drugstartoffset"),
        latest_start=at("drugstartoffset"),
        end=pl.when(ends).then(at("drugstopoffset")),
        known=pl.max_horizontal(at("drugorderoffset"), at("drugstartoffset")),
        system=pl.when(hicl.is_not_null()).then(pl.lit(f"{EICU}medication")),
        code=hicl,
        display="drugname",
        value=amount,
        unit=pl.when(amount.is_not_null()).then(dose.struct[1].str.strip_chars()),
        text=pl.concat_str("dosage", "routeadmin", "frequency", separator=" ", ignore_nulls=True),
    )


def examinations(rows: pl.DataFrame, _: Report) -> pl.DataFrame:
    """What was charted at the bedside; `text` is it in words where it is no number."""
    codes = {name: BY_NAME[analyte].loinc for name, (analyte, _) in VITAL_SIGNS.items()}
    units = {name: unit for name, (_, unit) in VITAL_SIGNS.items()}
    last, said = pl.col("physicalexamvalue"), pl.col("physicalexamtext")
    number = said.cast(NUMBER, strict=False)
    path = pl.col("physicalexampath").str.strip_prefix("notes/Progress Notes/Physical Exam/")
    loinc = last.replace_strict(codes, default=None, return_dtype=TEXT)
    own = pl.lit(f"{EICU}physicalexam")
    return rows.with_columns(
        **moment(at("physicalexamoffset")),
        system=pl.when(loinc.is_null()).then(own).otherwise(pl.lit(LOINC)),
        code=pl.coalesce(loinc, path),
        display="physicalexamvalue",
        value=number,
        unit=last.replace_strict(units, default=None, return_dtype=TEXT),
        text=pl.when(number.is_null()).then(said),
    )


def treatments(rows: pl.DataFrame, _: Report) -> pl.DataFrame:
    """Known when entered."""
    return rows.with_columns(
        **moment(at("treatmentoffset")),
        system=pl.lit(f"{EICU}treatment"),
        code="treatmentstring",
        display="treatmentstring",
    )


TABLES = (
    Table(
        "admissionDx",
        "condition",
        "admissiondxid",
        {"admitdxenteredoffset": ID, "admitdxpath": TEXT, "admitdxname": TEXT},
        admission_diagnoses,
    ),
    Table(
        "diagnosis",
        "condition",
        "diagnosisid",
        {"diagnosisoffset": ID, "diagnosisstring": TEXT, "icd9code": TEXT},
        diagnoses,
    ),
    Table(
        "lab",
        "observation",
        "labid",
        {
            "labresultoffset": ID,
            "labresultrevisedoffset": ID,
            "labname": TEXT,
            "labresult": NUMBER,
            "labresulttext": TEXT,
            "labmeasurenamesystem": TEXT,
        },
        laboratory,
    ),
    Table(
        "medication",
        "medication",
        "medicationid",
        {
            "drugorderoffset": ID,
            "drugstartoffset": ID,
            "drugstopoffset": ID,
            "drugordercancelled": TEXT,
            "drugname": TEXT,
            "drughiclseqno": TEXT,
            "dosage": TEXT,
            "routeadmin": TEXT,
            "frequency": TEXT,
        },
        medications,
    ),
    Table(
        "physicalExam",
        "observation",
        "physicalexamid",
        {
            "physicalexamoffset": ID,
            "physicalexampath": TEXT,
            "physicalexamvalue": TEXT,
            "physicalexamtext": TEXT,
        },
        examinations,
    ),
    Table(
        "treatment",
        "procedure",
        "treatmentid",
        {"treatmentoffset": ID, "treatmentstring": TEXT},
        treatments,
    ),
)


def _icd(cell: str | None) -> list[tuple[str, str]]:
    """System and code of "401.0, I10": ICD-9-CM is written first, but ICD-10-CM is put first."""
    found = []
    for index, code in enumerate((cell or "").replace(" ", "").split(",")):
        if _ICD_9.fullmatch(code) and (index == 0 or not _ICD_10.fullmatch(code)):
            found.append((ICD_9_CM, code))
        elif _ICD_10.fullmatch(code):
            found.append((ICD_10_CM, code))
    return sorted(found, key=lambda coded: coded[0] != ICD_10_CM)
