"""What callers send: files in a form, or base64 in JSON. Nothing received is written to disk."""

import asyncio
import base64
import binascii
from contextlib import aclosing
from typing import Annotated, Any

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from polyclinic.core.errors import InvalidInput, PolyclinicError, UnsupportedInput
from polyclinic.service.problems import place

FORM = "multipart/form-data"
JSON = "application/json"

_FORM_REMEDY = "Send each picture as a file in the form field `file`: curl -F file=@picture.png"

#: A file's bytes, or what was wrong with it alone.
Upload = bytes | PolyclinicError


class Images(BaseModel):
    """Pictures in JSON, each as base64 (RFC 4648, section 4)."""

    model_config = ConfigDict(extra="forbid")

    images: Annotated[
        list[Annotated[str, Field(json_schema_extra={"contentEncoding": "base64"})]],
        Field(min_length=1),
    ]


class _InMemory(MultiPartParser):
    """A form parser that leaves no patient's file on disk; the body limit bounds the memory."""

    spool_max_size = 0  # Python's SpooledTemporaryFile never rolls over to disk at 0.


async def read_uploads(request: Request, *, max_items: int) -> list[Upload]:
    """The files of a request, in order: the form's `file` fields, or the JSON's `images`.

    Raises `UnsupportedInput` for another content type and `InvalidInput` for what cannot be read
    as a whole.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type == FORM:
        uploads, where = await _from_form(request, max_items), "form field file"
    elif media_type == JSON:
        uploads, where = await asyncio.to_thread(_from_json, await request.body()), "/images"
    else:
        raise UnsupportedInput(
            f"The content type is {media_type or 'not given'}.",
            where="header Content-Type",
            remedy=f"Send {FORM} or {JSON}.",
        )
    if not 1 <= len(uploads) <= max_items:
        raise InvalidInput(
            f"{len(uploads)} items were sent.", where=where, remedy=f"Send 1 to {max_items}."
        )
    return uploads


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
        "properties": {"file": files},
        "required": ["file"],
        "additionalProperties": False,
    }
    return {
        "required": True,
        "content": {FORM: {"schema": form_schema}, JSON: {"schema": json_schema}},
    }


async def _from_form(request: Request, max_items: int) -> list[Upload]:
    async with aclosing(request.stream()) as stream:
        parser = _InMemory(request.headers, stream, max_files=max_items, max_fields=max_items)
        try:
            form = await parser.parse()
        except MultiPartException as error:
            raise InvalidInput(error.message, where="body", remedy=_FORM_REMEDY) from None
    return [await _content(name, value) for name, value in form.multi_items()]


async def _content(name: str, value: UploadFile | str) -> bytes:
    if name != "file" or isinstance(value, str):
        raise InvalidInput(
            "Only files in the field `file` are read here.",
            where=f"form field {name}",
            remedy=_FORM_REMEDY,
        )
    content = await value.read()
    await value.close()
    return content


def _from_json(body: bytes) -> list[Upload]:
    try:
        images = Images.model_validate_json(body).images
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        raise InvalidInput(first["msg"], where=place(("body", *first["loc"]))) from None
    return [_decoded(text, index) for index, text in enumerate(images)]


def _decoded(text: str, index: int) -> Upload:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return InvalidInput("This is not base64 (RFC 4648, section 4).", where=f"/images/{index}")
