"""One patient as the treatment department is asked about: a Bundle, or facts in plain JSON."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

import orjson
from pydantic import Field, Strict, ValidationError, model_validator

from polyclinic.clinical.chart import Chart, parse_chart
from polyclinic.clinical.codes import ICD_10_CM, LOINC, RXNORM, SNOMED
from polyclinic.core.digest import sha256
from polyclinic.core.errors import InvalidInput
from polyclinic.core.frozen import Frozen

_UCUM = "http://unitsofmeasure.org"
_PREGNANCY, _PREGNANT, _NOT_PREGNANT = "82810-3", "77386006", "60001007"
_BREASTFEEDING, _YES, _NO = "63895-7", "373066001", "373067005"

#: The first year of a decision; an age can be reckoned back from it.
EARLIEST = 1900

Text = Annotated[str, Field(min_length=1, max_length=500)]
Number = Annotated[float, Field(allow_inf_nan=False)]


class Named(Frozen):
    """A condition, an allergy or a medication: a code, a name, or both."""

    system: str | None = None
    code: str | None = None
    name: Text | None = None

    @model_validator(mode="after")
    def _is_named(self) -> "Named":
        if not any((self.name, self.code, getattr(self, "icd10", ""), getattr(self, "rxnorm", ""))):
            raise ValueError("give a name or a code")
        return self


class Condition(Named):
    """A condition. `icd10` is short for a code of ICD-10-CM."""

    icd10: str | None = None


class Medication(Named):
    """A medication, with how much of it is given at once, how often a day, and by which route.

    `rxnorm` is short for a code of RxNorm.
    """

    rxnorm: str | None = None
    dose: Annotated[Number, Field(ge=0)] | None = None
    unit: str = "mg"
    per_day: Number | None = Field(default=None, gt=0, le=96)
    route: Text | None = None

    @property
    def coded(self) -> tuple[str | None, str | None]:
        """Its system and code."""
        return (RXNORM, self.rxnorm) if self.rxnorm is not None else (self.system, self.code)


class Value(Frozen):
    """A measured value, by LOINC, in UCUM units."""

    loinc: str
    value: Number
    unit: str


class Patient(Frozen):
    """What is known of a patient, without FHIR; it becomes a Bundle, and is read as one."""

    age: float | None = Field(default=None, ge=0, le=150)
    sex: Literal["female", "male", "other"] | None = None
    pregnant: bool | None = None
    breastfeeding: bool | None = None
    weight_kg: Number | None = None
    height_cm: Number | None = None
    conditions: tuple[Condition, ...] = Field(default=(), max_length=1000)
    allergies: tuple[Named, ...] = Field(default=(), max_length=1000)
    medications: tuple[Medication, ...] = Field(default=(), max_length=1000)
    values: tuple[Value, ...] = Field(default=(), max_length=1000)


class Score(Frozen):
    """How a treatment did in this patient, on the scale that the model's card states."""

    treatment: Text
    score: Number


class Asked(Frozen):
    """`bundle` or `patient`, when the decision is made (`at`), and what else a model may read.

    scores: for models of scores; covariates: for models of trials, by the names in their cards.
    """

    bundle: dict[str, Any] | None = None
    patient: Patient | None = None
    at: str | None = None
    scores: tuple[Score, ...] = Field(default=(), max_length=1000)
    covariates: dict[str, Annotated[float, Strict()] | str | None] = Field(
        default_factory=dict, max_length=1000
    )


@dataclass(frozen=True)
class Case:
    """A patient to treat. chart: None where nothing but scores or covariates was sent."""

    chart: Chart | None
    scores: tuple[Score, ...]
    covariates: dict[str, float | str | None]
    digest: str


def parse_case(content: Any) -> Case:
    """The case in JSON: a Bundle, or what `Asked` says.

    Raises `InvalidInput` naming the place, and what `parse_chart` raises.
    """
    if not isinstance(content, dict):
        raise InvalidInput("A patient is a JSON object.")
    if "resourceType" in content:
        chart = parse_chart(content, now=True)
        return Case(chart, (), {}, chart.digest)
    try:
        asked = Asked.model_validate_json(dumped(content))
    except ValidationError as error:
        first = error.errors()[0]
        place = "/" + "/".join(str(part) for part in first["loc"])
        raise InvalidInput(first["msg"].removeprefix("Value error, "), where=place) from None
    if (asked.bundle is None) == (asked.patient is None):
        if asked.bundle is not None:
            raise InvalidInput("Send a bundle or a patient, not both.", where="/patient")
        if not (asked.scores or asked.covariates):
            raise InvalidInput(
                "Nothing of a patient was sent.",
                remedy="Send a FHIR R4 Bundle, or `bundle`, `patient`, `scores` or `covariates`.",
            )
        return Case(None, asked.scores, asked.covariates, sha256(dumped(content)))
    if asked.at is not None:
        _possible(asked.at)
    if asked.patient is not None:
        at = asked.at or datetime.now(UTC).isoformat()
        chart = parse_chart(bundle_of(asked.patient, at), at)
    else:
        chart = parse_chart(asked.bundle, asked.at, now=True)
    # Names do without codes here; what no rule knows by its name is told by what reads it.
    told = tuple(each for each in chart.warnings if "no code" not in each)
    chart = replace(chart, warnings=told)
    return Case(chart, asked.scores, asked.covariates, sha256(dumped(content)))


def bundle_of(patient: Patient, at: str) -> dict[str, Any]:
    """The patient as a FHIR R4 Bundle in which everything has been known since the day before.

    Raises `InvalidInput` where `at` is no time.
    """
    known = _possible(at) - timedelta(days=1)
    resources = [_person(patient, known), *_resources(patient, known.isoformat())]
    return {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [{"resource": each} for each in resources],
    }


def _possible(at: str) -> datetime:
    try:
        time = datetime.fromisoformat(at).astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidInput("The decision time is no ISO 8601 time.", where="/at") from None
    if time.year < EARLIEST:
        raise InvalidInput(f"No decision was made before {EARLIEST}.", where="/at")
    return time


def dumped(content: Any) -> bytes:
    """JSON, its keys in order. Raises `InvalidInput`."""
    try:
        return orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
    except (orjson.JSONEncodeError, RecursionError):
        raise InvalidInput("The JSON is nested too deeply.") from None


def _person(patient: Patient, known: datetime) -> dict[str, Any]:
    person: dict[str, Any] = {"resourceType": "Patient", "id": "patient"}
    if patient.sex is not None:
        person["gender"] = patient.sex
    if patient.age is not None:
        # A day more, so that rounding to days does not take a birthday away.
        born = known - timedelta(days=patient.age * 365.25 + 1)
        person["birthDate"] = born.date().isoformat()
    return person


def _resources(patient: Patient, known: str) -> Iterator[dict[str, Any]]:
    subject = {"reference": "Patient/patient"}
    of_subject = {"subject": subject}
    for number, condition in enumerate(patient.conditions):
        yield {
            "resourceType": "Condition",
            "id": f"condition-{number}",
            **of_subject,
            "recordedDate": known,
            "code": _concept(condition, (ICD_10_CM, condition.icd10)),
        }
    for number, allergy in enumerate(patient.allergies):
        yield {
            "resourceType": "AllergyIntolerance",
            "id": f"allergy-{number}",
            "patient": subject,
            "recordedDate": known,
            "code": _concept(allergy),
        }
    for number, medication in enumerate(patient.medications):
        yield {
            "resourceType": "MedicationStatement",
            "id": f"medication-{number}",
            "status": "active",
            **of_subject,
            "dateAsserted": known,
            "effectivePeriod": {"start": known},
            "medicationCodeableConcept": _concept(medication, (RXNORM, medication.rxnorm)),
            **_dosage(medication),
        }
    for number, (loinc, value) in enumerate(_observed(patient)):
        yield {
            "resourceType": "Observation",
            "id": f"observation-{number}",
            "status": "final",
            **of_subject,
            "effectiveDateTime": known,
            "issued": known,
            "code": {"coding": [{"system": LOINC, "code": loinc}]},
            **value,
        }


def _observed(patient: Patient) -> Iterator[tuple[str, dict[str, Any]]]:
    measured = [(each.loinc, each.value, each.unit) for each in patient.values]
    if patient.weight_kg is not None:
        measured.append(("29463-7", patient.weight_kg, "kg"))
    if patient.height_cm is not None:
        measured.append(("8302-2", patient.height_cm, "cm"))
    for loinc, value, unit in measured:
        yield (
            loinc,
            {"valueQuantity": {"value": value, "system": _UCUM, "code": unit, "unit": unit}},
        )
    told = (
        (_PREGNANCY, patient.pregnant, _PREGNANT, _NOT_PREGNANT),
        (_BREASTFEEDING, patient.breastfeeding, _YES, _NO),
    )
    for loinc, stated, yes, no in told:
        if stated is not None:
            coding = {"system": SNOMED, "code": yes if stated else no}
            yield loinc, {"valueCodeableConcept": {"coding": [coding]}}


def _concept(named: Named, short: tuple[str, str | None] | None = None) -> dict[str, Any]:
    concept: dict[str, Any] = {}
    coding = []
    if short is not None and short[1] is not None:
        coding.append({"system": short[0], "code": short[1]})
    if named.code is not None:
        coding.append({"code": named.code, **({"system": named.system} if named.system else {})})
    if coding:
        concept["coding"] = coding
    if named.name is not None:
        concept["text"] = named.name
    return concept


def _dosage(medication: Medication) -> dict[str, Any]:
    dosage: dict[str, Any] = {}
    if medication.dose is not None:
        quantity = {"value": medication.dose, "unit": medication.unit, "code": medication.unit}
        dosage["doseAndRate"] = [{"doseQuantity": {**quantity, "system": _UCUM}}]
    if medication.per_day is not None:
        repeat = {"frequency": medication.per_day, "period": 1, "periodUnit": "d"}
        dosage["timing"] = {"repeat": repeat}
    if medication.route is not None:
        dosage["route"] = {"text": medication.route}
    return {"dosage": [dosage]} if dosage else {}
