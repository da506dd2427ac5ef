"""What a reader read, and what it could not: every failure is counted, the first ones named."""

from collections import Counter
from dataclasses import dataclass, field

from polyclinic.clinical.timeline import Timeline
from polyclinic.learning.prepare.issues import QualityIssue, Severity

#: How many issues of one check are named with their place; the rest are only counted.
NAMED = 100
#: How many different codes that are not known are counted apart.
CODES = 10_000


@dataclass
class Report:
    """Counts and places.

    read: how many records of each type became part of the timeline. unread: how many of each type
    are of no use here. counts: how often each check found something. issues: the first `NAMED` of
    each check; an `error` is a record that is lost, a `warning` one that was kept nevertheless.
    unknown_codes: how often each code was met that is not known, as `system|code`; of the first
    `CODES` of them.
    """

    read: Counter[str] = field(default_factory=Counter)
    unread: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    issues: list[QualityIssue] = field(default_factory=list)
    unknown_codes: Counter[str] = field(default_factory=Counter)

    def add(self, check: str, severity: Severity, where: str, detail: str, times: int = 1) -> None:
        """Count an issue met so many times; it is named where it is among its check's first."""
        self.counts[check] += times
        if self.counts[check] - times < NAMED:
            self.issues.append(
                QualityIssue(check=check, severity=severity, where=where, detail=detail)
            )

    def unknown_code(self, where: str, code: str, times: int = 1) -> None:
        """Count a code that is not known; it is named at its first place only."""
        if code in self.unknown_codes:
            self.counts["unknown_code"] += times
            self.unknown_codes[code] += times
            return
        self.add("unknown_code", "warning", where, code, times)
        if len(self.unknown_codes) < CODES:
            self.unknown_codes[code] = times


@dataclass(frozen=True)
class Reading:
    """What was read, and how that went."""

    timeline: Timeline
    report: Report
