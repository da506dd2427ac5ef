"""FHIR bulk exports: NDJSON, a resource a line, read as a stream.

Source: FHIR Bulk Data Access 2.0, section 3.6. Files are read twice: first for what others refer to
(patients, encounters, medications), in whatever order they stand, then for everything.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

import orjson

from polyclinic.clinical.fhir.fields import Unreadable
from polyclinic.clinical.fhir.gathering import Gathering
from polyclinic.clinical.fhir.lines import MAX_LINE_BYTES, lines
from polyclinic.clinical.fhir.scope import Index, Scope
from polyclinic.clinical.report import Reading, Report
from polyclinic.clinical.timeline import Timeline, instant
from polyclinic.core.errors import InvalidInput, NotFound

#: So many events are held as Python objects before they become a table.
_CHUNK = 50_000

#: A line that may hold a resource to which others refer; cheaper than reading its JSON.
_REFERRED = re.compile(rb'"resourceType"\s*:\s*"(?:Patient|Encounter|Medication)"')


def read_ndjson(source: Path | Iterable[Path], *, received: datetime | None = None) -> Reading:
    """The timeline of an export: a folder of `*.ndjson` or `*.ndjson.gz`, or such files.

    received: when it was exported, with its zone; whatever carries no date of its own was known by
    then. A line that cannot be read is reported with its place, and the others are read. Raises
    `NotFound`, and `InvalidInput` where a file cannot be read or no line is FHIR.
    """
    report = Report()
    timeline = Timeline.joined(stream_ndjson(source, report, received=received))
    return Reading(timeline, report)


def stream_ndjson(
    source: Path | Iterable[Path], report: Report, *, received: datetime | None = None
) -> Iterator[Timeline]:
    """As `read_ndjson`, a part of the export at a time: what has been taken need not be held.

    A patient's events may stand in several parts. Counts and issues go into `report`.
    """
    paths = _paths(source)
    scope = Scope(report, _index(paths), None if received is None else instant(received))
    gathering = Gathering(scope)
    for path in paths:
        for number, line in lines(path):
            _gather(gathering, line, f"{path.name}, line {number}")
            if len(gathering.events) >= _CHUNK:
                yield gathering.timeline()
    if not report.read and not report.unread:
        raise InvalidInput(
            "No line holds a FHIR resource.",
            where=", ".join(map(str, paths[:3])),
            remedy="An export is NDJSON: a resource a line.",
        )
    yield gathering.timeline()


def _gather(gathering: Gathering, line: bytes | None, where: str) -> None:
    report = gathering.scope.report
    if line is None:
        detail = f"The line is longer than {MAX_LINE_BYTES} bytes."
        report.add("too_large", "error", where, detail)
        return
    try:
        resource = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        report.add("not_json", "error", where, f"{error}.")
        return
    if resource.__class__ is dict:
        gathering.add(resource, where)
    else:
        report.add("unreadable_resource", "error", where, "The line is no object.")


def _paths(source: Path | Iterable[Path]) -> list[Path]:
    if not isinstance(source, Path):
        return list(source)
    if not source.exists():
        raise NotFound("There is no such export.", where=str(source))
    if source.is_file():
        return [source]
    paths = sorted(
        path for path in source.iterdir() if path.name.endswith((".ndjson", ".ndjson.gz"))
    )
    if not paths:
        raise NotFound("The folder holds no *.ndjson and no *.ndjson.gz.", where=str(source))
    return paths


def _index(paths: list[Path]) -> Index:
    index = Index()
    for path in paths:
        for _, line in lines(path):
            if line is None or _REFERRED.search(line) is None:
                continue
            try:
                resource = orjson.loads(line)
                if resource.__class__ is dict:
                    index.learn(resource)
            except (orjson.JSONDecodeError, Unreadable):
                continue  # Reading it will say so.
    return index
