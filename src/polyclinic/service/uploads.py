"""What callers send: files in a form, or base64 in JSON. Nothing received is written to disk."""

import asyncio
import base64
import binascii
import io
from collections.abc import Sequence
from contextlib import aclosing
from typing import Annotated, Any

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from polyclinic.core.errors import InvalidInput, PolyclinicError
from polyclinic.service.bodies import JSON, media_type, read_body
from polyclinic.service.forms import FIELD, read_form
from polyclinic.service.problems import place

FORM = "multipart/form-data"

#: A file's bytes, or what was wrong with it alone.
Upload = bytes | PolyclinicError


class Images(BaseModel):
    """Pictures in JSON, each as base64 (RFC 4648, section 4)."""

    model_config = ConfigDict(extra="forbid")

    images: Annotated[
        list[Annotated[str, Field(json_schema_extra={"contentEncoding": "base64"})]],
        Field(min_length=1),
    ]


async def read_uploads(request: Request, *, max_items: int) -> Sequence[Upload]:
    """The files of a request, in order: the form's `file` fields, or the JSON's `images`.

    Raises `UnsupportedInput` for another content type and `InvalidInput` for what cannot be read
    as a whole.
    """
    if media_type(request) == FORM:
        async with aclosing(request.stream()) as chunks:
            content_type = request.headers["content-type"]
            return await read_form(content_type, chunks, max_files=max_items)
    return await asyncio.to_thread(_from_json, await read_body(request, FORM, JSON), max_items)


def request_body(max_items: int) -> dict[str, Any]:
    """The OpenAPI request body of an operation that calls `read_uploads`."""
    json_schema = Images.model_json_schema()
    json_schema["properties"]["images"]["maxItems"] = max_items
    files = {
        "type": "array",
        "items": {"type": "string", "format": "binary"},
        "minItems": 1,
        "maxItems": max_items,
    }
    form_schema = {
        "type": "object",
        "properties": {FIELD: files},
        "required": [FIELD],
        "additionalProperties": False,
    }
    return {
        "required": True,
        "content": {FORM: {"schema": form_schema}, JSON: {"schema": json_schema}},
    }


def _from_json(body: io.BytesIO, max_items: int) -> list[Upload]:
    # What fits here has no other commas than those between items; a parser would first build them.
    if body.getvalue().count(b",") >= max_items:
        raise InvalidInput(
            "Too many items were sent.", where="/images", remedy=f"Send 1 to {max_items}."
        )
    try:
        images = Images.model_validate_json(body.getvalue()).images
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        raise InvalidInput(first["msg"], where=place(("body", *first["loc"]))) from None
    body.close()  # before there is a third copy
    return [decoded(text, index) for index, text in enumerate(images)]


def decoded(text: str, index: int) -> Upload:
    """The picture at `index` of the `images`, or what is wrong with it."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return InvalidInput("This is not base64 (RFC 4648, section 4).", where=f"/images/{index}")
