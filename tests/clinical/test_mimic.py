import gzip
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from polyclinic.clinical.codes import ICD_9_CM, LOINC, NDC
from polyclinic.clinical.mimic import read_mimic
from polyclinic.core.errors import InvalidInput, NotFound

# A made-up patient 1 with one admission, and 2, who is above 89 and so 300 years old.
TABLES = {
    "PATIENTS": """row_id,subject_id,gender,dob,dod
1,1,F,2100-03-05 00:00:00,2160-08-12 00:00:00
2,2,M,1860-01-01 00:00:00,
""",
    "ADMISSIONS": """subject_id,hadm_id,admittime,dischtime,deathtime,diagnosis
1,10,2160-07-01 21:09:00,2160-07-09 17:15:00,,SEPSIS
2,20,2160-01-02 08:00:00,2160-01-05 09:00:00,2160-01-05 09:00:00,FALL
""",
    "DIAGNOSES_ICD": """row_id,subject_id,hadm_id,seq_num,icd9_code
100,1,10,1,25000
101,1,10,2,V4581
102,1,10,3,
""",
    "PROCEDURES_ICD": """row_id,subject_id,hadm_id,seq_num,icd9_code
200,1,10,1,3605
""",
    "PRESCRIPTIONS": (
        "row_id,subject_id,hadm_id,startdate,enddate,drug,ndc,dose_val_rx,dose_unit_rx,route\n"
        '300,1,10,2160-07-02 00:00:00,2160-07-04 00:00:00,Heparin,00006494300,"5,000",UNIT,SC\n'
        "301,1,10,2160-07-02 00:00:00,,Bisacodyl,0,1-2,TAB,PO\n"
        "302,1,10,,,Saline,0,10,mL,IV\n"
    ),
    "D_LABITEMS": """row_id,itemid,label,fluid,category,loinc_code
1,50912,Creatinine,Blood,Chemistry,2160-0
2,50000,Odd,Blood,Chemistry,
""",
    "LABEVENTS": """row_id,subject_id,hadm_id,itemid,charttime,value,valuenum,valueuom,flag
400,1,10,50912,2160-07-02 06:00:00,1.5,1.5,mg/dL,
401,1,,50000,2160-07-03 06:00:00,NEG,,,
""",
}


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def folder(where: Path, **changed: str | None) -> Path:
    for name, text in {**TABLES, **changed}.items():
        if text is not None:
            (where / f"{name}.csv").write_text(text)
    return where


def rows(where: Path, source: str) -> dict[str, object]:
    (row,) = read_mimic(where).timeline.events.filter(source=source).to_dicts()
    return row


def test_diagnoses_and_procedures_are_known_at_discharge(tmp_path: Path) -> None:
    timeline = read_mimic(folder(tmp_path)).timeline
    coded = timeline.events.filter(pl.col("kind").is_in(["condition", "procedure"]))
    assert coded.drop_nulls("code")["code"].to_list() == ["250.00", "V45.81", "36.05"]
    assert coded["system"].drop_nulls().unique().to_list() == [ICD_9_CM]
    assert coded["known"].unique().to_list() == [moment("2160-07-09 17:15")]
    before = timeline.known_at(moment("2160-07-09 17:14"))
    assert set(before.events["kind"]) == {"encounter", "medication", "observation"}


def test_a_prescription_is_known_when_its_first_day_is_over(tmp_path: Path) -> None:
    heparin = rows(folder(tmp_path), "PRESCRIPTIONS/300")
    last = timedelta(days=1) - timedelta(microseconds=1)
    assert (heparin["start"], heparin["known"]) == (
        moment("2160-07-02"),
        moment("2160-07-02") + last,
    )
    assert heparin["end"] == moment("2160-07-04") + last
    assert (heparin["system"], heparin["code"]) == (NDC, "00006494300")
    assert (heparin["value"], heparin["unit"], heparin["text"]) == (5000, "[iU]", "5,000 UNIT SC")


def test_what_cannot_be_coded_or_dated_is_kept_and_reported(tmp_path: Path) -> None:
    reading = read_mimic(folder(tmp_path))
    assert reading.report.counts == {"no_code": 4}
    laxative = rows(tmp_path, "PRESCRIPTIONS/301")
    assert (laxative["value"], laxative["text"]) == (None, "1-2 TAB PO")
    saline = rows(tmp_path, "PRESCRIPTIONS/302")
    assert (saline["start"], saline["known"]) == (None, moment("2160-07-09 17:15"))


def test_laboratory_values_have_codes_and_units(tmp_path: Path) -> None:
    creatinine = rows(folder(tmp_path), "LABEVENTS/400")
    assert (creatinine["system"], creatinine["code"]) == (LOINC, "2160-0")
    assert (creatinine["value"], creatinine["canonical"]) == (1.5, True)
    assert rows(tmp_path, "LABEVENTS/401")["text"] == "NEG"


def test_patients_above_89_are_only_known_to_be(tmp_path: Path) -> None:
    timeline = read_mimic(folder(tmp_path)).timeline
    assert timeline.patients.rows()[0] == (
        "1",
        "1",
        date(2100, 3, 5),
        date(2100, 3, 5),
        "female",
    )
    assert timeline.patients["birth"][1] is None
    assert timeline.ages(moment("2160-01-02"))["age"][1] == pytest.approx(90, abs=0.01)


def test_a_death_is_known_to_the_minute_or_else_to_the_day(tmp_path: Path) -> None:
    timeline = read_mimic(folder(tmp_path)).timeline
    deaths = timeline.events.filter(display="Date of death")
    assert deaths["known"].to_list() == [
        moment("2160-08-13") - timedelta(microseconds=1),
        moment("2160-01-05 09:00"),
    ]


def test_bad_cells_and_rows_fail_alone(tmp_path: Path) -> None:
    diagnoses = "row_id,subject_id,hadm_id,icd9_code\nx,1,10,4019\n101,1,99,4019\n102,1,10,4019\n"
    patients = TABLES["PATIENTS"].replace("2100-03-05 00:00:00", "long ago")
    reading = read_mimic(folder(tmp_path, DIAGNOSES_ICD=diagnoses, PATIENTS=patients))
    found = {(one.check, one.where) for one in reading.report.issues}
    assert {
        ("unreadable_value", "PATIENTS.csv, row 1"),
        ("unreadable_value", "DIAGNOSES_ICD.csv, row 1"),
        ("unreadable_row", "DIAGNOSES_ICD.csv, row 1"),
        ("dangling_reference", "DIAGNOSES_ICD"),
    } <= found
    assert reading.timeline.events.filter(kind="condition")["source"].to_list() == [
        "DIAGNOSES_ICD/102"
    ]


def test_tables_may_be_absent_packed_and_named_in_lower_case(tmp_path: Path) -> None:
    for name in ("PATIENTS", "ADMISSIONS"):
        packed = gzip.compress(TABLES[name].encode())
        (tmp_path / f"{name.lower()}.csv.gz").write_bytes(packed)
    assert set(read_mimic(tmp_path).timeline.events["kind"]) == {"encounter", "observation"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("row_id,subject_id\n1,1\n", "gender"),
        ("", "CSV"),
        ("\x00\x01\x02", "column"),
        (TABLES["PATIENTS"].replace("gender", "subject_id"), "gender|CSV"),
    ],
)
def test_a_table_that_is_none_is_refused(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(InvalidInput, match=words) as raised:
        read_mimic(folder(tmp_path, PATIENTS=text))
    assert "PATIENTS.csv" in str(raised.value.where)


def test_a_folder_without_patients_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        read_mimic(tmp_path / "nowhere")
    with pytest.raises(NotFound, match="PATIENTS"):
        read_mimic(tmp_path)


def test_the_real_demo_is_read_whole(shared_data: Path) -> None:
    reading = read_mimic(shared_data / "mimic3-demo")
    timeline = reading.timeline
    kinds = dict(timeline.events["kind"].value_counts().rows())
    assert kinds == {
        "condition": 1761,
        "procedure": 506,
        "medication": 10398,
        "encounter": 129,
        "observation": 100,
    }
    assert len(timeline.patients) == 100
    assert (timeline.events["known"] >= timeline.events["latest_start"]).all()
    assert not [one for one in reading.report.issues if one.severity == "error"]
    assert reading.report.unknown_codes.total() == 0
    discharge = timeline.events.filter(kind="encounter").select("encounter", "end")
    coded = timeline.events.filter(kind="condition").join(discharge, on="encounter")
    assert (coded["known"] == coded["end_right"]).all()
