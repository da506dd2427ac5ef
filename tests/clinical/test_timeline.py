from datetime import UTC, date, datetime, timedelta, timezone

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyclinic.clinical.timeline import (
    EVENTS,
    PATIENTS,
    Event,
    Patient,
    Timeline,
    event_frame,
    instant,
    patient_frame,
)
from polyclinic.core.errors import InvalidInput

HOUR = 3600 * 10**6
START = datetime(2024, 3, 1, tzinfo=UTC)


def at(hours: float) -> int:
    return instant(START) + int(hours * HOUR)


def clock(hours: float) -> datetime:
    return START + timedelta(hours=hours)


def timeline(*events: Event, patients: tuple[Patient, ...] = ()) -> Timeline:
    return Timeline.of(event_frame(events), patient_frame(patients))


DIAGNOSIS = Event("a", "condition", at(1), at(1), None, at(100), "s", "sepsis")
LACTATE = Event("a", "observation", at(2), at(2), None, at(3), "s", "lactate", value=4.0)
STAY = Event("a", "encounter", at(0), at(0), at(100), at(0), "s", "stay")
OTHER = Event("b", "observation", at(0), at(0), None, at(0), "s", "lactate", value=1.0)


def codes(of: Timeline) -> list[str]:
    return of.events["code"].to_list()


def test_a_diagnosis_coded_at_discharge_is_not_known_before() -> None:
    everything = timeline(DIAGNOSIS, LACTATE, STAY)
    assert codes(everything.known_at(clock(50))) == ["stay", "lactate"]
    assert codes(everything.known_at(clock(100))) == ["stay", "lactate", "sepsis"]


def test_how_long_a_stay_will_last_is_not_known_while_it_lasts() -> None:
    stay = timeline(STAY)
    assert stay.known_at(clock(99)).events["end"].to_list() == [None]
    assert stay.known_at(clock(100)).events["end"].to_list() == [clock(100)]


def test_every_patient_may_have_a_decision_time_of_their_own() -> None:
    decisions = pl.DataFrame({"patient": ["a", "b"], "time": [clock(2.5), clock(-1)]})
    seen = timeline(LACTATE, STAY, OTHER).known_at(decisions)
    assert seen.events.select("patient", "code").rows() == [("a", "stay")]
    assert seen.patients["patient"].to_list() == ["a", "b"]
    only_b = timeline(LACTATE, OTHER).known_at(decisions.filter(patient="b"))
    assert only_b.patients["patient"].to_list() == ["b"]


def test_a_decision_time_in_another_zone_is_the_same_moment() -> None:
    there = clock(3).astimezone(timezone(timedelta(hours=9)))
    assert codes(timeline(LACTATE).known_at(there)) == ["lactate"]
    elsewhere = pl.DataFrame({"patient": ["a"], "time": [clock(3)]}).with_columns(
        pl.col("time").dt.convert_time_zone("Asia/Tokyo")
    )
    assert codes(timeline(LACTATE).known_at(elsewhere)) == ["lactate"]


def test_what_nobody_says_when_it_became_known_is_never_known() -> None:
    rumour = LACTATE._replace(known=None)
    assert len(timeline(rumour).events) == 1
    assert len(timeline(rumour).known_at(clock(10**6)).events) == 0


def test_an_event_is_never_known_before_it_has_surely_begun() -> None:
    vague = LACTATE._replace(start=at(0), latest_start=at(24), known=at(1))
    assert timeline(vague).events["known"].to_list() == [clock(24)]


@pytest.mark.parametrize(
    "decisions",
    [
        datetime(2024, 3, 1),
        pl.DataFrame({"patient": ["a"], "time": [datetime(2024, 3, 1)]}),
        pl.DataFrame({"patient": ["a", "a"], "time": [START, START]}),
        pl.DataFrame({"patient": ["a"]}),
        pl.DataFrame({"patient": ["a"], "time": ["noon"]}),
    ],
)
def test_an_unclear_decision_time_is_refused(decisions: datetime | pl.DataFrame) -> None:
    with pytest.raises(InvalidInput):
        timeline(LACTATE).known_at(decisions)


def test_age_is_that_at_the_decision() -> None:
    born = Patient("a", "a", date(1980, 3, 1), date(1980, 3, 1), "female")
    unknown = Patient("b", "b")
    ages = timeline(LACTATE, patients=(born, unknown)).ages(START)
    assert ages["age"].to_list() == [pytest.approx(44, abs=0.01), None]


def test_joined_timelines_hold_all_events_and_what_any_says_of_a_patient() -> None:
    described = timeline(patients=(Patient("a", "person", date(1980, 1, 1), None, "male"),))
    joined = Timeline.joined([timeline(LACTATE), described, timeline(STAY, OTHER)])
    assert joined.events.select("patient", "code").rows() == [
        ("a", "stay"),
        ("a", "lactate"),
        ("b", "lactate"),
    ]
    assert joined.patients.rows() == [
        ("a", "person", date(1980, 1, 1), None, "male"),
        ("b", "b", None, None, None),
    ]


def test_no_timeline_at_all_is_an_empty_one() -> None:
    empty = Timeline.joined([])
    assert (empty.events.schema, empty.patients.schema) == (EVENTS, PATIENTS)
    assert empty.known_at(START).events.is_empty()


def test_several_codes_are_kept_apart() -> None:
    event = LACTATE._replace(also=("x|1", "y|2"))
    assert timeline(event, OTHER).events["also"].to_list() == [["x|1", "y|2"], []]


HOURS = st.one_of(st.none(), st.integers(-50, 50).map(at))


@st.composite
def events(draw: st.DrawFn) -> Event:
    start = draw(HOURS)
    latest = None if start is None else start + draw(st.integers(0, 30)) * HOUR
    patient = draw(st.sampled_from("abc"))
    return Event(patient, "observation", start, latest, draw(HOURS), draw(HOURS))


@given(st.lists(events()), st.integers(-60, 60), st.integers(-60, 60))
def test_known_at_shows_all_and_only_what_was_known(
    some: list[Event], hour: int, later: int
) -> None:
    whole = timeline(*some)
    seen = whole.known_at(clock(hour)).events
    for column in ("known", "start", "latest_start", "end"):
        assert (seen[column].drop_nulls() <= clock(hour)).all()
    known = [
        e
        for e in some
        if e.known is not None and max(e.known, e.latest_start or e.known) <= at(hour)
    ]
    assert len(seen) == len(known)
    if later >= hour:
        again = whole.known_at(clock(later)).known_at(clock(hour)).events
        assert again.equals(seen)
