from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from fhir_examples import (
    ICD,
    LOINC,
    RXNORM,
    STAY,
    allergy,
    bundle,
    concept,
    condition,
    document,
    encounter,
    event,
    everything,
    observation,
    patient,
    procedure,
    quantity,
    read,
    request,
)

from polyclinic.clinical.fhir import read_bundle

ONE = timedelta(microseconds=1)


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_every_type_of_resource_becomes_its_kind_of_event() -> None:
    reading = read(*everything()[2:])
    kinds = reading.timeline.events["kind"].value_counts().rows()
    assert sorted(kinds) == [
        (kind, 1)
        for kind in (
            "allergy",
            "condition",
            "document",
            "encounter",
            "medication",
            "observation",
            "procedure",
        )
    ]
    assert reading.report.read.total() == len(everything())
    assert set(reading.report.counts) == {"no_time"}, "of the allergy, which tells no date"


def test_a_patient_born_in_a_month_is_born_on_any_day_of_it() -> None:
    assert read().timeline.patients.rows() == [
        ("p1", "p1", date(1950, 6, 1), date(1950, 6, 30), "female")
    ]


def test_a_laboratory_value_is_known_when_issued_and_in_its_unit() -> None:
    row = event(read(observation()), "Observation/o1")
    assert row["start"] == row["latest_start"] == moment("2024-03-02T06:00")
    assert row["known"] == moment("2024-03-02T07:30")
    assert (row["unit"], row["canonical"]) == ("mg/dL", True)
    assert row["value"] == pytest.approx(1.0, rel=1e-4)
    assert (row["encounter"], row["patient"]) == ("e1", "p1")


def test_the_same_analyte_in_another_unit_and_code_is_the_same_analyte() -> None:
    row = event(read(observation(code=concept(LOINC, "14682-9"))), "Observation/o1")
    assert (row["code"], row["also"]) == ("2160-0", [f"{LOINC}|14682-9"])
    assert row["value"] == pytest.approx(1.0, rel=1e-4)


def test_the_components_of_a_blood_pressure_are_events() -> None:
    panel = observation(
        code=concept(LOINC, "85354-9"),
        component=[
            {"code": concept(LOINC, code), "valueQuantity": quantity(value, "mm[Hg]")}
            for code, value in (("8480-6", 120), ("8462-4", 80))
        ],
    )
    del panel["valueQuantity"]
    events = read(panel).timeline.events.filter(kind="observation").sort("value")
    assert events.select("code", "value").rows() == [("8462-4", 80.0), ("8480-6", 120.0)]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"valueInteger": 15}, (15.0, None)),
        ({"valueBoolean": True}, (1.0, "true")),
        ({"valueString": "cloudy"}, (None, "cloudy")),
        ({"valueCodeableConcept": concept("s", "c", "former smoker")}, (None, "former smoker")),
        ({"valueQuantity": {**quantity(0.02, "ng/mL"), "comparator": "<"}}, (0.02, "<")),
        ({"dataAbsentReason": concept("s", "unknown")}, (None, None)),
    ],
)
def test_answers_of_every_kind_are_kept(value: Any, expected: tuple[float, str]) -> None:
    resource = observation(code=concept("urn:local", "x"), **{"valueQuantity": None, **value})
    row = event(read(resource), "Observation/o1")
    assert (row["value"], row["text"]) == expected


def test_a_condition_is_known_when_recorded_not_when_it_began() -> None:
    row = event(
        read(condition(onsetDateTime="2019", recordedDate="2024-03-02T10:00:00+02:00")),
        "Condition/c1",
    )
    assert row["start"] == moment("2019-01-01")
    assert row["latest_start"] == moment("2020-01-01") - ONE
    assert row["known"] == moment("2024-03-02T08:00")


def test_a_vague_onset_is_before_the_record_of_it() -> None:
    row = event(
        read(condition(onsetDateTime="2024", recordedDate="2024-03-02T10:00:00Z")), "Condition/c1"
    )
    assert row["latest_start"] == row["known"] == moment("2024-03-02T10:00")


def test_a_condition_that_nobody_dated_is_known_when_its_encounter_ends() -> None:
    row = event(read(condition(**STAY)), "Condition/c1")
    assert row["known"] == moment("2024-03-09T12:00")


@pytest.mark.parametrize(
    ("role", "known"), [("DD", "2024-03-09T12:00"), ("AD", "2024-03-01T09:00")]
)
def test_a_discharge_diagnosis_is_known_at_discharge_whatever_its_date(
    role: str, known: str
) -> None:
    stay = encounter(
        diagnosis=[{"condition": {"reference": "Condition/c1"}, "use": concept("role", role)}]
    )
    coded = condition(**STAY, recordedDate="2024-03-01T09:00:00Z")
    data = [patient(), stay, coded]
    assert event(read_bundle(bundle(*data)), "Condition/c1")["known"] == moment(known)


def test_an_encounter_is_known_when_it_begins_and_its_end_only_then() -> None:
    timeline = read().timeline
    assert timeline.events["end"].to_list() == [moment("2024-03-09T12:00")]
    assert timeline.known_at(moment("2024-03-05")).events["end"].to_list() == [None]


def test_a_medication_holds_dose_and_end_of_the_course() -> None:
    dose = {
        "text": "twice a day",
        "timing": {"repeat": {"boundsPeriod": {"start": "2024-03-02", "end": "2024-03-05"}}},
        "doseAndRate": [{"doseQuantity": quantity(0.5, "g")}],
    }
    row = event(read(request(dosageInstruction=[dose])), "MedicationRequest/m1")
    assert (row["value"], row["unit"], row["text"]) == (0.5, "g", "twice a day")
    assert (row["start"], row["end"]) == (moment("2024-03-02T09:00"), moment("2024-03-06") - ONE)


def test_a_medication_is_found_inside_the_resource_or_beside_it() -> None:
    drug = {"resourceType": "Medication", "code": concept(RXNORM, "161")}
    inside = request(
        id="in", contained=[{**drug, "id": "x"}], medicationReference={"reference": "#x"}
    )
    beside = request(id="by", medicationReference={"reference": "Medication/x"})
    for resource in (inside, beside):
        del resource["medicationCodeableConcept"]
    reading = read(inside, beside, {**drug, "id": "x"})
    assert event(reading, "MedicationRequest/in")["code"] == "161"
    assert event(reading, "MedicationRequest/by")["code"] == "161"


def test_statements_and_administrations_are_medications() -> None:
    statement = request(
        resourceType="MedicationStatement",
        effectivePeriod={"start": "2020-01"},
        dateAsserted="2024-03-02",
        context={"reference": "Encounter/e1"},
    )
    given = request(
        resourceType="MedicationAdministration",
        status="completed",
        effectiveDateTime="2024-03-02T11:00:00Z",
        dosage={"dose": quantity(5, "mg"), "text": "now"},
    )
    reading = read(statement, given)
    stated = event(reading, "MedicationStatement/m1")
    assert (stated["start"], stated["known"]) == (moment("2020-01-01"), moment("2024-03-03") - ONE)
    assert stated["encounter"] == "e1"
    administered = event(reading, "MedicationAdministration/m1")
    assert (administered["value"], administered["known"]) == (5, moment("2024-03-02T11:00"))


def test_a_procedure_is_known_when_over_and_a_note_when_written() -> None:
    reading = read(procedure(), document())
    assert event(reading, "Procedure/r1")["known"] == moment("2024-03-03T10:00")
    note = event(reading, "DocumentReference/d1")
    assert (note["text"], note["known"]) == ("Resting.", moment("2024-03-04T10:00"))


def test_an_allergy_tells_how_bad_it_is() -> None:
    row = event(read(allergy(recordedDate="2020")), "AllergyIntolerance/a1")
    assert (row["display"], row["text"]) == ("penicillin", "high; rash")


def test_what_tells_no_date_is_known_by_its_last_update_or_when_it_came() -> None:
    updated = allergy(meta={"lastUpdated": "2023-01-01T00:00:00Z"})
    assert event(read(updated), "AllergyIntolerance/a1")["known"] == moment("2023-01-01")
    came = read(allergy(), received=moment("2024-03-05"))
    assert event(came, "AllergyIntolerance/a1")["known"] == moment("2024-03-05")
    assert event(read(allergy()), "AllergyIntolerance/a1")["known"] is None


def test_a_value_dated_today_is_known_once_it_has_come() -> None:
    today = observation(effectiveDateTime="2024-03-05")
    del today["issued"]
    row = event(read(today, received=moment("2024-03-05T12:00")), "Observation/o1")
    assert (row["start"], row["latest_start"]) == (moment("2024-03-05"), moment("2024-03-05T12:00"))
    assert row["known"] == moment("2024-03-05T12:00")


def test_a_death_is_an_event_and_no_standing_fact() -> None:
    reading = read_bundle(bundle(patient(deceasedDateTime="2024-03-09T12:00:00Z")))
    row = event(reading, "Patient/p1")
    assert (row["code"], row["known"]) == ("31211-6", moment("2024-03-09T12:00"))


def test_the_best_known_of_several_codes_stands_for_the_event() -> None:
    codes = {
        "coding": [
            {"system": "http://snomed.info/sct", "code": "44054006"},
            {"system": "urn:oid:2.16.840.1.113883.6.90", "code": "e119"},
        ]
    }
    row = event(read(condition(code=codes)), "Condition/c1")
    assert (row["system"], row["code"]) == (ICD, "E11.9")
    assert row["also"] == ["http://snomed.info/sct|44054006"]


@pytest.mark.parametrize(
    "resource",
    [
        observation(status="entered-in-error"),
        observation(status="cancelled"),
        condition(verificationStatus=concept("ver", "refuted")),
        request(status="cancelled"),
        request(intent="proposal"),
        request(doNotPerform=True),
        procedure(status="not-done"),
        allergy(verificationStatus=concept("ver", "refuted")),
        encounter(id="e2", status="planned"),
        document(status="entered-in-error"),
    ],
)
def test_what_did_not_happen_is_no_event_but_reported(resource: dict[str, Any]) -> None:
    reading = read(resource)
    assert reading.timeline.events["source"].to_list() == ["Encounter/e1"]
    (issue,) = [one for one in reading.report.issues if one.check == "not_in_force"]
    assert issue.where == "Bundle.entry[2]"
