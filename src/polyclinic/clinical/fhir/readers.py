"""One reader for each type of resource: from FHIR R4 to events of the timeline.

Value sets with a required binding are those of FHIR 4.0.1. What was entered in error, refuted,
cancelled or never done is no event.
"""

from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta

from polyclinic.clinical.codes import LOINC
from polyclinic.clinical.fhir.concepts import coding, concept, words
from polyclinic.clinical.fhir.fields import (
    Json,
    Unreadable,
    bound,
    entities,
    entity,
    required,
    string,
)
from polyclinic.clinical.fhir.medications import administration, request, statement
from polyclinic.clinical.fhir.observations import observation
from polyclinic.clinical.fhir.scope import Scope, Span
from polyclinic.clinical.timeline import Event, Instant, Patient, Sex

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_GENDER = frozenset({"male", "female", "other", "unknown"})
_SEXES: dict[str | None, Sex] = {"male": "male", "female": "female", "other": "other"}

_PROCEDURE = frozenset(
    {
        "preparation",
        "in-progress",
        "not-done",
        "on-hold",
        "stopped",
        "completed",
        "entered-in-error",
        "unknown",
    }
)
_NOT_DONE = frozenset({"preparation", "not-done", "entered-in-error"})

_CLINICAL = frozenset({"active", "recurrence", "relapse", "inactive", "remission", "resolved"})
_OVER = frozenset({"inactive", "remission", "resolved"})
_VERIFICATION = frozenset(
    {"unconfirmed", "provisional", "differential", "confirmed", "refuted", "entered-in-error"}
)
_NOT_TRUE = frozenset({"refuted", "entered-in-error"})

_ENCOUNTER = frozenset(
    {
        "planned",
        "arrived",
        "triaged",
        "in-progress",
        "onleave",
        "finished",
        "cancelled",
        "entered-in-error",
        "unknown",
    }
)
_NO_ENCOUNTER = frozenset({"planned", "cancelled", "entered-in-error"})

_DOCUMENT = frozenset({"current", "superseded", "entered-in-error"})
_NO_DOCUMENT = frozenset({"superseded", "entered-in-error"})


def patient(resource: Json, scope: Scope) -> tuple[Patient, list[Event]]:
    """Patient: who it is; a death is an event, known when it happened."""
    key = string(resource, "id")
    if key is None:
        raise Unreadable("is missing", "id")
    gender = required(resource, "gender", _GENDER) if "gender" in resource else None
    born = scope.moment(resource, "birthDate")
    span = scope.span(resource, "deceased")
    deaths = []
    if span.start is not None or resource.get("deceasedBoolean") is True:
        known = scope.seen(resource) if span.start is None else span.start.latest
        deaths.append(
            Event(
                key,
                "observation",
                *scope.times(span, None, known),
                LOINC,
                "31211-6",
                "Date of death",
                source=f"Patient/{key}",
            )
        )
    birth, latest = (_day(born.earliest), _day(born.latest)) if born else (None, None)
    return Patient(key, key, birth, latest, _SEXES.get(gender)), deaths


def condition(resource: Json, scope: Scope) -> Iterator[Event]:
    """Condition: known when recorded, or else when its encounter ended.

    What an encounter lists as discharge or billing diagnosis is known at its end at the earliest.
    `text` is the verification status, where it is not confirmed.
    """
    clinical = bound(resource, "clinicalStatus", _CLINICAL)
    verification = bound(resource, "verificationStatus", _VERIFICATION)
    if not scope.in_force(verification, _NOT_TRUE):
        return
    encounter = scope.encounter(resource)
    onset, abatement = scope.span(resource, "onset"), scope.span(resource, "abatement")
    seen = scope.seen(resource)
    end = abatement.end or (abatement.start and abatement.start.latest)
    if end is None and clinical in _OVER:
        end = seen
    recorded = scope.moment(resource, "recordedDate")
    left = scope.index.encounters.get(encounter) if encounter else None
    if recorded and left and string(resource, "id") in scope.index.at_discharge:
        recorded = recorded._replace(latest=max(recorded.latest, left))
    yield Event(
        scope.patient(resource),
        "condition",
        *scope.times(Span(onset.start, end), recorded, left or seen),
        *scope.coded(concept(resource, "code")),
        text=None if verification == "confirmed" else verification,
        encounter=encounter,
        source=scope.source(resource),
    )


def procedure(resource: Json, scope: Scope) -> Iterator[Event]:
    """Procedure: known when it is over."""
    if not scope.in_force(required(resource, "status", _PROCEDURE), _NOT_DONE):
        return
    span = scope.span(resource, "performed")
    yield Event(
        scope.patient(resource),
        "procedure",
        *scope.times(span, None, scope.happened(span, resource)),
        *scope.coded(concept(resource, "code")),
        encounter=scope.encounter(resource),
        source=scope.source(resource),
    )


def allergy(resource: Json, scope: Scope) -> Iterator[Event]:
    """AllergyIntolerance: known when recorded; `text` is its criticality and what it does."""
    clinical = bound(resource, "clinicalStatus", _CLINICAL)
    if not scope.in_force(bound(resource, "verificationStatus", _VERIFICATION), _NOT_TRUE):
        return
    onset, seen = scope.span(resource, "onset"), scope.seen(resource)
    said = [string(resource, "criticality")]
    for reaction in entities(resource, "reaction"):
        said += (
            words(concept({"is": manifestation}, "is"))
            for manifestation in entities(reaction, "manifestation")
        )
    yield Event(
        scope.patient(resource, "patient"),
        "allergy",
        *scope.times(
            Span(onset.start, seen if clinical in _OVER else None),
            scope.moment(resource, "recordedDate"),
            seen,
        ),
        *scope.coded(concept(resource, "code")),
        text="; ".join(filter(None, said)) or None,
        encounter=scope.encounter(resource),
        source=scope.source(resource),
    )


def encounter(resource: Json, scope: Scope) -> Iterator[Event]:
    """Encounter: known when it begins."""
    if not scope.in_force(required(resource, "status", _ENCOUNTER), _NO_ENCOUNTER):
        return
    span = scope.period(entity(resource, "period") or {})
    known = scope.seen(resource) if span.start is None else span.start.latest
    yield Event(
        scope.patient(resource),
        "encounter",
        *scope.times(span, None, known),
        *scope.coded(coding(resource, "class")),
        encounter=string(resource, "id"),
        source=scope.source(resource),
    )


def document(resource: Json, scope: Scope) -> Iterator[Event]:
    """DocumentReference: known from its date; `text` is its plain text, where it holds any."""
    if not scope.in_force(required(resource, "status", _DOCUMENT), _NO_DOCUMENT):
        return
    dated = scope.moment(resource, "date")
    attachments = [entity(content, "attachment") for content in entities(resource, "content")]
    texts = [_plain_text(attachment) for attachment in attachments if attachment is not None]
    context = entity(resource, "context") or {}
    visits = [{"encounter": visit} for visit in entities(context, "encounter")]
    yield Event(
        scope.patient(resource),
        "document",
        *scope.times(Span(dated), dated, scope.seen(resource)),
        *scope.coded(concept(resource, "type")),
        text="\n".join(filter(None, texts)) or None,
        encounter=scope.encounter(visits[0]) if visits else None,
        source=scope.source(resource),
    )


READERS: dict[str, Callable[[Json, Scope], Iterator[Event]]] = {
    "AllergyIntolerance": allergy,
    "Condition": condition,
    "DocumentReference": document,
    "Encounter": encounter,
    "MedicationAdministration": administration,
    "MedicationRequest": request,
    "MedicationStatement": statement,
    "Observation": observation,
    "Procedure": procedure,
}


def _plain_text(attachment: Json) -> str | None:
    data = string(attachment, "data")
    if data is None or not (string(attachment, "contentType") or "").startswith("text/plain"):
        return None
    try:
        return b64decode(data, validate=True).decode()
    except (NotBase64, UnicodeDecodeError, ValueError):
        raise Unreadable("is no text in Base64", "data") from None


def _day(moment: Instant) -> date:
    return (_EPOCH + timedelta(microseconds=moment)).date()
