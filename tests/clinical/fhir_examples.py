"""Resources of a made-up patient."""

from pathlib import Path
from typing import Any

import orjson

from polyclinic.clinical.fhir import read_bundle
from polyclinic.clinical.report import Reading

Json = dict[str, Any]

ICD = "http://hl7.org/fhir/sid/icd-10-cm"
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
LOINC = "http://loinc.org"
SUBJECT = {"subject": {"reference": "Patient/p1"}}
STAY = {"encounter": {"reference": "Encounter/e1"}}


def concept(system: str, code: str, display: str = "so called") -> Json:
    return {"coding": [{"system": system, "code": code, "display": display}]}


def patient(**more: Any) -> Json:
    return {
        "resourceType": "Patient",
        "id": "p1",
        "gender": "female",
        "birthDate": "1950-06",
        **more,
    }


def encounter(**more: Any) -> Json:
    return {
        "resourceType": "Encounter",
        "id": "e1",
        **SUBJECT,
        "status": "finished",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP"},
        "period": {"start": "2024-03-01T08:00:00Z", "end": "2024-03-09T12:00:00Z"},
        **more,
    }


def condition(**more: Any) -> Json:
    return {
        "resourceType": "Condition",
        "id": "c1",
        **SUBJECT,
        "verificationStatus": concept("ver", "confirmed"),
        "clinicalStatus": concept("clinical", "active"),
        "code": concept(ICD, "E11.9"),
        **more,
    }


def observation(**more: Any) -> Json:
    return {
        "resourceType": "Observation",
        "id": "o1",
        **SUBJECT,
        **STAY,
        "status": "final",
        "code": concept(LOINC, "2160-0"),
        "effectiveDateTime": "2024-03-02T06:00:00Z",
        "issued": "2024-03-02T07:30:00Z",
        "valueQuantity": quantity(88.4, "umol/L"),
        **more,
    }


def request(**more: Any) -> Json:
    return {
        "resourceType": "MedicationRequest",
        "id": "m1",
        **SUBJECT,
        "status": "active",
        "intent": "order",
        "authoredOn": "2024-03-02T09:00:00Z",
        "medicationCodeableConcept": concept(RXNORM, "860975"),
        **more,
    }


def allergy(**more: Any) -> Json:
    return {
        "resourceType": "AllergyIntolerance",
        "id": "a1",
        "patient": {"reference": "Patient/p1"},
        "clinicalStatus": concept("clinical", "active"),
        "criticality": "high",
        "code": concept(RXNORM, "7980", "penicillin"),
        "reaction": [{"manifestation": [{"text": "rash"}]}],
        **more,
    }


def procedure(**more: Any) -> Json:
    return {
        "resourceType": "Procedure",
        "id": "r1",
        **SUBJECT,
        "status": "completed",
        "code": concept("http://snomed.info/sct", "80146002"),
        "performedPeriod": {"start": "2024-03-03T08:00:00Z", "end": "2024-03-03T10:00:00Z"},
        **more,
    }


def document(**more: Any) -> Json:
    return {
        "resourceType": "DocumentReference",
        "id": "d1",
        **SUBJECT,
        "status": "current",
        "type": concept(LOINC, "11506-3"),
        "date": "2024-03-04T10:00:00Z",
        "content": [{"attachment": {"contentType": "text/plain", "data": "UmVzdGluZy4="}}],
        **more,
    }


def quantity(value: Any, unit: str | None) -> Json:
    return {"value": value, "system": "http://unitsofmeasure.org", "code": unit}


def everything() -> list[Json]:
    makers = (patient, encounter, condition, observation, request, allergy, procedure, document)
    return [make() for make in makers]


def bundle(*resources: Any, kind: str = "collection") -> bytes:
    entries = [{"resource": resource} for resource in resources]
    return orjson.dumps({"resourceType": "Bundle", "type": kind, "entry": entries})


def read(*resources: Any, **more: Any) -> Reading:
    """The reading of patient, encounter and these resources."""
    return read_bundle(bundle(patient(), encounter(), *resources), **more)


def event(reading: Reading, source: str) -> Json:
    """The one event that comes from there."""
    (row,) = reading.timeline.events.filter(source=source).to_dicts()
    return row


def export(folder: Path, *resources: Json) -> Path:
    """An export of a file a type."""
    for resource in resources:
        with (folder / f"{resource['resourceType']}.ndjson").open("ab") as file:
            file.write(orjson.dumps(resource) + b"\n")
    return folder
