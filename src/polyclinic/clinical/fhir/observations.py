"""Observations: an event of the whole, and one of every component."""

from collections.abc import Iterator
from typing import NamedTuple

from polyclinic.clinical.codes import LOINC
from polyclinic.clinical.fhir.concepts import Concept, concept, quantity, words
from polyclinic.clinical.fhir.fields import Json, Unreadable, entities, number, required, string
from polyclinic.clinical.fhir.scope import Scope
from polyclinic.clinical.timeline import Event
from polyclinic.clinical.units import measured

_STATUS = frozenset(
    {
        "registered",
        "preliminary",
        "final",
        "amended",
        "corrected",
        "cancelled",
        "entered-in-error",
        "unknown",
    }
)
_NO_RESULT = frozenset({"registered", "cancelled", "entered-in-error"})
_NOT_READ = ("valueRange", "valueRatio", "valueSampledData", "valuePeriod")


class Answer(NamedTuple):
    """What was observed: as in `Event`."""

    value: float | None = None
    unit: str | None = None
    canonical: bool | None = None
    text: str | None = None


def observation(resource: Json, scope: Scope) -> Iterator[Event]:
    """Observation: known when issued, or else when observed."""
    if not scope.in_force(required(resource, "status", _STATUS), _NO_RESULT):
        return
    patient, encounter = scope.patient(resource), scope.encounter(resource)
    span = scope.span(resource, "effective")
    times = scope.times(span, scope.moment(resource, "issued"), scope.happened(span, resource))
    components = list(entities(resource, "component"))
    for part in (resource, *components):
        code = concept(part, "code")
        if code is None:
            raise Unreadable("is missing", "code")
        answer = _answer(part, code, scope)
        # The whole of a blood pressure, say, is only the name of its two components.
        if part is not resource or answer != Answer() or not components:
            yield Event(
                patient,
                "observation",
                *times,
                *scope.coded(code),
                *answer,
                encounter=encounter,
                source=scope.source(resource),
            )


def _answer(part: Json, code: Concept, scope: Scope) -> Answer:
    loinc = code.code if code.system == LOINC else None
    found = quantity(part, "valueQuantity", loinc)
    if found is not None:
        measure, comparator = found
        return Answer(*scope.in_unit(measure), comparator)
    count = number(part, "valueInteger")
    if count is not None:
        return Answer(*scope.in_unit(measured(loinc, count, None)))
    truth = part.get("valueBoolean")
    if truth is not None:
        if truth.__class__ is not bool:
            raise Unreadable("is neither true nor false", "valueBoolean")
        return Answer(float(truth), text=str(truth).lower())
    for name in ("valueString", "valueDateTime", "valueTime"):
        text = string(part, name)
        if text is not None:
            return Answer(text=text)
    answer = words(concept(part, "valueCodeableConcept"))
    if answer is None and any(name in part for name in _NOT_READ):
        scope.warn("unread_value", "The value is of a kind that is not read.")
    return Answer(text=answer)
