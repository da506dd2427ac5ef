"""The user's own rules in others' forms: DDInter's export, and FHIR's ClinicalUseDefinition.

Sources: DDInter 2.0 (Tian et al. 2025, Nucleic Acids Research), whose download has the columns
DDInterID_A, Drug_A, DDInterID_B, Drug_B, Level; FHIR R5, ClinicalUseDefinition.
"""

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import orjson

from polyclinic.clinical.codes import ICD_10, ICD_10_CM, SNOMED
from polyclinic.core.errors import InvalidInput

Row: TypeAlias = Mapping[str, str]

_DDINTER = {"Drug_A", "Drug_B", "Level"}
#: DDInter's levels: what is minor or unknown is no rule.
_LEVELS = {"Major": "major", "Moderate": "moderate"}


def foreign_rows(path: Path) -> Iterator[tuple[str, Row]]:
    """Rows of our tables, each with the table's name, that a file of another form stands for.

    Raises `InvalidInput` where the file has none of the forms.
    """
    if path.suffix == ".csv":
        yield from _ddinter(path)
    elif path.suffix == ".json":
        yield from _clinical_use(path)
    else:
        raise InvalidInput(
            f"{path.name} is no file of safety rules.",
            where=str(path),
            remedy="Give CSV with the columns of ours or of DDInter, or a FHIR Bundle as JSON.",
        )


def _ddinter(path: Path) -> Iterator[tuple[str, Row]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream, strict=True)
            if not set(reader.fieldnames or ()) >= _DDINTER:
                raise InvalidInput(
                    f"{path.name} has the columns of no table of safety rules.",
                    where=str(path),
                    remedy="Name it as one of our tables, or give DDInter's columns.",
                )
            for row in reader:
                level = _LEVELS.get(row["Level"] or "")
                if level is None or not (row["Drug_A"] and row["Drug_B"]):
                    continue
                a, b = row["Drug_A"].strip().lower(), row["Drug_B"].strip().lower()
                yield (
                    "interactions",
                    {
                        "id": f"ddinter-{a}-{b}",
                        "a": f"drug:{a}",
                        "b": f"drug:{b}",
                        "severity": level,
                        "action": "warning",
                        "mechanism": f"DDInter: {level} interaction",
                        "management": "See DDInter's entry of the pair.",
                        "source": "https://ddinter2.scbdd.com",
                    },
                )
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InvalidInput(f"{path.name} cannot be read: {error}", where=str(path)) from None


def _clinical_use(path: Path) -> Iterator[tuple[str, Row]]:
    """Contraindications and interactions of the Bundle; other resources are passed by."""
    try:
        bundle = orjson.loads(path.read_bytes())
        entries = bundle["entry"]
    except (OSError, orjson.JSONDecodeError, TypeError, KeyError):
        raise InvalidInput(f"{path.name} is no FHIR Bundle.", where=str(path)) from None
    for number, entry in enumerate(entries):
        where = f"{path}, entry {number}"
        try:
            resource = entry["resource"]
            if resource.get("resourceType") == "ClinicalUseDefinition":
                yield from _definition(resource, _subject(resource, entries), where)
        except (KeyError, TypeError, AttributeError, IndexError):
            raise InvalidInput(
                "The ClinicalUseDefinition lacks what a rule needs.",
                where=where,
                remedy="Give type, a subject with its name, and contraindication or interaction.",
            ) from None


def _subject(resource: dict[str, Any], entries: list[dict[str, Any]]) -> str:
    """The name of the drug: the subject's own, or that of what it refers to."""
    subject = resource["subject"][0]
    if "display" in subject:
        return str(subject["display"])
    reference = subject["reference"]
    for part in resource.get("contained", ()):
        if f"#{part['id']}" == reference:
            return _name(part)
    for entry in entries:
        part = entry["resource"]
        if reference in (entry.get("fullUrl"), f"{part['resourceType']}/{part.get('id')}"):
            return _name(part)
    raise KeyError(reference)


def _name(product: dict[str, Any]) -> str:
    """What a Medication, or another product with a code, is called."""
    code = product["code"]
    return str(code.get("text") or code["coding"][0]["display"])


def _definition(resource: dict[str, Any], name: str, where: str) -> Iterator[tuple[str, Row]]:
    drug = f"drug:{name.strip().lower()}"
    common = {
        "id": f"fhir-{resource['id']}",
        "action": "veto" if resource["type"] == "contraindication" else "warning",
        "management": "See the product's information.",
        "source": f"ClinicalUseDefinition/{resource['id']}",
    }
    if resource["type"] == "contraindication":
        concept = resource["contraindication"]["diseaseSymptomProcedure"]["concept"]
        codes = [(c.get("system"), c["code"]) for c in concept.get("coding", ())]
        name = concept.get("text") or concept["coding"][0].get("display", "")
        yield (
            "conditions",
            {
                **common,
                "drug": drug,
                "condition": name,
                "icd10": ";".join(code for system, code in codes if system in (ICD_10, ICD_10_CM)),
                "snomed": ";".join(code for system, code in codes if system == SNOMED),
                "severity": "contraindicated",
                "reason": f"Contraindicated in {name}",
            },
        )
    elif resource["type"] == "interaction":
        for number, interactant in enumerate(resource["interaction"]["interactant"]):
            concept = interactant["itemCodeableConcept"]
            other = concept.get("text") or concept["coding"][0]["display"]
            effect = resource["interaction"].get("effect", {}).get("concept", {})
            yield (
                "interactions",
                {
                    **common,
                    "id": f"{common['id']}-{number}",
                    "a": drug,
                    "b": f"drug:{other.strip().lower()}",
                    "severity": "major",
                    "mechanism": effect.get("text", "Interaction"),
                },
            )
