"""Reading a bulk export of FHIR R4: megabytes a second of one core, and the memory it takes.

Exports of 100 and 200 MB are generated: Observations of vital signs (with components) and of the
laboratory in several units, Conditions, MedicationRequests, Encounters and Patients, about as long
as those of real servers. Each way of reading runs in a process of its own, with one thread.

    python benchmarks/fhir.py
"""

import os

os.environ["POLARS_MAX_THREADS"] = "1"

import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from polyclinic.clinical.fhir import read_ndjson, stream_ndjson
from polyclinic.clinical.report import Report

Json = dict[str, Any]
MEGABYTE = 10**6
LABORATORY = (
    ("2160-0", "Creatinine [Mass/volume] in Serum or Plasma", "mg/dL", 1.1),
    ("14682-9", "Creatinine [Moles/volume] in Serum or Plasma", "umol/L", 97.0),
    ("2345-7", "Glucose [Mass/volume] in Serum or Plasma", "mg/dL", 110.0),
    ("14749-6", "Glucose [Moles/volume] in Serum or Plasma", "mmol/L", 6.1),
    ("2823-3", "Potassium [Moles/volume] in Serum or Plasma", "mmol/L", 4.1),
    ("6690-2", "Leukocytes [#/volume] in Blood by Automated count", "/uL", 7200.0),
    ("8310-5", "Body temperature", "[degF]", 98.4),
    ("8867-4", "Heart rate", "/min", 81.0),
)


def main() -> None:
    """Print a row for each export and way of reading."""
    print("| export, MB | way | events | seconds | MB/s | peak memory, MiB |")
    print("| --- | --- | --- | --- | --- | --- |")
    for size in (100, 200):
        with tempfile.TemporaryDirectory() as folder:
            write(Path(folder), size * MEGABYTE)
            for way in ("streamed", "whole"):
                print(f"| {size} | {way} | {in_a_process(way, folder)} |", flush=True)


def in_a_process(way: str, folder: str) -> str:
    """The row of one way of reading."""
    run = [sys.executable, __file__, way, folder]
    return subprocess.run(run, check=True, capture_output=True, text=True).stdout.strip()


def measure(way: str, folder: Path) -> None:
    """Read, and print what it took."""
    size = sum(path.stat().st_size for path in folder.iterdir()) / MEGABYTE
    report = Report()
    start = time.process_time()
    if way == "streamed":
        events = sum(len(part.events) for part in stream_ndjson(folder, report))
    else:
        reading = read_ndjson(folder)
        events, report = len(reading.timeline.events), reading.report
    seconds = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    assert not [issue for issue in report.issues if issue.severity == "error"]
    print(f"{events:,} | {seconds:.2f} | {size / seconds:.0f} | {peak:.0f}")


def write(folder: Path, size: int) -> None:
    """An export of about `size` bytes, a file a type of resource."""
    rng = random.Random(0)
    names = ("Patient", "Encounter", "Condition", "MedicationRequest", "Observation")
    files = {name: (folder / f"{name}.ndjson").open("wb") for name in names}
    written = number = 0
    while written < size:
        number += 1
        for each in record(f"p{number}", rng):
            line = orjson.dumps(each) + b"\n"
            files[each["resourceType"]].write(line)
            written += len(line)
    for file in files.values():
        file.close()


def record(patient: str, rng: random.Random) -> Iterator[Json]:
    """The resources of one patient with one stay."""
    yield {
        "resourceType": "Patient",
        "id": patient,
        "meta": meta(rng),
        "identifier": [{"system": "urn:example:mrn", "value": patient}],
        "name": [{"use": "official", "family": "Example", "given": ["Anna", "Maria"]}],
        "gender": rng.choice(("female", "male")),
        "birthDate": f"19{rng.randrange(30, 99)}-05-17",
        "address": [{"line": ["1 Example Road"], "city": "Town", "postalCode": "00000"}],
    }
    stay = f"{patient}-1"
    yield {
        **about(patient, rng, "Encounter", stay),
        "status": "finished",
        "class": coding("http://terminology.hl7.org/CodeSystem/v3-ActCode", "IMP", "inpatient"),
        "type": [concept("http://snomed.info/sct", "185347001", "Encounter for problem")],
        "period": {"start": "2024-03-01T08:00:00Z", "end": "2024-03-09T12:00:00Z"},
    }
    for index in range(6):
        yield {
            **about(patient, rng, "Condition", f"{stay}-c{index}", stay),
            "clinicalStatus": concept(
                "http://terminology.hl7.org/CodeSystem/condition-clinical", "active", "Active"
            ),
            "verificationStatus": concept(
                "http://terminology.hl7.org/CodeSystem/condition-ver-status", "confirmed", ""
            ),
            "code": concept("http://hl7.org/fhir/sid/icd-10-cm", f"E11.{index}", "Diabetes"),
            "onsetDateTime": rng.choice(("2019", "2019-04", "2019-04-02")),
            "recordedDate": "2024-03-02T10:00:00+01:00",
        }
    for index in range(10):
        dose = {"value": 500, "unit": "mg", "system": "http://unitsofmeasure.org", "code": "mg"}
        yield {
            **about(patient, rng, "MedicationRequest", f"{stay}-m{index}", stay),
            "status": "completed",
            "intent": "order",
            "medicationCodeableConcept": concept(
                "http://www.nlm.nih.gov/research/umls/rxnorm", "860975", "metformin 500 MG"
            ),
            "authoredOn": moment(rng),
            "dosageInstruction": [
                {
                    "text": "500 mg twice a day",
                    "timing": {"repeat": {"frequency": 2, "period": 1, "periodUnit": "d"}},
                    "doseAndRate": [{"doseQuantity": dose}],
                }
            ],
        }
    for index in range(100):
        yield observation(patient, stay, index, rng)


def observation(patient: str, stay: str, index: int, rng: random.Random) -> Json:
    """A laboratory value, or every tenth time a blood pressure."""
    when = moment(rng)
    shared = {
        **about(patient, rng, "Observation", f"{stay}-o{index}", stay),
        "status": "final",
        "category": [
            concept(
                "http://terminology.hl7.org/CodeSystem/observation-category",
                "laboratory",
                "Laboratory",
            )
        ],
        "effectiveDateTime": when,
        "issued": when,
        "performer": [{"reference": "Practitioner/17", "display": "Dr Example"}],
    }
    if index % 10 == 0:
        return {
            **shared,
            "code": concept("http://loinc.org", "85354-9", "Blood pressure panel"),
            "component": [
                {"code": concept("http://loinc.org", code, words), **quantity(rng, "mm[Hg]", 100)}
                for code, words in (("8480-6", "Systolic"), ("8462-4", "Diastolic"))
            ],
        }
    code, words, unit, usual = rng.choice(LABORATORY)
    limits = {"low": {"value": usual * 0.8, "unit": unit}, "high": {"value": usual * 1.2}}
    return {
        **shared,
        "code": concept("http://loinc.org", code, words),
        **quantity(rng, unit, usual),
        "referenceRange": [{**limits, "text": "reference range of the laboratory"}],
    }


def about(patient: str, rng: random.Random, kind: str, key: str, stay: str | None = None) -> Json:
    """What resources of a patient have in common."""
    encounter = {"encounter": {"reference": f"Encounter/{stay}"}} if stay else {}
    return {
        "resourceType": kind,
        "id": key,
        "meta": meta(rng),
        "subject": {"reference": f"Patient/{patient}", "display": "Example, Anna Maria"},
        **encounter,
    }


def meta(rng: random.Random) -> Json:
    """As servers write it."""
    return {
        "versionId": "1",
        "lastUpdated": moment(rng),
        "profile": ["http://hl7.org/fhir/us/core/StructureDefinition/us-core-example"],
    }


def moment(rng: random.Random) -> str:
    """A time of the stay."""
    return f"2024-03-0{rng.randrange(1, 9)}T{rng.randrange(24):02}:{rng.randrange(60):02}:00.000Z"


def quantity(rng: random.Random, unit: str, usual: float) -> Json:
    """A value about as usual."""
    value = round(usual * rng.uniform(0.7, 1.4), 2)
    system = "http://unitsofmeasure.org"
    return {"valueQuantity": {"value": value, "unit": unit, "system": system, "code": unit}}


def concept(system: str, code: str, display: str) -> Json:
    """A CodeableConcept of one coding."""
    return {"coding": [coding(system, code, display)], "text": display or code}


def coding(system: str, code: str, display: str) -> Json:
    """A Coding."""
    return {"system": system, "code": code, "display": display or code}


if __name__ == "__main__":
    if len(sys.argv) == 3:
        measure(sys.argv[1], Path(sys.argv[2]))
    else:
        main()
