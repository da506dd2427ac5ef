"""Medications: what was ordered, what is said to be taken, what was given."""

from collections.abc import Iterator

from polyclinic.clinical.fhir.concepts import concept, quantity, words
from polyclinic.clinical.fhir.fields import Json, entities, entity, number, required, string
from polyclinic.clinical.fhir.scope import Scope, Span, Times
from polyclinic.clinical.timeline import Event

_REQUEST = frozenset(
    {
        "active",
        "on-hold",
        "cancelled",
        "completed",
        "entered-in-error",
        "stopped",
        "draft",
        "unknown",
    }
)
_OVER = frozenset({"completed", "stopped"})
_NOT_ORDERED = frozenset({"cancelled", "entered-in-error", "draft"})
_INTENT = frozenset(
    {
        "proposal",
        "plan",
        "order",
        "original-order",
        "reflex-order",
        "filler-order",
        "instance-order",
        "option",
    }
)
_NO_ORDER = frozenset({"proposal", "plan", "option"})
_STATEMENT = frozenset(
    {
        "active",
        "completed",
        "entered-in-error",
        "intended",
        "stopped",
        "on-hold",
        "unknown",
        "not-taken",
    }
)
_NOT_TAKEN = frozenset({"entered-in-error", "intended", "not-taken"})
_ADMINISTRATION = frozenset(
    {
        "in-progress",
        "not-done",
        "on-hold",
        "completed",
        "entered-in-error",
        "stopped",
        "unknown",
    }
)
_NOT_GIVEN = frozenset({"not-done", "entered-in-error"})


#: Units of time (FHIR R4, UnitsOfTime) in days.
_DAYS = {"min": 1 / 1440, "h": 1 / 24, "d": 1.0, "wk": 7.0, "mo": 30.4375, "a": 365.25}


def request(resource: Json, scope: Scope) -> Iterator[Event]:
    """MedicationRequest: known when authored; its end is that of the dose's period.

    One that is completed or stopped, nobody says when, ended when it was last seen.
    """
    status = required(resource, "status", _REQUEST)
    intent = required(resource, "intent", _INTENT)
    if not (scope.in_force(status, _NOT_ORDERED) and scope.in_force(intent, _NO_ORDER)):
        return
    if resource.get("doNotPerform") is True:
        scope.warn("not_in_force", "It forbids the medication.")
        return
    dosage = _first(resource, "dosageInstruction")
    timing = entity(entity(dosage, "timing") or {}, "repeat") or {}
    bounds = entity(timing, "boundsPeriod")
    authored = scope.moment(resource, "authoredOn")
    end = None if bounds is None else scope.period(bounds).end
    if end is None and status in _OVER:
        end = scope.seen(resource)
    times = scope.times(Span(authored, end), authored, scope.seen(resource))
    yield _medication(resource, scope, times, dosage, scope.encounter(resource))


def statement(resource: Json, scope: Scope) -> Iterator[Event]:
    """MedicationStatement: known when asserted."""
    status = required(resource, "status", _STATEMENT)
    if not scope.in_force(status, _NOT_TAKEN):
        return
    span, seen = scope.span(resource, "effective"), scope.seen(resource)
    if span.end is None and status in _OVER:
        span = span._replace(end=seen)
    times = scope.times(span, scope.moment(resource, "dateAsserted"), seen)
    dosage = _first(resource, "dosage")
    yield _medication(resource, scope, times, dosage, _context(resource, scope))


def administration(resource: Json, scope: Scope) -> Iterator[Event]:
    """MedicationAdministration: known when it begins."""
    if not scope.in_force(required(resource, "status", _ADMINISTRATION), _NOT_GIVEN):
        return
    span = scope.span(resource, "effective")
    known = scope.seen(resource) if span.start is None else span.start.latest
    times = scope.times(span, None, known)
    dosage = entity(resource, "dosage") or {}
    yield _medication(resource, scope, times, dosage, _context(resource, scope))


def _medication(
    resource: Json, scope: Scope, times: Times, dosage: Json, encounter: str | None
) -> Event:
    """`value` and `unit` are the dose, `text` how it is to be taken."""
    rate = _first(dosage, "doseAndRate")
    dose = quantity(dosage, "dose") or quantity(rate, "doseQuantity")
    value, unit, canonical = scope.in_unit(dose[0]) if dose else (None, None, None)
    return Event(
        scope.patient(resource),
        "medication",
        *times,
        *scope.coded(scope.medication(resource)),
        value=value,
        unit=unit,
        canonical=canonical,
        text=string(dosage, "text"),
        per_day=_per_day(dosage),
        route=words(concept(dosage, "route")),
        encounter=encounter,
        source=scope.source(resource),
    )


def _context(resource: Json, scope: Scope) -> str | None:
    """The encounter in which it was given or told; an episode of care is none."""
    pointer = string(entity(resource, "context") or {}, "reference") or ""
    return None if "EpisodeOfCare/" in pointer else scope.encounter(resource, "context")


def _per_day(dosage: Json) -> float | None:
    """How often a day, at most, a dose is given; None where the timing says nothing of it."""
    repeat = entity(entity(dosage, "timing") or {}, "repeat") or {}
    days = _DAYS.get(string(repeat, "periodUnit") or "")
    period = number(repeat, "period")
    if days is None or not period or period < 0:
        return None
    times = number(repeat, "frequencyMax") or number(repeat, "frequency") or 1.0
    return times / (period * days)


def _first(parent: Json, name: str) -> Json:
    return next(entities(parent, name), {})
