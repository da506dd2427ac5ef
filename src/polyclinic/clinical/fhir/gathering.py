"""Resources, one after the other, into rows of a timeline: a bad one fails alone."""

from dataclasses import dataclass, field

from polyclinic.clinical.fhir.fields import Json, Unreadable, string
from polyclinic.clinical.fhir.readers import READERS, patient
from polyclinic.clinical.fhir.scope import Scope
from polyclinic.clinical.timeline import Event, Patient, Timeline, event_frame, patient_frame

_LONGEST_TYPE = 64


@dataclass
class Gathering:
    """The rows read so far."""

    scope: Scope
    events: list[Event] = field(default_factory=list)
    patients: list[Patient] = field(default_factory=list)

    def add(self, resource: Json, where: str) -> None:
        """Read a resource that stands at `where`; one that cannot be read is reported."""
        scope, report = self.scope, self.scope.report
        scope.where = where
        try:
            kind = string(resource, "resourceType")
            if kind is None or not kind.isalpha() or len(kind) > _LONGEST_TYPE:
                raise Unreadable("is no type of resource", "resourceType")
            if kind == "Patient":
                who, deaths = patient(resource, scope)
                self.patients.append(who)
                self.events += deaths
            elif kind in READERS:
                self.events += list(READERS[kind](resource, scope))
            elif kind != "Medication":
                report.unread[kind] += 1
                return
            report.read[kind] += 1
        except Unreadable as error:
            report.add("unreadable_resource", "error", where, f"{error}.")

    def timeline(self) -> Timeline:
        """What was read so far; the rows are then forgotten."""
        timeline = Timeline.of(event_frame(self.events), patient_frame(self.patients))
        self.events, self.patients = [], []
        return timeline
