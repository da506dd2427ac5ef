"""The patient timeline: what happened to patients, when, and when it became known.

A prediction has a decision time, and may rest on nothing that was not known by then. A diagnosis
that was coded at discharge happened during the stay, but is known only when the patient leaves. So
every event has both times, and `Timeline.known_at` shows what was known.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Literal, NamedTuple, get_args

import polars as pl

from polyclinic.core.errors import InvalidInput

Kind = Literal[
    "observation",
    "condition",
    "medication",
    "procedure",
    "allergy",
    "encounter",
    "document",
    "finding",
]
Sex = Literal["female", "male", "other"]

#: Microseconds since 1970-01-01T00:00:00Z.
Instant = int

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_TIME = pl.Datetime("us", "UTC")

#: Columns of `Timeline.events`; `Event` says what they hold.
EVENTS = pl.Schema(
    {
        "patient": pl.String(),
        "kind": pl.Enum(get_args(Kind)),
        "start": _TIME,
        "latest_start": _TIME,
        "end": _TIME,
        "known": _TIME,
        "system": pl.String(),
        "code": pl.String(),
        "display": pl.String(),
        "also": pl.List(pl.String()),
        "value": pl.Float64(),
        "unit": pl.String(),
        "canonical": pl.Boolean(),
        "text": pl.String(),
        "per_day": pl.Float64(),
        "route": pl.String(),
        "encounter": pl.String(),
        "source": pl.String(),
    }
)

#: Columns of `Timeline.patients`; `Patient` says what they hold.
PATIENTS = pl.Schema(
    {
        "patient": pl.String(),
        "person": pl.String(),
        "birth": pl.Date(),
        "latest_birth": pl.Date(),
        "sex": pl.Enum(get_args(Sex)),
    }
)


class Event(NamedTuple):
    """One row of `Timeline.events`.

    start, latest_start: it began between these two, both included. They are equal where the time is
        exact, and the first and last microsecond of 2019 where all that is known is "2019". None:
        nobody says when.
    end: when it ended at the latest; None for what has no duration, goes on, or ends nobody knows
        when.
    known: when it became known, never before `latest_start`. None: nobody says when, so that no
        decision may rest on it.
    system, code, display: its code, as in FHIR `Coding`; `also` its other codes, each
        `system|code`.
    value, unit: a number in UCUM units, or in the words of the source where they are no UCUM.
    canonical: whether `value` is in the one unit that its code has here (`clinical.units`); None
        where the code has none.
    text: what is not a number: a note, an answer in words, a dose's instruction.
    per_day, route: of a medication, how often a day `value` is given at most, and which way.
    encounter: the id of the stay or visit.
    source: where it comes from: `Observation/17`, say.
    """

    patient: str
    kind: Kind
    start: Instant | None
    latest_start: Instant | None
    end: Instant | None
    known: Instant | None
    system: str | None = None
    code: str | None = None
    display: str | None = None
    also: Sequence[str] = ()
    value: float | None = None
    unit: str | None = None
    canonical: bool | None = None
    text: str | None = None
    per_day: float | None = None
    route: str | None = None
    encounter: str | None = None
    source: str | None = None


class Patient(NamedTuple):
    """One row of `Timeline.patients`: what is always known of a patient.

    patient: the timeline's key. person: whose timeline it is, by which data are split; other than
        `patient` only where nobody says how far apart a person's stays lie, as in eICU.
    birth, latest_birth: born between these two days, both included; None where not known.
    """

    patient: str
    person: str
    birth: date | None = None
    latest_birth: date | None = None
    sex: Sex | None = None


@dataclass(frozen=True)
class Timeline:
    """The timelines of any number of patients.

    events: columns `EVENTS`, in order of patient, known, start. patients: columns `PATIENTS`, one
    row a patient, in order of patient.
    """

    events: pl.DataFrame
    patients: pl.DataFrame

    @classmethod
    def of(cls, events: pl.DataFrame, patients: pl.DataFrame) -> "Timeline":
        """A timeline in order; a patient who has only events is given a row.

        Columns that are not there say nothing. An event is never known before it has surely begun:
        `known` is set no earlier than `latest_start`. Of a patient's several rows the first that
        says something counts.
        """
        events = events.cast({"kind": EVENTS["kind"]}).match_to_schema(
            EVENTS, missing_columns="insert"
        )
        events = events.with_columns(
            pl.col("also").fill_null([]),
            known=pl.when(pl.col("known").is_not_null()).then(
                pl.max_horizontal("known", "latest_start")
            ),
        )
        rows = [patients.match_to_schema(PATIENTS), events.select("patient").unique()]
        stated = pl.when(pl.col("person") != pl.col("patient")).then("person")
        described = (
            pl.concat(rows, how="diagonal")
            .with_columns(person=stated)
            .group_by("patient", maintain_order=True)
            .agg(pl.all().drop_nulls().first())
            .with_columns(pl.col("person").fill_null(pl.col("patient")))
        )
        return cls(
            events.sort("patient", "known", "start", maintain_order=True, nulls_last=True),
            described.sort("patient"),
        )

    @classmethod
    def joined(cls, timelines: Iterable["Timeline"]) -> "Timeline":
        """Several timelines as one: a patient's events of all of them are that patient's."""
        several = list(timelines)
        return cls.of(
            pl.concat([EVENTS.to_frame(), *(one.events for one in several)]),
            pl.concat([PATIENTS.to_frame(), *(one.patients for one in several)]),
        )

    def known_at(self, time: datetime | pl.DataFrame) -> "Timeline":
        """What was known at `time`: the one thing that a prediction made then may rest on.

        time: one decision time for all, with its zone; or a frame with columns patient and time
            (with a zone), one row a patient: then only these patients are kept.
        An event that had not ended by then has no `end`. Raises `InvalidInput`.
        """
        decision = _decisions(time, self.patients)
        events = (
            self.events.join(decision, on="patient", how="inner", maintain_order="left")
            .filter(pl.col("known") <= pl.col("time"))
            .with_columns(end=pl.when(pl.col("end") <= pl.col("time")).then("end"))
        )
        patients = self.patients.join(decision, on="patient", how="semi", maintain_order="left")
        return Timeline(events.drop("time"), patients)

    def ages(self, time: datetime | pl.DataFrame) -> pl.DataFrame:
        """Columns patient and age: the least age in years at `time`, which is as in `known_at`."""
        decision = _decisions(time, self.patients)
        days = pl.col("time").dt.date() - pl.col("latest_birth")
        return self.patients.join(decision, on="patient", maintain_order="left").select(
            "patient", age=days.dt.total_days() / 365.25
        )


def instant(time: datetime) -> Instant:
    """The microseconds from 1970 to `time`, which must have a zone."""
    return (time - _EPOCH) // _MICROSECOND


def event_frame(events: Sequence[Event]) -> pl.DataFrame:
    """Rows as a table with columns `EVENTS`."""
    columns = dict(
        zip(EVENTS, zip(*events, strict=True) if events else ((),) * len(EVENTS), strict=True)
    )
    # Times through integers and lists through text: polars is slow at Python's datetimes and lists.
    times = {name for name, dtype in EVENTS.items() if dtype == _TIME}
    also = ["\n".join(codes) if codes else None for codes in columns.pop("also")]
    return (
        pl.DataFrame(
            [
                pl.Series(name, column, pl.Int64).cast(_TIME)
                if name in times
                else pl.Series(name, column, EVENTS[name])
                for name, column in columns.items()
            ]
        )
        .select(
            *(name for name in EVENTS if name != "also"),
            also=pl.Series(also, dtype=pl.String()).str.split("\n").fill_null([]),
        )
        .select(EVENTS.names())
    )


def patient_frame(patients: Iterable[Patient]) -> pl.DataFrame:
    """Rows as a table with columns `PATIENTS`."""
    return pl.DataFrame(list(patients), PATIENTS, orient="row")


def _decisions(time: datetime | pl.DataFrame, patients: pl.DataFrame) -> pl.DataFrame:
    """Columns patient and time."""
    if isinstance(time, datetime):
        if time.utcoffset() is None:
            raise InvalidInput(
                f"The decision time {time} has no zone.", remedy="Give it one, such as UTC."
            )
        moment = pl.lit(instant(time), pl.Int64).cast(_TIME)
        return patients.select("patient", time=moment)
    if (
        not {"patient", "time"} <= set(time.columns)
        or getattr(time.schema["time"], "time_zone", None) is None
        or not time["patient"].is_unique().all()
    ):
        raise InvalidInput(
            "Decision times must have columns patient and time, with a zone, one row a patient."
        )
    return time.select("patient", pl.col("time").dt.convert_time_zone("UTC").cast(_TIME))
