"""Records as callers send them: JSON or FHIR, one or many; one that cannot be read fails alone."""

import asyncio
import io
from collections.abc import Sequence
from typing import Any

from fastapi import Request

from polyclinic.clinical.chart import Chart
from polyclinic.core.errors import InvalidInput, PolyclinicError
from polyclinic.core.model import Answer
from polyclinic.diagnosis.records.chart import parse_item
from polyclinic.diagnosis.records.record import Record
from polyclinic.service.bodies import FHIR, JSON, parse_json, read_body

FIELD = "records"

#: A record, or what was wrong with it alone.
Sent = Record | Chart | PolyclinicError


async def read_records(request: Request, *, max_items: int) -> Sequence[Sent]:
    """The `records` of a request's JSON, in order; or the lone Bundle that is its body.

    Raises `UnsupportedInput` for another content type and `InvalidInput` for what cannot be read
    as a whole.
    """
    return await asyncio.to_thread(_parsed, await read_body(request, JSON, FHIR), max_items)


def request_body(max_items: int) -> dict[str, Any]:
    """The OpenAPI request body of an operation that calls `read_records`."""
    one = Record.model_json_schema(ref_template="#/components/schemas/{model}")
    series = one.pop("$defs")["Series"]
    one["properties"]["series"] = {"anyOf": [series, {"type": "null"}]}
    whatever = {"description": "Anything else fails alone, with a problem in its place."}
    schema = {
        "type": "object",
        "properties": {
            FIELD: {
                "type": "array",
                "items": {"anyOf": [one, _AT_A_TIME, _BUNDLE, whatever]},
                "minItems": 1,
                "maxItems": max_items,
            }
        },
        "required": [FIELD],
        "additionalProperties": False,
    }
    content = {JSON: {"schema": {"anyOf": [schema, _BUNDLE]}}, FHIR: {"schema": _BUNDLE}}
    return {"required": True, "content": content}


#: FHIR R4, section 2.36; its resources are read one by one, and what is wrong with one is told.
_BUNDLE: dict[str, Any] = {
    "type": "object",
    "title": "Bundle",
    "description": "A FHIR R4 Bundle of one patient, decided at the last thing known.",
    "properties": {
        "resourceType": {"const": "Bundle"},
        "type": {"enum": ["collection", "searchset", "transaction", "batch", "document"]},
        "entry": {
            "type": "array",
            "items": {"type": "object", "properties": {"resource": {"type": "object"}}},
        },
    },
    "required": ["resourceType", "type"],
}
_AT_A_TIME: dict[str, Any] = {
    "type": "object",
    "title": "BundleAtATime",
    "description": "A Bundle, and the decision time: what was not known by then is not used.",
    "properties": {"bundle": _BUNDLE, "at": {"type": "string", "format": "date-time"}},
    "required": ["bundle"],
    "additionalProperties": False,
}


def placed(answer: Answer, index: int) -> Answer:
    """The answer to the record at `index`; an error's place is within the whole request."""
    if isinstance(answer, InvalidInput):
        answer.where = f"/{FIELD}/{index}{answer.where or ''}"
    return answer


def _parsed(body: io.BytesIO, max_items: int) -> list[Sent]:
    content = parse_json(body)
    if isinstance(content, dict) and "resourceType" in content:
        return [read_item(content)]
    if not isinstance(content, dict) or content.keys() != {FIELD}:
        raise InvalidInput(
            f"The body must be an object with `{FIELD}` alone, or a Bundle.", where=f"/{FIELD}"
        )
    items = content[FIELD]
    if not isinstance(items, list) or not 1 <= len(items) <= max_items:
        raise InvalidInput(f"There must be 1 to {max_items} records.", where=f"/{FIELD}")
    return [read_item(item) for item in items]


def read_item(item: Any) -> Sent:
    """One of the `records`, or what is wrong with it."""
    try:
        return parse_item(item)
    except PolyclinicError as error:
        return error
