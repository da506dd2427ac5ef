from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from polyclinic.clinical.analytes import BY_NAME
from polyclinic.clinical.codes import ICD_9_CM, ICD_10_CM, LOINC
from polyclinic.clinical.eicu import read_eicu
from polyclinic.clinical.eicu_names import LABORATORY, VITAL_SIGNS
from polyclinic.clinical.eicu_tables import EICU
from polyclinic.core.errors import InvalidInput, NotFound

# One made-up hospital stay with two unit stays: the second begins ten hours after the first.
TABLES = {
    "patient": (
        "patientunitstayid,patienthealthsystemstayid,uniquepid,gender,age,hospitaladmittime24,"
        "hospitaladmitoffset,hospitaldischargeyear,hospitaldischargeoffset,"
        "hospitaldischargestatus,unitdischargeoffset,admissionheight,admissionweight,"
        "dischargeweight\n"
        "11,1,p-1,Female,87,22:00:00,-120,2015,3000,Expired,500,160.0,60.5,\n"
        "12,1,p-1,Female,87,22:00:00,-720,2015,2400,Expired,2000,,,58.0\n"
        "21,2,p-1,Female,> 89,01:00:00,0,2015,900,Alive,800,,,\n"
        ",,,,,,,,,,,,,\n"
    ),
    "diagnosis": (
        "diagnosisid,patientunitstayid,activeupondischarge,diagnosisoffset,diagnosisstring,"
        'icd9code,diagnosispriority\n100,11,True,90,renal|failure,"584.9, N17.9",Major\n'
        "101,11,False,95,cardiac|bypass,V45.81,Other\n"
        "102,11,False,95,burns|all over,,Other\n"
    ),
    "lab": (
        "labid,patientunitstayid,labresultoffset,labtypeid,labname,labresult,labresulttext,"
        "labmeasurenamesystem,labmeasurenameinterface,labresultrevisedoffset\n"
        "200,11,30,1,creatinine,1.5,1.5,mg/dL,mg/dL,45\n"
        "201,12,-590,1,creatinine,1.6,1.6,mg/dL,mg/dL,-580\n"
        "202,11,30,1,troponin - T,0.01,<0.01,ng/mL,ng/mL,45\n"
        "203,11,30,1,MPV,9.1,9.1,fL,fL,45\n"
        "204,11,30,1,anion gap,12,12,,,45\n"
        "205,99,30,1,creatinine,1.5,1.5,mg/dL,mg/dL,45\n"
    ),
    "medication": (
        "medicationid,patientunitstayid,drugorderoffset,drugstartoffset,drugivadmixture,"
        "drugordercancelled,drugname,drughiclseqno,dosage,routeadmin,frequency,drugstopoffset\n"
        "300,11,10,60,No,No,ASPIRIN,1820.0,81 mg,PO,Daily,400\n"
        "301,11,10,-60,No,No,,,15 3,IV,Once,0\n"
        "302,11,10,60,No,Yes,HEPARIN,2812.0,5 units,IV,Once,70\n"
    ),
    "treatment": (
        "treatmentid,patientunitstayid,treatmentoffset,treatmentstring,activeupondischarge\n"
        "400,11,40,pulmonary|ventilation,True\n"
    ),
    "admissionDx": (
        "admissiondxid,patientunitstayid,admitdxenteredoffset,admitdxpath,admitdxname,admitdxtext\n"
        "500,11,5,admission diagnosis|All Diagnosis|Non-operative|Sepsis,Sepsis,Sepsis\n"
        "501,11,5,admission diagnosis|Elective|Yes,Yes,Yes\n"
    ),
    "physicalExam": (
        "physicalexamid,patientunitstayid,physicalexamoffset,physicalexampath,physicalexamvalue,"
        "physicalexamtext\n"
        "600,11,14,notes/Progress Notes/Physical Exam/HR/HR Current,HR Current,101\n"
        "601,11,14,notes/Progress Notes/Physical Exam/Eyes/equal,equal,equal\n"
    ),
}
#: The made-up date of the hospital stay, at its hour.
ADMITTED = datetime(2015, 1, 1, 22, tzinfo=UTC)


def minutes(after: float) -> datetime:
    """So long after the first unit stay began, two hours after admission."""
    return ADMITTED + timedelta(minutes=120 + after)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in TABLES.items():
        (tmp_path / f"{name}.csv").write_text(text)
    return tmp_path


def row(where: Path, source: str) -> dict[str, object]:
    (found,) = read_eicu(where).timeline.events.filter(source=source).to_dicts()
    return found


def test_unit_stays_of_one_hospital_stay_share_a_timeline(folder: Path) -> None:
    timeline = read_eicu(folder).timeline
    stays = timeline.events.filter(kind="encounter")
    assert stays.select("patient", "encounter", "start", "end").rows()[:2] == [
        ("1", "11", minutes(0), minutes(500)),
        ("1", "12", minutes(600), minutes(2600)),
    ]
    assert row(folder, "lab/201")["start"] == minutes(10), "before its unit stay began"


def test_hospital_stays_of_a_person_are_timelines_of_that_person(folder: Path) -> None:
    patients = read_eicu(folder).timeline.patients
    assert patients.select("patient", "person", "sex").rows() == [
        ("1", "p-1", "female"),
        ("2", "p-1", "female"),
    ]
    ages = read_eicu(folder).timeline.ages(ADMITTED)["age"].to_list()
    assert ages == [pytest.approx(87, abs=0.02), pytest.approx(90, abs=0.02)]
    assert patients["birth"].null_count() == 1, "of the one who is above 89"


def test_a_laboratory_value_is_known_when_last_revised(folder: Path) -> None:
    creatinine = row(folder, "lab/200")
    assert (creatinine["start"], creatinine["known"]) == (minutes(30), minutes(45))
    assert (creatinine["system"], creatinine["code"], creatinine["value"]) == (LOINC, "2160-0", 1.5)
    assert row(folder, "lab/202")["text"] == "<0.01"
    volume = row(folder, "lab/203")
    assert (volume["system"], volume["code"], volume["canonical"]) == (f"{EICU}lab", "MPV", None)
    assert row(folder, "lab/204")["canonical"] is False


def test_diagnoses_are_known_when_entered_with_all_their_codes(folder: Path) -> None:
    kidney = row(folder, "diagnosis/100")
    assert (kidney["system"], kidney["code"]) == (ICD_10_CM, "N17.9")
    assert kidney["also"] == [f"{ICD_9_CM}|584.9"]
    assert kidney["known"] == minutes(90)
    assert row(folder, "diagnosis/101")["system"] == ICD_9_CM
    assert row(folder, "diagnosis/102")["code"] == "burns|all over"


def test_orders_are_known_when_made_and_cancelled_ones_are_none(folder: Path) -> None:
    aspirin = row(folder, "medication/300")
    assert (aspirin["known"], aspirin["end"]) == (minutes(60), minutes(400))
    assert (aspirin["value"], aspirin["unit"], aspirin["code"]) == (81, "mg", "1820")
    earlier = row(folder, "medication/301")
    assert (earlier["start"], earlier["known"]) == (minutes(-60), minutes(10))
    assert (earlier["value"], earlier["text"]) == (None, "15 3 IV Once")
    reading = read_eicu(folder)
    assert reading.timeline.events.filter(source="medication/302").is_empty()
    assert reading.report.counts["not_in_force"] == 1


def test_examinations_treatments_and_reasons_of_admission_are_events(folder: Path) -> None:
    rate, eyes = row(folder, "physicalExam/600"), row(folder, "physicalExam/601")
    assert (rate["code"], rate["value"], rate["canonical"]) == ("8867-4", 101, True)
    assert (eyes["code"], eyes["text"]) == ("Eyes/equal", "equal")
    assert row(folder, "treatment/400")["kind"] == "procedure"
    conditions = read_eicu(folder).timeline.events.filter(kind="condition")
    assert "Sepsis" in conditions["display"].to_list()
    assert "admissionDx/501" not in conditions["source"].to_list()


def test_bodies_and_deaths_are_events_of_their_time(folder: Path) -> None:
    measured = read_eicu(folder).timeline.events.filter(pl.col("source").str.starts_with("patient"))
    by_code = measured.filter(kind="observation").select("code", "value", "known").rows()
    assert by_code == [
        ("8302-2", 160.0, minutes(0)),
        ("29463-7", 60.5, minutes(0)),
        ("29463-7", 58.0, minutes(2600)),
        ("31211-6", None, minutes(3000)),
    ]


def test_rows_without_a_stay_are_reported(folder: Path) -> None:
    report = read_eicu(folder).report
    errors = [(one.check, one.where) for one in report.issues if one.severity == "error"]
    assert errors == [("unreadable_row", "patient.csv, row 4"), ("dangling_reference", "lab")]


def test_a_folder_that_is_no_export_is_refused(folder: Path) -> None:
    (folder / "lab.csv").write_text("labid\n1\n")
    with pytest.raises(InvalidInput, match="labname"):
        read_eicu(folder)
    (folder / "patient.csv").unlink()
    with pytest.raises(NotFound, match="patient"):
        read_eicu(folder)


def test_every_name_means_an_analyte() -> None:
    assert {*LABORATORY.values(), *(name for name, _ in VITAL_SIGNS.values())} <= set(BY_NAME)


def test_the_real_demo_is_read_whole(shared_data: Path) -> None:
    reading = read_eicu(shared_data / "eicu-demo")
    events = reading.timeline.events
    assert reading.report.read["lab"] == 29961
    assert len(events.filter(pl.col("source").str.starts_with("lab/"))) == 29961
    assert len(events.filter(kind="medication")) == 4964 - reading.report.counts["not_in_force"]
    assert len(events.filter(kind="procedure")) == 2359
    assert events["known"].null_count() == 0
    assert (events["known"] >= events["latest_start"]).all()
    assert len(reading.timeline.patients) == 144
    assert reading.timeline.patients["person"].n_unique() == 100
    creatinine = events.filter(code="2160-0")
    assert creatinine["canonical"].all()
    assert 0.5 < creatinine.select(pl.col("value").median()).item() < 2
    calcium = events.filter(code="1995-0")
    assert 0.9 < calcium.select(pl.col("value").median()).item() < 1.3
