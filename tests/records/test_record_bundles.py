"""FHIR Bundles as records: the same answer as the series says, and no harm by hostile ones."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import numpy as np
import pytest
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st
from trained_records import TrainedRecords

from polyclinic.clinical.analytes import BY_NAME
from polyclinic.clinical.chart import parse_chart
from polyclinic.core.errors import InvalidInput, PolyclinicError
from polyclinic.core.prediction import Prediction
from polyclinic.core.settings import Settings
from polyclinic.diagnosis.records.chart import read_chart
from polyclinic.diagnosis.records.classifier import RecordClassifier
from polyclinic.diagnosis.records.inputs import Encoding
from polyclinic.diagnosis.records.record import parse_record
from polyclinic.diagnosis.records.variables import Variable
from polyclinic.service.diagnosis import create_diagnosis

ADMITTED = datetime(2025, 3, 1, 8, tzinfo=UTC)
HOURS = 26
RNG = np.random.default_rng(5)
CREATININE = [round(0.9 + 0.05 * h, 2) if h % 3 == 0 else None for h in range(HOURS)]
HEART_RATE = [float(RNG.integers(60, 110)) for _ in range(HOURS)]
RECORD: dict[str, Any] = {
    "values": {"age": 61, "sex": "Female", "height": 168.0, "weight": 70.0},
    "series": {
        "hours": list(range(HOURS)),
        "values": {"crea": CREATININE, "hr": HEART_RATE},
    },
}


def observation(name: str, hour: float, value: float, **more: Any) -> dict[str, Any]:
    analyte = BY_NAME[name]
    return {
        "resourceType": "Observation",
        "id": f"{name}-{hour}",
        "status": "final",
        "subject": {"reference": "Patient/p"},
        "code": {"coding": [{"system": "http://loinc.org", "code": analyte.loinc}]},
        "effectiveDateTime": (ADMITTED + timedelta(hours=hour)).isoformat(),
        "valueQuantity": {
            "value": value,
            "system": "http://unitsofmeasure.org",
            "code": analyte.unit,
        },
    } | more


def bundle(*more: dict[str, Any]) -> dict[str, Any]:
    patient = {"resourceType": "Patient", "id": "p", "gender": "female", "birthDate": "1964-01-15"}
    stay = {
        "resourceType": "Encounter",
        "id": "e",
        "status": "in-progress",
        "class": {"code": "IMP"},
        "subject": {"reference": "Patient/p"},
        "period": {"start": ADMITTED.isoformat()},
    }
    observed = [
        observation(name, hour, value)
        for name, values in (("crea", CREATININE), ("hr", HEART_RATE))
        for hour, value in enumerate(values)
        if value is not None
    ]
    body = [observation("height", 0, 168.0), observation("weight", 0, 70.0)]
    resources = [patient, stay, *body, *observed, *more]
    return {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [{"resource": resource} for resource in resources],
    }


CREA = Variable(name="crea", unit="mg/dL", loinc=BY_NAME["crea"].loinc)
WEIGHT = Variable(name="weight", unit="kg", loinc=BY_NAME["weight"].loinc)
CREA_AT_5 = observation("crea", 5, 1.0)
BODY_WEIGHT = observation("weight", 20, 99.0)


@pytest.fixture(scope="module")
def model(stays_model: TrainedRecords) -> RecordClassifier:
    return RecordClassifier.load(stays_model.registry, stays_model.version)


def answered(model: RecordClassifier, content: Any, at: str | None = None) -> Prediction:
    (answer,) = model.predict([parse_chart(content, at)])
    assert isinstance(answer, Prediction), answer
    return answer


def test_a_bundle_is_answered_as_the_same_series_is(model: RecordClassifier) -> None:
    (series,) = model.predict([parse_record(RECORD)])
    assert isinstance(series, Prediction)
    chart = answered(model, bundle())
    assert chart.findings[0].probability == series.findings[0].probability
    assert chart.familiarity == series.familiarity
    assert chart.provenance.input_digest != series.provenance.input_digest


def test_what_was_not_known_at_the_decision_changes_nothing(model: RecordClassifier) -> None:
    at = (ADMITTED + timedelta(hours=10, minutes=30)).isoformat()
    early = bundle()
    entries = early["entry"]
    early["entry"] = [e for e in entries if e["resource"].get("effectiveDateTime", "2000") <= at]
    one, other = (answered(model, content, at) for content in (bundle(), early))
    assert one.findings == other.findings
    # A result of before that was only issued afterwards was not known either.
    late = observation(
        "crea", 9.5, 9.0, id="late", issued=(ADMITTED + timedelta(hours=12)).isoformat()
    )
    assert answered(model, bundle(late), at).findings == one.findings
    known = observation("crea", 9.5, 9.0, id="known")
    assert answered(model, bundle(known), at).findings != one.findings


def test_hours_count_from_admission_to_the_very_end_of_the_stay(model: RecordClassifier) -> None:
    encoding = Encoding(fixed=(), hourly=(CREA,), windows=(6,))
    for end in (8, 9):
        sent = bundle()
        stay = sent["entry"][1]["resource"]
        stay["period"]["end"] = (ADMITTED + timedelta(hours=end)).isoformat()
        sent["entry"] = [sent["entry"][0], sent["entry"][1], {"resource": CREA_AT_5}]
        at = (ADMITTED + timedelta(hours=8)).isoformat()
        hourly = read_chart(parse_chart(sent, at), encoding, model.labels).hourly
        assert hourly is not None
        assert hourly[:, 0].tolist() == pytest.approx(
            [np.nan] * 5 + [1.0] + [np.nan] * 3, nan_ok=True
        )


def test_a_model_of_an_earlier_hour_is_told_nothing_that_came_later(
    model: RecordClassifier,
) -> None:
    encoding = Encoding(fixed=(WEIGHT,), hourly=(CREA,), windows=(6,), decision_hour=12)
    issued = (ADMITTED + timedelta(hours=20)).isoformat()
    later = (
        observation("crea", 11.5, 9.0, id="issued later", issued=issued),
        {**BODY_WEIGHT, "id": "weighed later"},
    )
    one, other = (
        read_chart(parse_chart(sent), encoding, model.labels) for sent in (bundle(), bundle(*later))
    )
    assert one.hourly is not None
    assert other.hourly is not None
    np.testing.assert_array_equal(one.hourly, other.hourly)
    np.testing.assert_array_equal(one.fixed, other.fixed)
    assert "what was known later was not read" in other.warnings[-1]
    years = (ADMITTED + timedelta(days=400)).isoformat()
    with pytest.raises(InvalidInput, match="too long ago"):
        read_chart(parse_chart(bundle(), years), encoding, model.labels)


def test_units_are_converted_and_others_left_out_by_name(model: RecordClassifier) -> None:
    other = bundle()
    for entry in other["entry"]:
        quantity = entry["resource"].get("valueQuantity")
        if quantity and quantity["code"] == "mg/dL":
            quantity.update(value=quantity["value"] * 88.4017, code="umol/L")
    wanted = answered(model, bundle()).findings[0].probability
    assert answered(model, other).findings[0].probability == pytest.approx(wanted, abs=1e-3)
    wrong = observation("crea", 25.5, 70.0, id="wrong")
    wrong["valueQuantity"]["code"] = "kg"
    told = answered(model, bundle(wrong))
    assert any("crea in kg" in warning and "wrong" in warning for warning in told.warnings)
    assert told.findings[0].probability == wanted


def test_what_cannot_be_read_is_told_with_its_place_and_the_rest_is_used(
    model: RecordClassifier,
) -> None:
    bad = [
        {"resourceType": "Observation", "id": "x", "status": "nonsense"},
        observation("crea", 20.5, 1.0, id="dangling", encounter={"reference": "Encounter/none"}),
        observation("crea", 1, 1.0, id="typed", code=7),
        observation("hr", 25.2, 1e9, id="huge"),
    ]
    told = answered(model, bundle(*bad))
    assert any("entry[" in warning for warning in told.warnings)
    assert any("hr lie outside" in warning for warning in told.warnings)


def test_what_is_lost_is_told_before_all_other_remarks(model: RecordClassifier) -> None:
    unknown = [
        observation("crea", hour, 1.0, id=f"u{hour}", code={"coding": [{"code": f"x{hour}"}]})
        for hour in range(20)
    ]
    lost = {"resourceType": "Observation", "id": "x", "status": "nonsense"}
    first, *_ = answered(model, bundle(*unknown, lost)).warnings
    assert "not read" in first


def test_what_has_no_time_does_not_move_the_decision(model: RecordClassifier) -> None:
    allergy = {
        "resourceType": "AllergyIntolerance",
        "id": "a",
        "patient": {"reference": "Patient/p"},
        "code": {
            "coding": [{"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": "1"}]
        },
    }
    assert answered(model, bundle(allergy)).findings == answered(model, bundle()).findings


def test_a_problem_list_is_no_input_but_is_told(model: RecordClassifier) -> None:
    condition = {
        "resourceType": "Condition",
        "id": "c",
        "subject": {"reference": "Patient/p"},
        "code": {"coding": [{"system": "urn:test", "code": "aki"}]},
        "recordedDate": ADMITTED.isoformat(),
        "onsetDateTime": ADMITTED.isoformat(),
    }
    told = answered(model, bundle(condition))
    assert told.findings[0].probability == answered(model, bundle()).findings[0].probability
    assert "Already on the problem list: Kidney injury (aki)." in told.warnings


NOBODY = {"resourceType": "Patient", "id": "p", "gender": "M"}


def unitless() -> dict[str, Any]:
    patient = NOBODY | {"gender": "male"}
    only = observation("crea", 1, 1.2, valueQuantity={"value": 1.2})
    entries = [{"resource": each} for each in (patient, only)]
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}


@pytest.mark.parametrize(
    ("content", "at", "said"),
    [
        (bundle() | {"entry": []}, None, "0 patients"),
        (bundle({"resourceType": "Patient", "id": "q"}), None, "2 patients"),
        (bundle(), "yesterday", "ISO 8601"),
        (bundle(), "2025-03-01T12:00:00", "no zone"),
        (bundle(), "1990-01-01T00:00:00Z", "known to the model"),
        (
            {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": NOBODY}]},
            None,
            "entry[0]: unreadable resource, not read: gender",
        ),
        (unitless(), None, "entry[1]: no unit"),
        (bundle() | {"type": "message"}, None, "type that is not read"),
        (7, None, "no FHIR Bundle"),
    ],
)
def test_a_bundle_that_cannot_be_answered_says_why(
    model: RecordClassifier, content: Any, at: str | None, said: str
) -> None:
    try:
        (answer,) = model.predict([parse_chart(content, at)])
    except PolyclinicError as error:
        answer = error
    assert isinstance(answer, PolyclinicError)
    assert said in answer.detail


@pytest.fixture(scope="module")
def department(stays_model: TrainedRecords) -> Iterator[TestClient]:
    low = Settings(
        home=stays_model.data.parent, record_model="kidneys@candidate", max_upload_bytes=4_000_000
    )

    def no_pictures(*_: object) -> Any:
        raise PolyclinicError("none")

    with TestClient(create_diagnosis(stays_model.registry, low, no_pictures)) as client:
        yield client


def post(client: TestClient, body: Any, media_type: str = "application/json") -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"content-type": media_type}
    return client.post("/v1/diagnosis/record", content=content, headers=headers)


def test_a_bundle_is_sent_alone_or_among_records(department: TestClient) -> None:
    alone = post(department, bundle(), "application/fhir+json").json()
    at = (ADMITTED + timedelta(hours=12)).isoformat()
    among = post(
        department, {"records": [bundle(), {"bundle": bundle(), "at": at}, RECORD, {"bundle": 3}]}
    ).json()
    (only,) = alone["results"]
    first, timed, series, wrong = among["results"]
    assert only["prediction"]["findings"] == first["prediction"]["findings"]
    assert first["prediction"]["findings"] == series["prediction"]["findings"]
    assert timed["prediction"]["findings"] != first["prediction"]["findings"]
    assert wrong["problem"]["status"] == 422


def deep(levels: int) -> dict[str, Any]:
    inner: dict[str, Any] = {}
    for _ in range(levels):
        inner = {"extension": [inner]}
    return inner


HOSTILE: dict[str, Any] = {
    "cyclic references": bundle(
        {"resourceType": "Observation", "id": "a", "hasMember": [{"reference": "Observation/b"}]},
        {"resourceType": "Observation", "id": "b", "hasMember": [{"reference": "Observation/a"}]},
    ),
    "no units": bundle(observation("crea", 3.5, 2.0, id="u", valueQuantity={"value": 2.0})),
    "deep": bundle({"resourceType": "Observation", "id": "d", **deep(200)}),
    "wrong types": {"resourceType": "Bundle", "type": "collection", "entry": {"0": 1}},
    "entries of nothing": {"resourceType": "Bundle", "type": "collection", "entry": [None] * 9999},
    "no number": bundle(observation("crea", 1.5, 1.0, id="n", valueQuantity={"value": "NaN"})),
    "far dates": bundle(observation("crea", 1.5, 1.0, id="f", effectiveDateTime="9999-12-31")),
    "a resource for a bundle": {"resourceType": "Patient", "id": "p"},
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_bundle_is_answered_or_refused_and_the_service_lives(
    department: TestClient, name: str
) -> None:
    answer = post(department, HOSTILE[name])
    assert answer.status_code in (200, 413, 415, 422), answer.text
    assert post(department, bundle()).status_code == 200


def test_a_resource_too_large_is_refused_before_it_is_read(department: TestClient) -> None:
    large = b'{"resourceType": "Bundle", "type": "collection", "entry": ["' + b"x" * 5_000_000
    answer = post(department, large)
    assert answer.status_code == 413
    assert post(department, bundle()).status_code == 200


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
FIELDS = ("status", "subject", "code", "effectiveDateTime", "valueQuantity", "issued", "component")


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from(FIELDS), anything, min_size=1))
def test_whatever_stands_in_a_resource_the_rest_of_the_bundle_is_answered(
    department: TestClient, changed: dict[str, Any]
) -> None:
    answer = post(department, bundle(observation("crea", 4.5, 1.0, id="odd") | changed))
    assert answer.status_code == 200, answer.text


def test_what_a_picture_shows_is_an_event_that_a_model_can_read(model: RecordClassifier) -> None:
    shown = answered(model, bundle())
    coding = shown.findings[0].coding
    chart = parse_chart(bundle())
    knowing = chart.knowing([shown])
    assert knowing.digest != chart.digest
    name = f"{coding.system}|{coding.code}"
    encoding = Encoding(fixed=(Variable(name="shown", finding=name),))
    with pytest.raises(InvalidInput, match="known to the model"):
        read_chart(chart, encoding, model.labels)
    read = read_chart(knowing, encoding, model.labels)
    np.testing.assert_allclose(read.fixed, [shown.findings[0].probability], rtol=1e-6)
