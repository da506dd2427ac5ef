"""One patient's FHIR Bundle as models read it: the timeline, as it was known at the decision."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson

from polyclinic.core.digest import sha256
from polyclinic.core.errors import InvalidInput
from polyclinic.core.prediction import Prediction

if TYPE_CHECKING:  # polars takes a second and 100 MB, which a service without Bundles does not pay
    from polyclinic.clinical.report import Report
    from polyclinic.clinical.timeline import Timeline

#: So many remarks on a Bundle, and on its units, are told with the answer.
TOLD = 10


@dataclass(frozen=True)
class Chart:
    """A patient's timeline, when the decision is made, and what a reader must know of the Bundle.

    digest: SHA-256 of the Bundle and the decision time.
    """

    timeline: "Timeline"
    decision: datetime
    warnings: tuple[str, ...]
    digest: str

    def knowing(self, predictions: Sequence[Prediction]) -> "Chart":
        """The chart with findings of other models, known at the decision, among its events."""
        from polyclinic.clinical.findings import finding_events
        from polyclinic.clinical.timeline import Timeline

        (patient,) = self.timeline.patients["patient"]
        events = [finding_events(each, patient, self.decision) for each in predictions]
        inputs = [self.digest, *(each.provenance.input_digest for each in predictions)]
        digest = sha256("\n".join(inputs).encode())
        found = [Timeline.of(each, self.timeline.patients) for each in events]
        return replace(self, timeline=Timeline.joined([self.timeline, *found]), digest=digest)


def parse_chart(bundle: Any, at: str | None = None, *, now: bool = False) -> Chart:
    """The chart in a FHIR R4 Bundle (JSON, of one patient).

    at: the decision time (ISO 8601, with a zone); without it that of the last thing with a time of
    its own, before now; or, with `now`, the present.
    What cannot be read of the Bundle is told in `warnings`, the rest is used. Raises `InvalidInput`
    and `UnsupportedInput` where there is no such Bundle, not one patient, or nothing known by then.
    """
    from polyclinic.clinical.fhir import read_bundle

    try:
        content = orjson.dumps(bundle)
    except orjson.JSONEncodeError:
        raise InvalidInput("The Bundle is nested too deeply.", where="/bundle") from None
    received = datetime.now(UTC)
    reading = read_bundle(content, received=received, where="/bundle")
    timeline, patients = reading.timeline, len(reading.timeline.patients)
    unread = tuple(_unread(reading.report))
    if patients != 1:
        raise InvalidInput(
            f"The Bundle is of {patients} patients.{first_remarks(unread)}",
            where="/bundle",
            remedy="Send the resources of one patient, each with a reference to the patient.",
        )
    if at is not None:
        decision = instant_of(at)
    else:
        decision = received if now else _last_known(timeline, received, unread)
    return Chart(
        timeline,
        decision,
        unread,
        sha256(content + decision.isoformat().encode()),
    )


def _last_known(timeline: "Timeline", now: datetime, unread: Sequence[str]) -> datetime:
    import polars as pl

    # What has no time of its own was known when it was received, which is no time of the patient.
    last = timeline.events.filter(pl.col("known") < now)["known"].max()
    if not isinstance(last, datetime):
        raise InvalidInput(
            f"Nothing in the Bundle has a time by now.{first_remarks(unread)}", where="/bundle"
        )
    return last


def instant_of(text: str) -> datetime:
    """A decision time, ISO 8601 with a zone. Raises `InvalidInput`."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidInput("The decision time is no ISO 8601 time.", where="/at") from None
    if at.utcoffset() is None:
        raise InvalidInput(
            "The decision time has no zone.", where="/at", remedy="Give it one: 2026-01-31T12:00Z."
        )
    try:
        return at.astimezone(UTC)
    except OverflowError:
        raise InvalidInput("The decision time is out of range.", where="/at") from None


def _unread(report: "Report") -> Iterator[str]:
    """What of the Bundle is lost, and then what else there is to say of it, with its place."""
    issues = sorted(report.issues, key=lambda found: found.severity != "error")
    for found in issues[:TOLD]:
        what = found.check.replace("_", " ") + (", not read" if found.severity == "error" else "")
        yield f"{found.where}: {what}: {found.detail}"
    if len(issues) > TOLD:
        yield f"And {sum(report.counts.values()) - TOLD:,} more remarks on the Bundle."


def first_remarks(remarks: Sequence[str]) -> str:
    """The first remarks on a Bundle of which nothing was read, to go on a sentence."""
    return f" Of it there is to say: {'; '.join(remarks[:3])}" if remarks else ""
