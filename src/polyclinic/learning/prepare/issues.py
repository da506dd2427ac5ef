"""What the quality gate finds: issues, each with its place."""

from collections.abc import Iterable
from typing import Any, Literal

from polyclinic.core.frozen import Frozen

Severity = Literal["error", "warning"]


class QualityIssue(Frozen):
    """Something wrong: found by which check, and where: in a part, or two of them.

    An `error` makes the data unfit to learn from or to judge by; a `warning` must be known. `rows`
    are those of `part`; `files` are those that are no rows, since they were left out.
    """

    check: str
    severity: Severity
    where: str
    detail: str
    rows: tuple[int, ...] = ()
    part: str = ""
    files: tuple[str, ...] = ()


def issue(
    check: str,
    severity: Severity,
    where: str,
    detail: str,
    rows: Iterable[Any] | None = None,
    part: str = "",
) -> QualityIssue:
    """An issue that names its rows, of `part`, or else of the one part it is in."""
    named = tuple(int(row) for row in rows) if rows is not None else ()
    return QualityIssue(
        check=check, severity=severity, where=where, detail=detail, rows=named, part=part or where
    )
