"""The cases in `cases/`: patients and drugs, written by people who had not seen the rules."""

import json
from pathlib import Path
from typing import Any

from polyclinic.treatment.case import parse_case
from polyclinic.treatment.drugs import Formulary
from polyclinic.treatment.patient import Medication
from polyclinic.treatment.rules import Rules
from polyclinic.treatment.safety import SafetyFinding, check

CASES = [
    json.loads(line)
    for path in sorted((Path(__file__).parent / "cases").glob("*.jsonl"))
    for line in path.read_text().splitlines()
]
AT = "2026-11-01T12:00:00Z"
_LABS = {
    "creatinine_mg_dl": ("2160-0", "mg/dL"),
    "potassium_mmol_l": ("2823-3", "mmol/L"),
    "alt_u_l": ("1742-6", "U/L"),
    "bilirubin_mg_dl": ("1975-2", "mg/dL"),
}


def asked(case: dict[str, Any]) -> dict[str, Any]:
    """The case's patient as the service is sent one."""
    told = case["patient"]
    labs = [
        {"loinc": _LABS[name][0], "value": value, "unit": _LABS[name][1]}
        for name, value in told.get("labs", {}).items()
        if name in _LABS and value is not None
    ]
    numbers = ("age", "sex", "weight_kg", "height_cm", "pregnant", "breastfeeding")
    return {
        "at": AT,
        "patient": {
            **{name: told[name] for name in numbers if told.get(name) is not None},
            "conditions": [
                {"icd10": each.get("icd10"), "name": each.get("name")}
                for each in told.get("conditions", ())
            ],
            "allergies": [{"name": each["name"]} for each in told.get("allergies", ())],
            "medications": [_medication(each) for each in told.get("medications", ())],
            "values": labs,
        },
    }


def found(case: dict[str, Any], rules: Rules) -> list[SafetyFinding]:
    """What the rules say against the case's drug."""
    chart = parse_case(asked(case)).chart
    assert chart is not None
    facts = rules.facts(chart)
    drug = case["drug"]
    medication = Medication(
        rules.formulary.named(drug["name"]),
        drug["name"],
        drug.get("daily_mg"),
        "mg",
        1.0,
        drug.get("route"),
    )
    assert medication.drugs, f"{drug['name']} is not in the formulary"
    codes = {each.coding for each in medication.drugs}
    taken = {each.coding for other in facts.medications for each in other.drugs}
    return [
        finding
        for finding in check(rules.knowledge, facts, [medication])
        if finding.drug in codes
        or (finding.kind in ("interaction", "duplicate") and finding.drug in taken)
    ]


def named(formulary: Formulary, text: str) -> list[str]:
    """The drugs of a text, by name."""
    return [drug.name for drug in formulary.named(text)]


def _medication(told: dict[str, Any]) -> dict[str, Any]:
    medication: dict[str, Any] = {"name": told["name"]}
    if told.get("daily_mg") is not None:
        medication |= {"dose": told["daily_mg"], "per_day": 1}
    return medication
