import tracemalloc
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from fhir_examples import (
    LOINC,
    SUBJECT,
    Json,
    bundle,
    concept,
    condition,
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
from hypothesis import given, settings
from hypothesis import strategies as st

from polyclinic.clinical.fhir import read_bundle
from polyclinic.clinical.fhir.bundle import MAX_BUNDLE_BYTES
from polyclinic.clinical.report import NAMED, Reading
from polyclinic.core.errors import InputTooLarge, InvalidInput, PolyclinicError, UnsupportedInput

NOW = datetime(2024, 3, 10, tzinfo=UTC)


def issues(reading: Reading, severity: str) -> list[tuple[str, str]]:
    found = (issue for issue in reading.report.issues if issue.severity == severity)
    return [(issue.check, issue.where) for issue in found]


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", InvalidInput),
        (b"{", InvalidInput),
        (b"[]", InvalidInput),
        (b"null", InvalidInput),
        (b"\xff\xfe", InvalidInput),
        (b'{"a":' * 5000 + b"1" + b"}" * 5000, InvalidInput),
        (orjson.dumps(patient()), InvalidInput),
        (orjson.dumps({"resourceType": "Bundle", "type": "history"}), UnsupportedInput),
        (orjson.dumps({"resourceType": "Bundle", "type": []}), UnsupportedInput),
        (orjson.dumps({"resourceType": "Bundle", "type": "batch", "entry": {}}), InvalidInput),
    ],
)
def test_what_is_no_bundle_is_refused_at_once(data: bytes, error: type[PolyclinicError]) -> None:
    with pytest.raises(error) as raised:
        read_bundle(data)
    assert raised.value.where


def test_a_bundle_beyond_all_measure_is_refused_unread() -> None:
    data = bytes(MAX_BUNDLE_BYTES + 1)
    tracemalloc.start()
    with pytest.raises(InputTooLarge):
        read_bundle(data)
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


BAD: list[Any] = [
    observation(status=None),
    observation(status="finished"),
    observation(status=["final"]),
    observation(code="2160-0"),
    observation(code=None),
    observation(code={"coding": {"code": "2160-0"}}),
    observation(code={"coding": ["2160-0"]}),
    observation(subject="Patient/p1"),
    observation(subject={"reference": "Group/g1"}),
    observation(subject={"reference": 7}),
    observation(subject={"identifier": {"value": "p1"}}),
    observation(valueQuantity=quantity("88.4", "umol/L")),
    observation(valueQuantity=quantity(True, "umol/L")),
    observation(valueQuantity=[1]),
    observation(component=[{"valueInteger": 1}]),
    observation(component=[3]),
    observation(effectiveDateTime="yesterday"),
    observation(effectiveDateTime="2024-02-30"),
    observation(effectiveDateTime="0000"),
    observation(effectiveDateTime=20240302),
    observation(effectiveDateTime="2024-03-02T06:00:00Z" * 1000),
    observation(id=17),
    condition(clinicalStatus=concept("clinical", "sick")),
    request(intent="wish"),
    procedure(status="done"),
    encounter(id="e2", **{"class": ["IMP"]}),
    patient(id=None),
    patient(id="p2", gender="f"),
    patient(id="p2", birthDate="long ago"),
    {"resourceType": "Observation"},
    {"resourceType": ["Observation"]},
    {"id": "x"},
    {},
]


@pytest.mark.parametrize("bad", BAD)
def test_a_bad_resource_fails_alone_and_is_named_with_its_place(bad: Json) -> None:
    good = [one for one in everything() if one != bad]
    data = bundle(*good[:2], bad, *(({**one, "id": f"g-{one['id']}"}) for one in good[2:]))
    reading = read_bundle(data, received=NOW)
    assert issues(reading, "error") == [("unreadable_resource", "Bundle.entry[2]")]
    expected = [one["resourceType"] for one in good]
    assert sorted(reading.report.read.elements()) == sorted(expected)
    assert len(reading.timeline.events) == len(good) - 1


@pytest.mark.parametrize("entry", [None, 7, "x", [], {}, {"resource": []}])
def test_an_entry_without_a_resource_fails_alone(entry: Any) -> None:
    whole = {"resourceType": "Bundle", "type": "collection"}
    entries = [{"resource": patient()}, entry, {"resource": encounter()}]
    reading = read_bundle(orjson.dumps({**whole, "entry": entries}))
    assert issues(reading, "error") == [("unreadable_resource", "Bundle.entry[1]")]
    assert len(reading.timeline.events) == 1


def test_references_to_nothing_are_reported_and_their_events_kept() -> None:
    lost = observation(
        subject={"reference": "Patient/ghost"}, encounter={"reference": "Encounter/ghost"}
    )
    undrugged = request(medicationReference={"reference": "Medication/ghost", "display": "aspirin"})
    del undrugged["medicationCodeableConcept"]
    reading = read(lost, undrugged)
    assert reading.report.counts["dangling_reference"] == 3
    assert event(reading, "Observation/o1")["patient"] == "ghost"
    assert event(reading, "MedicationRequest/m1")["display"] == "aspirin"
    assert "ghost" in reading.timeline.patients["patient"]


def test_cycles_of_references_end() -> None:
    drug = {"reference": "Medication/x"}
    medication = {
        "resourceType": "Medication",
        "id": "x",
        "ingredient": [{"itemReference": drug}],
    }
    first = observation(id="o1", hasMember=[{"reference": "Observation/o2"}])
    second = observation(id="o2", hasMember=[{"reference": "Observation/o1"}])
    stay = encounter(id="e2", partOf={"reference": "Encounter/e2"})
    contained = request(
        contained=[{"resourceType": "Medication", "id": "c", "code": None}],
        medicationReference={"reference": "#c"},
    )
    del contained["medicationCodeableConcept"]
    reading = read(medication, first, second, stay, contained)
    assert len(reading.timeline.events) == 5
    assert issues(reading, "error") == []


def test_resources_that_name_each_other_by_full_url_are_found() -> None:
    who, stay = patient(), encounter(subject={"reference": "urn:uuid:11"})
    found = observation(
        subject={"reference": "urn:uuid:11"}, encounter={"reference": "urn:uuid:22"}
    )
    del who["id"]
    entries = [
        {"fullUrl": "urn:uuid:11", "resource": who},
        {"fullUrl": "urn:uuid:22", "resource": stay},
        {"fullUrl": "http://server/fhir/Observation/o1", "resource": found},
    ]
    data = orjson.dumps({"resourceType": "Bundle", "type": "transaction", "entry": entries})
    reading = read_bundle(data)
    assert reading.timeline.patients.rows()[0][0] == "urn:uuid:11"
    row = event(reading, "Observation/o1")
    assert (row["patient"], row["encounter"]) == ("urn:uuid:11", "e1")
    assert not reading.report.counts


@pytest.mark.parametrize("reference", ["http://a.b/fhir/Patient/p1", "Patient/p1/_history/3"])
def test_absolute_and_versioned_references_mean_the_same(reference: str) -> None:
    assert not read(observation(subject={"reference": reference})).report.counts


def test_missing_and_unknown_units_are_kept_flagged_and_reported() -> None:
    reading = read(
        observation(id="none", valueQuantity={"value": 1.5}),
        observation(id="odd", valueQuantity={"value": 1.5, "unit": "furlongs"}),
        observation(id="wrong", valueQuantity=quantity(1.5, "kg")),
        observation(id="words", valueQuantity={"value": 1.5, "code": "?", "unit": "mg/dL"}),
    )
    rows = {key: event(reading, f"Observation/{key}") for key in ("none", "odd", "wrong", "words")}
    assert [row["value"] for row in rows.values()] == [1.5] * 4
    assert [row["canonical"] for row in rows.values()] == [False, False, False, True]
    assert (rows["none"]["unit"], rows["odd"]["unit"]) == (None, "furlongs")
    assert reading.report.counts == {"no_unit": 1, "unknown_unit": 2}


def test_unknown_codes_are_kept_and_counted_apart() -> None:
    local = observation(code=concept("urn:local", "krea"))
    reading = read(local, {**local, "id": "o2"}, observation(id="o3", code={"text": "creatinine"}))
    assert event(reading, "Observation/o1")["code"] == "krea"
    assert event(reading, "Observation/o3")["display"] == "creatinine"
    assert reading.report.unknown_codes == {"urn:local|krea": 2}
    assert reading.report.counts == {"unknown_code": 2, "no_code": 1}
    wrong_digit = read(observation(code=concept(LOINC, "2160-9"))).report
    assert wrong_digit.unknown_codes == {f"{LOINC}|2160-9": 1}


def test_time_travel_and_missing_zones_are_reported() -> None:
    reading = read(
        observation(id="early", issued="2024-03-01T00:00:00Z"),
        observation(id="local", effectiveDateTime="2024-03-02T06:00:00"),
        encounter(id="e2", period={"start": "2024-03-02", "end": "2024-03-01"}),
    )
    assert reading.report.counts == {"time_travel": 2, "no_zone": 1}
    early = event(reading, "Observation/early")
    assert early["known"] == early["start"]
    assert event(reading, "Encounter/e2")["end"] is None


def test_a_resource_that_comes_twice_counts_once() -> None:
    reading = read(observation(), observation())
    assert issues(reading, "error") == [("duplicate", "Bundle.entry[3]")]
    assert len(reading.timeline.events) == 2


def test_types_that_are_not_read_are_counted() -> None:
    reading = read({"resourceType": "Immunization", "id": "i", **SUBJECT})
    assert reading.report.unread == {"Immunization": 1}


def test_of_very_many_bad_resources_the_first_are_named_and_all_counted() -> None:
    reading = read(*[{"resourceType": "Observation"}] * 1000)
    assert reading.report.counts["unreadable_resource"] == 1000
    assert len(reading.report.issues) == NAMED


def test_no_value_of_the_patient_is_in_an_issue() -> None:
    secret = "Anna Example 1950"
    reading = read(observation(valueQuantity=quantity(secret, secret), note=secret))
    reading2 = read(observation(effectiveDateTime=secret))
    assert secret not in str([reading.report.issues, reading2.report.issues])


TEXT = st.text(st.characters(codec="utf-8"))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
FIELDS = sorted({name for resource in everything() for name in resource} - {"resourceType"})


@settings(max_examples=300)
@given(JSON)
def test_arbitrary_json_raises_nothing_but_typed_errors(value: Any) -> None:
    with pytest.raises(PolyclinicError):
        read_bundle(orjson.dumps(value))


@settings(max_examples=300)
@given(st.binary(max_size=60), JSON)
def test_nor_do_arbitrary_bytes_and_entries(data: bytes, entries: Any) -> None:
    with pytest.raises(PolyclinicError):
        read_bundle(data)
    # Through JSON first: what is no number becomes null there.
    entries = orjson.loads(orjson.dumps(entries))
    whole = {"resourceType": "Bundle", "type": "collection", "entry": entries}
    try:
        reading = read_bundle(orjson.dumps(whole))
    except InvalidInput:
        assert not isinstance(entries, list)
    else:
        assert len(reading.report.issues) == len(entries or [])


@settings(max_examples=400)
@given(
    st.integers(0, len(everything()) - 1),
    st.dictionaries(st.sampled_from(FIELDS), JSON, min_size=1, max_size=3),
    JSON,
)
def test_any_damage_to_a_resource_harms_no_other(
    which: int, damage: dict[str, Any], entry: Any
) -> None:
    resources = [{**one, "id": f"{index}"} for index, one in enumerate(everything())]
    untouched = [one for index, one in enumerate(resources) if index != which]
    data = bundle(*untouched, {**resources[which], **damage}, entry)
    reading = read_bundle(data, received=NOW)
    sources = set(reading.timeline.events["source"])
    expected = {f"{one['resourceType']}/{one['id']}" for one in untouched[which == 0 :]}
    expected = {source for source in expected if not source.startswith("Patient")}
    assert expected <= sources
