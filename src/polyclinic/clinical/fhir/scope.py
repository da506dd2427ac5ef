"""What the reader of one resource needs to know of the others, and of where it stands."""

from dataclasses import dataclass, field
from typing import NamedTuple

from polyclinic.clinical.codes import known
from polyclinic.clinical.fhir.concepts import Concept, concept
from polyclinic.clinical.fhir.fields import Json, Unreadable, entities, entity, string
from polyclinic.clinical.fhir.times import Interval, interval
from polyclinic.clinical.report import Report
from polyclinic.clinical.timeline import Instant
from polyclinic.clinical.units import Measure

#: Of an encounter's diagnoses, those that are coded when the patient leaves.
#: Source: FHIR R4 value set diagnosis-role.
_CODED_AT_DISCHARGE = frozenset({"DD", "billing"})


#: No time is longer; a text cut there is none either, and the cache of times stays small.
_LONGEST_TIME = 64


class Span(NamedTuple):
    """When something began, and when it had ended at the latest."""

    start: Interval | None = None
    end: Instant | None = None


class Times(NamedTuple):
    """The times of an `Event`."""

    start: Instant | None
    latest_start: Instant | None
    end: Instant | None
    known: Instant | None


@dataclass
class Index:
    """What resources refer to, one step deep: so cycles of references are never walked.

    keys: by the full URL of a Bundle's entry, its resource's id. patients, encounters (with the end
    of each) and medications: by id. at_discharge: ids of conditions that were coded at discharge.
    """

    keys: dict[str, str] = field(default_factory=dict)
    patients: set[str] = field(default_factory=set)
    encounters: dict[str, Instant | None] = field(default_factory=dict)
    medications: dict[str, Concept | None] = field(default_factory=dict)
    at_discharge: set[str] = field(default_factory=set)

    def learn(self, resource: Json) -> None:
        """Note a resource that others may refer to; raises `Unreadable`."""
        kind, key = resource.get("resourceType"), string(resource, "id")
        if key is None:
            return
        if kind == "Patient":
            self.patients.add(key)
        elif kind == "Medication":
            self.medications[key] = None
            self.medications[key] = concept(resource, "code")
        elif kind == "Encounter":
            self.encounters[key] = None
            period = entity(resource, "period") or {}
            end = string(period, "end")
            self.encounters[key] = interval(end).latest if end else None
            for diagnosis in entities(resource, "diagnosis"):
                role = entity(diagnosis, "use") or {}
                codes = {string(coding, "code") for coding in entities(role, "coding")}
                if codes & _CODED_AT_DISCHARGE:
                    condition = entity(diagnosis, "condition") or {}
                    self.at_discharge.add(self.target(string(condition, "reference") or "")[1])

    def target(self, reference: str) -> tuple[str, str]:
        """Type (empty where not said) and id of what a reference means.

        Relative, absolute and versioned URLs, and `urn:uuid:` of a Bundle's entry. Source: FHIR R4,
        section 2.3.0.1.
        """
        resolved = self.keys.get(reference, reference)
        parts = resolved.partition("/_history/")[0].rsplit("/", 2)
        return (parts[-2], parts[-1]) if len(parts) > 1 else ("", resolved)


@dataclass
class Scope:
    """Where the resource being read stands, what is known of others, and where issues go.

    received: when the record came: whatever carries no date of its own was known by then.
    """

    report: Report
    index: Index
    received: Instant | None = None
    where: str = ""

    def warn(self, check: str, detail: str) -> None:
        """Report something about a resource that is kept."""
        self.report.add(check, "warning", self.where, detail)

    def in_force(self, status: str | None, refused: frozenset[str]) -> bool:
        """Whether the resource's status is none of `refused`; else that is reported."""
        if status in refused:
            self.warn("not_in_force", f"It is {status}.")
            return False
        return True

    def source(self, resource: Json) -> str:
        """The resource's type and id, or else its place."""
        key = string(resource, "id")
        return self.where if key is None else f"{resource['resourceType']}/{key}"

    def patient(self, resource: Json, name: str = "subject") -> str:
        """The id of the patient whom the resource is about; raises `Unreadable`."""
        kind, key = self._refer(resource, name)
        if not key or kind not in ("Patient", ""):
            raise Unreadable("refers to no patient", name)
        if key not in self.index.patients:
            self.warn("dangling_reference", f"{name} refers to a patient who is not there.")
        return key

    def encounter(self, resource: Json, name: str = "encounter") -> str | None:
        """The id of the encounter, if the resource names one."""
        _, key = self._refer(resource, name)
        if key and key not in self.index.encounters:
            self.warn("dangling_reference", f"{name} refers to an encounter that is not there.")
        return key or None

    def medication(self, resource: Json) -> Concept | None:
        """The medication itself, or the one referred to: contained in the resource or beside it."""
        found = concept(resource, "medicationCodeableConcept")
        pointer = entity(resource, "medicationReference")
        if found is not None or pointer is None:
            return found
        reference = string(pointer, "reference") or ""
        if reference.startswith("#"):
            for contained in entities(resource, "contained"):
                if string(contained, "id") == reference[1:]:
                    return concept(contained, "code")
        else:
            _, key = self.index.target(reference)
            if key in self.index.medications:
                return self.index.medications[key]
        self.warn("dangling_reference", "medicationReference refers to nothing that is there.")
        display = string(pointer, "display")
        return None if display is None else Concept(None, None, display, ())

    def coded(self, found: Concept | None) -> Concept:
        """A concept as it is, reported where it has no code that is known."""
        if found is None or found.code is None:
            self.warn("no_code", "There is no code.")
            return found or Concept(None, None, None, ())
        if not known(found.system, found.code):
            self.report.unknown_code(self.where, f"{found.system or ''}|{found.code}")
        return found

    def in_unit(self, measure: Measure) -> Measure:
        """A measure as it is, reported where it is not in its code's unit."""
        if measure.canonical is False:
            if measure.unit:
                self.warn("unknown_unit", f"{measure.unit[:64]} cannot be converted.")
            else:
                self.warn("no_unit", "The value has no unit.")
        return measure

    def moment(self, parent: Json, name: str) -> Interval | None:
        """The date or time of that name, if it is there."""
        text = string(parent, name)
        if text is None:
            return None
        try:
            found = interval(text[:_LONGEST_TIME])
        except Unreadable as error:
            error.at = name
            raise
        if not found.zoned:
            self.warn("no_zone", f"{name} names no time zone; it is read as UTC.")
        return found

    def span(self, resource: Json, name: str) -> Span:
        """When it happened: `name` followed by DateTime, Instant or Period, if any is there."""
        for suffix in ("DateTime", "Instant"):
            start = self.moment(resource, name + suffix)
            if start is not None:
                return Span(start)
        period = entity(resource, f"{name}Period")
        return Span() if period is None else self.period(period)

    def period(self, period: Json) -> Span:
        """A Period; an end before its start is reported and left out."""
        start, end = self.moment(period, "start"), self.moment(period, "end")
        if start is not None and end is not None and end.latest < start.earliest:
            self.warn("time_travel", "It ends before it begins.")
            return Span(start)
        return Span(start, None if end is None else end.latest)

    def times(self, span: Span, stated: Interval | None, otherwise: Instant | None) -> Times:
        """An event's times: it was known when that is `stated`, or else at `otherwise`.

        What has come is known, and what is known has begun: of a start that is not exact, the part
        after that is cut.
        """
        known = otherwise if stated is None else stated.latest
        if self.received is not None:
            known = self.received if known is None else min(known, self.received)
        if known is None:
            self.warn("no_time", "Nobody says when it became known: no decision may rest on it.")
        if span.start is None:
            return Times(None, None, span.end, known)
        earliest, latest, _ = span.start
        if known is not None and known < earliest:
            self.warn("time_travel", "It was known before it happened.")
        elif known is not None:
            latest = min(latest, known)
        return Times(earliest, latest, span.end, known)

    def happened(self, span: Span, resource: Json) -> Instant | None:
        """When what is known as soon as it has happened had happened."""
        if span.end is not None:
            return span.end
        return self.seen(resource) if span.start is None else span.start.latest

    def seen(self, resource: Json) -> Instant | None:
        """When the resource was surely there: its last update, or when the record came."""
        updated = self.moment(entity(resource, "meta") or {}, "lastUpdated")
        return self.received if updated is None else updated.latest

    def _refer(self, resource: Json, name: str) -> tuple[str, str]:
        pointer = entity(resource, name)
        return self.index.target((pointer and string(pointer, "reference")) or "")
