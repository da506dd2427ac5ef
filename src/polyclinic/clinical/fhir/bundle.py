"""One FHIR Bundle, as a request brings it."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import orjson

from polyclinic.clinical.fhir.fields import Json, Unreadable
from polyclinic.clinical.fhir.gathering import Gathering
from polyclinic.clinical.fhir.scope import Index, Scope
from polyclinic.clinical.report import Reading, Report
from polyclinic.clinical.timeline import instant
from polyclinic.core.errors import InputTooLarge, InvalidInput, UnsupportedInput

#: No single patient's record is as large.
MAX_BUNDLE_BYTES = 64 * 1024 * 1024

#: Bundles whose entries are the resources themselves. Source: FHIR R4, section 2.36.
_KINDS = frozenset({"collection", "searchset", "transaction", "batch", "document"})


def read_bundle(data: bytes, *, received: datetime | None = None, where: str = "Bundle") -> Reading:
    """The timeline of a Bundle's patients.

    received: when it came, with its zone; whatever carries no date of its own was known by then.
    An entry that cannot be read is reported with its place, and the others are read. Raises
    `InputTooLarge`, `UnsupportedInput` and `InvalidInput` where there is no such Bundle.
    """
    if len(data) > MAX_BUNDLE_BYTES:
        raise InputTooLarge(
            f"The Bundle has {len(data)} bytes; at most {MAX_BUNDLE_BYTES} are read.",
            where=where,
            remedy="Send a patient at a time, or read an export as NDJSON.",
        )
    entries = _entries(data, where)
    report, index = Report(), Index()
    scope = Scope(report, index, None if received is None else instant(received))
    resources = list(_resources(entries, where, report, index))
    for _, resource in resources:
        try:
            index.learn(resource)
        except Unreadable:
            continue  # Reading it will say so.
    gathering = Gathering(scope)
    for place, resource in resources:
        gathering.add(resource, place)
    return Reading(gathering.timeline(), report)


def _entries(data: bytes, where: str) -> list[Any]:
    """The entries of what must be a Bundle."""
    try:
        bundle = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise InvalidInput(f"This is no JSON: {error}.", where=where) from None
    if not isinstance(bundle, dict) or bundle.get("resourceType") != "Bundle":
        raise InvalidInput(
            "This is no FHIR Bundle.",
            where=where,
            remedy='Send a JSON object with "resourceType": "Bundle".',
        )
    kind = bundle.get("type")
    if not isinstance(kind, str) or kind not in _KINDS:
        raise UnsupportedInput(
            "The Bundle is of a type that is not read.",
            where=f"{where}.type",
            remedy=f"Send one of {', '.join(sorted(_KINDS))}.",
        )
    entries = bundle.get("entry")
    if entries is None:
        return []
    if not isinstance(entries, list):
        raise InvalidInput("The Bundle's entries are no array.", where=f"{where}.entry")
    return entries


def _resources(
    entries: list[Any], where: str, report: Report, index: Index
) -> Iterator[tuple[str, Json]]:
    """Each resource with its place, and its id, or else its full URL for one."""
    seen = set()
    for number, entry in enumerate(entries):
        place = f"{where}.entry[{number}]"
        resource = entry.get("resource") if isinstance(entry, dict) else None
        if not isinstance(resource, dict):
            report.add("unreadable_resource", "error", place, "The entry holds no resource.")
            continue
        url, key = entry.get("fullUrl"), resource.get("id")
        if isinstance(url, str) and key is None:
            resource["id"] = key = url
        if isinstance(url, str) and isinstance(key, str):
            index.keys[url] = f"{resource.get('resourceType')}/{key}"
        name = f"{resource.get('resourceType')}/{key}"
        if isinstance(key, str) and name in seen:
            report.add("duplicate", "error", place, "A resource of that type and id came before.")
            continue
        seen.add(name)
        yield place, resource
