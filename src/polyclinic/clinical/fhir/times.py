"""FHIR's dates and times as intervals: a date that is not exact is all the time that it names."""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

from polyclinic.clinical.fhir.fields import Unreadable
from polyclinic.clinical.timeline import Instant, instant

_FORM = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d:\d\d(?::\d\d(?:\.\d+)?)?)(Z|[+-]\d\d:\d\d)?)?)?)?"
)


class Interval(NamedTuple):
    """From the earliest to the latest microsecond that is meant, both included.

    `zoned` is False of a time of day that names no zone, which is read as UTC. So is a date.
    """

    earliest: Instant
    latest: Instant
    zoned: bool = True


@lru_cache(maxsize=1 << 16)
def interval(text: str) -> Interval:
    """A FHIR date, dateTime or instant (R4, section 2.24.0.1): "2019" is all of that year.

    Raises `Unreadable`.
    """
    match = _FORM.fullmatch(text)
    if match is None or not text.isascii():
        raise Unreadable("is no FHIR date or time")
    year, month, day, clock, zone = match.groups()
    try:
        if clock:
            # A leap second is the last one of its minute here.
            whole = f"{year}-{month}-{day}T{clock.replace(':60', ':59')}{zone or 'Z'}"
            moment = instant(datetime.fromisoformat(whole))
            return Interval(moment, moment, zoned=zone is not None)
        first = datetime(int(year), int(month or 1), int(day or 1), tzinfo=UTC)
        if day:
            following = first + timedelta(days=1)
        elif month:
            following = (first + timedelta(days=31)).replace(day=1)
        else:
            following = first.replace(year=first.year + 1)
    except (ValueError, OverflowError):
        raise Unreadable("is no date or time that exists") from None
    return Interval(instant(first), instant(following) - 1)
