"""One patient's FHIR Bundle as a model's input: the timeline, as it was known at the decision."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

from polyclinic.core.digest import sha256
from polyclinic.core.errors import InvalidInput
from polyclinic.core.prediction import Coding, Prediction
from polyclinic.diagnosis.records.features import Floats
from polyclinic.diagnosis.records.inputs import Encoding
from polyclinic.diagnosis.records.record import Read, Record, left_out, parse_record
from polyclinic.diagnosis.records.variables import AGE, SEX, Variable

if TYPE_CHECKING:  # polars takes a second and 100 MB, which a service without Bundles does not pay
    import polars as pl

    from polyclinic.clinical.report import Report
    from polyclinic.clinical.timeline import Timeline
    from polyclinic.diagnosis.records.grid import Grid

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


def parse_item(content: Any) -> Record | Chart:
    """A record, a Bundle, or `{"bundle": ..., "at": ...}` with the decision time.

    Raises what `parse_record` and `parse_chart` raise.
    """
    if not isinstance(content, dict) or not content.keys() & {"resourceType", "bundle"}:
        return parse_record(content)
    if "resourceType" in content:
        return parse_chart(content)
    at = content.get("at")
    if content.keys() - {"bundle", "at"} or not (at is None or isinstance(at, str)):
        raise InvalidInput("A Bundle may stand with its decision time `at` alone.", where="/at")
    return parse_chart(content["bundle"], at)


def parse_chart(bundle: Any, at: str | None = None) -> Chart:
    """The chart in a FHIR R4 Bundle (JSON, of one patient).

    at: the decision time (ISO 8601, with a zone); without it that of the last thing with a time of
    its own, before now.
    What cannot be read of the Bundle is told in `warnings`, the rest is used. Raises `InvalidInput`
    and `UnsupportedInput` where there is no such Bundle, not one patient, or nothing known by then.
    """
    from polyclinic.clinical.fhir import read_bundle

    try:
        content = orjson.dumps(bundle)
    except orjson.JSONEncodeError:
        raise InvalidInput("The Bundle is nested too deeply.", where="/bundle") from None
    now = datetime.now(UTC)
    reading = read_bundle(content, received=now, where="/bundle")
    timeline, patients = reading.timeline, len(reading.timeline.patients)
    unread = tuple(_unread(reading.report))
    if patients != 1:
        raise InvalidInput(
            f"The Bundle is of {patients} patients.{_first(unread)}",
            where="/bundle",
            remedy="Send the resources of one patient, each with a reference to the patient.",
        )
    decision = _last_known(timeline, now, unread) if at is None else _instant(at)
    return Chart(
        timeline,
        decision,
        unread,
        sha256(content + decision.isoformat().encode()),
    )


def read_chart(chart: Chart, encoding: Encoding, labels: Sequence[Coding]) -> Read:
    """The chart in the order and units of the model's variables.

    A model that decides at a given hour is asked then, where the chart's decision is later.
    A value that cannot be, or is in a unit of something else, counts as missing, with a warning.
    labels: of which it is told which stand on the patient's problem list. Raises `InvalidInput`
    where nothing of the chart is known to the model, or its hour is too long ago to be found.
    """
    from polyclinic.diagnosis.records.problems import listed

    decisions, known, grid = _seen(chart.timeline, chart.decision, encoding)
    warnings = list(chart.warnings)
    later = _hours_later(grid, encoding)
    if later > 0:
        # Rows of the hours up to it are not enough: what is known of them may have come later.
        decision = chart.decision - timedelta(hours=later)
        decisions, known, grid = _seen(chart.timeline, decision, encoding)
        if _hours_later(grid, encoding) > 0:
            raise InvalidInput(
                f"The model decides at hour {encoding.decision_hour}, which is too long ago.",
                where="/at",
                remedy="Send the decision time `at`, within the stay's first hours.",
            )
        warnings.append(
            f"The model decides at hour {encoding.decision_hour}, {later} hours before the "
            "Bundle's decision: what was known later was not read."
        )
    warnings += _of_another_unit(grid.left_out)
    warnings += [
        f"Already on the problem list: {', '.join(words)}."
        for words in listed(known, decisions, labels)
        if words
    ]
    (fixed,) = _plausible(grid.inputs.fixed, encoding.fixed, warnings)
    hourly = None
    if grid.inputs.hourly is not None:
        rows = _until(grid.inputs.hourly.values, encoding.decision_hour, warnings)
        hourly = _plausible(rows, encoding.hourly, warnings)
    texts = tuple(_text(known, note) for note in encoding.notes)
    measured = hourly is not None and np.isfinite(hourly).any()
    people = [variable.name not in (AGE, SEX) for variable in encoding.fixed]
    if not measured and not any(texts) and not np.isfinite(fixed[people]).any():
        reads = ", ".join(_read_by(encoding)) or "no codes: send the columns as `values`"
        raise InvalidInput(
            "Nothing in the Bundle that was known at the decision is known to the model."
            + _first(warnings),
            where="/bundle",
            remedy=f"It reads {reads}.",
        )
    return Read(fixed, hourly, tuple(warnings), texts)


def _seen(
    timeline: "Timeline", decision: datetime, encoding: Encoding
) -> "tuple[pl.DataFrame, Timeline, Grid]":
    """The decision of the one patient as a frame, what was known then, and its grid."""
    import polars as pl

    from polyclinic.diagnosis.records.grid import to_grid

    decisions = timeline.patients.select("patient", time=pl.lit(decision).dt.cast_time_unit("us"))
    known = timeline.known_at(decisions)
    grid = to_grid(known, decisions, encoding.fixed, encoding.hourly, encoding.step)
    return decisions, known, grid


def _hours_later(grid: "Grid", encoding: Encoding) -> int:
    """How many hours the grid goes on after the one at which the model decides."""
    if grid.inputs.hourly is None or encoding.decision_hour is None:
        return 0
    return len(grid.inputs.hourly.values) - 1 - encoding.decision_hour


def _last_known(timeline: "Timeline", now: datetime, unread: Sequence[str]) -> datetime:
    import polars as pl

    # What has no time of its own was known when it was received, which is no time of the patient.
    last = timeline.events.filter(pl.col("known") < now)["known"].max()
    if not isinstance(last, datetime):
        raise InvalidInput(
            f"Nothing in the Bundle has a time by now.{_first(unread)}", where="/bundle"
        )
    return last


def _instant(text: str) -> datetime:
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


def _first(remarks: Sequence[str]) -> str:
    """The first remarks on a Bundle of which nothing was read, to go on a sentence."""
    return f" Of it there is to say: {'; '.join(remarks[:3])}" if remarks else ""


def _of_another_unit(values: "pl.DataFrame") -> Iterator[str]:
    for name, unit, source in values.select("variable", "unit", "source").head(TOLD).iter_rows():
        yield f"{name} in {unit or 'no unit'} was left out ({source})."
    if len(values) > TOLD:
        yield f"And {len(values) - TOLD:,} more values in units of something else."


def _plausible(values: Floats, variables: Sequence[Variable], warnings: list[str]) -> Floats:
    """Values (n, v) without those that cannot be."""
    kept = values.copy()
    for column, variable in enumerate(variables):
        wrong = variable.implausible(kept[:, column])
        if wrong.any():
            warnings.append(left_out(variable, int(wrong.sum())))
            kept[wrong, column] = np.nan
    return kept


def _until(values: Floats, decision_hour: int | None, warnings: list[str]) -> Floats:
    """Rows (t, v) of every hour up to the one at which the model decides, if it is a given one."""
    if decision_hour is None or len(values) == decision_hour + 1:
        return values
    warnings.append(
        f"The model decides at hour {decision_hour}; the Bundle ends at {len(values) - 1}: later "
        "hours count as empty."
    )
    rows = np.full((decision_hour + 1, values.shape[1]), np.nan, np.float32)
    rows[: len(values)] = values
    return rows


def _text(known: "Timeline", note: Variable) -> str:
    """The documents that were known, of the note's own kind where it has a code."""
    import polars as pl

    documents = known.events.filter(pl.col("kind") == "document", pl.col("text").is_not_null())
    if note.loinc is not None:
        documents = documents.filter(pl.col("code") == note.loinc)
    return "\n".join(documents["text"].to_list())


def _read_by(encoding: Encoding) -> Iterator[str]:
    for variable in (*encoding.fixed, *encoding.hourly):
        code = variable.medication or (f"LOINC {variable.loinc}" if variable.loinc else "")
        if code:
            yield f"{variable.title} ({code})"
