"""A small generated hospital whose orders follow from conditions, as FHIR bulk NDJSON."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
ICD = "http://hl7.org/fhir/sid/icd-10-cm"
#: Condition: its name, and who has it orders these with these odds.
WARDS: dict[str, tuple[str, dict[str, float]]] = {
    "E11.9": ("Type 2 diabetes mellitus", {"6809": 0.9, "274783": 0.3}),
    "I10": ("Essential hypertension", {"17767": 0.7, "29046": 0.5}),
    "E78.5": ("Hyperlipidemia", {"83367": 0.85}),
    "J45.909": ("Asthma", {"435": 0.8}),
}
NAMES = {
    "6809": "Metformin",
    "274783": "Insulin glargine",
    "17767": "Amlodipine",
    "29046": "Lisinopril",
    "83367": "Atorvastatin",
    "435": "Albuterol",
    "161": "Acetaminophen",
}
START = datetime(2024, 1, 1, tzinfo=UTC)


def write_export(folder: Path, patients: int = 160, seed: int = 0) -> Path:
    """The export of so many patients, each with one to four visits."""
    rng = np.random.default_rng(seed)
    lines: dict[str, list[dict[str, Any]]] = {}

    def add(resource: dict[str, Any]) -> None:
        lines.setdefault(resource["resourceType"], []).append(resource)

    for number in range(patients):
        own = [code for code in WARDS if rng.random() < 0.4] or ["I10"]
        for resource in _patient(f"p{number:04}", own, rng):
            add(resource)
    folder.mkdir(parents=True, exist_ok=True)
    for kind, resources in lines.items():
        text = "\n".join(map(json.dumps, resources))
        (folder / f"{kind}.ndjson").write_text(text + "\n")
    return folder


def _patient(name: str, own: list[str], rng: np.random.Generator) -> list[dict[str, Any]]:
    subject = {"reference": f"Patient/{name}"}
    sex, age = rng.choice(["female", "male"]), int(rng.integers(30, 85))
    found: list[dict[str, Any]] = [
        {
            "resourceType": "Patient",
            "id": name,
            "gender": sex,
            "birthDate": f"{2024 - age}-05-01",
        }
    ]
    began = START + timedelta(days=int(rng.integers(0, 60)))
    found += (
        {
            "resourceType": "Condition",
            "id": f"{name}-{code}",
            "subject": subject,
            "recordedDate": _time(began - timedelta(days=30)),
            "code": {"coding": [{"system": ICD, "code": code, "display": WARDS[code][0]}]},
        }
        for code in own
    )
    steady = {
        drug for code in own for drug, odds in WARDS[code][1].items() if rng.random() < odds
    } or {"161"}
    for visit in range(int(rng.integers(1, 5))):
        at = began + timedelta(days=60 * visit)
        encounter = f"{name}-v{visit}"
        found.append(
            {
                "resourceType": "Encounter",
                "id": encounter,
                "status": "finished",
                "class": {
                    "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode",
                    "code": "AMB",
                },
                "subject": subject,
                "period": {"start": _time(at), "end": _time(at + timedelta(hours=1))},
            }
        )
        found.append(
            {
                "resourceType": "Observation",
                "id": f"{encounter}-crea",
                "status": "final",
                "subject": subject,
                "effectiveDateTime": _time(at - timedelta(days=1)),
                "code": {"coding": [{"system": "http://loinc.org", "code": "2160-0"}]},
                "valueQuantity": {
                    "value": round(float(rng.normal(1.0, 0.2)), 2),
                    "unit": "mg/dL",
                    "code": "mg/dL",
                    "system": "http://unitsofmeasure.org",
                },
            }
        )
        extra = {"161"} if rng.random() < 0.2 else set()
        found += (
            {
                "resourceType": "MedicationRequest",
                "id": f"{encounter}-{drug}",
                "status": "active",
                "intent": "order",
                "subject": subject,
                "encounter": {"reference": f"Encounter/{encounter}"},
                "authoredOn": _time(at + timedelta(minutes=20)),
                "medicationCodeableConcept": {
                    "coding": [{"system": RXNORM, "code": drug, "display": NAMES[drug]}]
                },
            }
            for drug in sorted(steady | extra)
        )
    return found


def _time(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
