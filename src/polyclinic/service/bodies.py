"""Bodies of requests, read whole; nothing received is written to disk."""

import io
from contextlib import aclosing
from typing import Any

import orjson
from fastapi import Request

from polyclinic.core.errors import InvalidInput, UnsupportedInput

JSON = "application/json"
FHIR = "application/fhir+json"


async def read_body(request: Request, *media_types: str) -> io.BytesIO:
    """The body of a request of one of the media types.

    Raises `UnsupportedInput` for another one.
    """
    found = media_type(request)
    if found not in media_types:
        raise UnsupportedInput(
            f"The content type is {found or 'not given'}.",
            where="header Content-Type",
            remedy=f"Send {' or '.join(media_types)}.",
        )
    body = io.BytesIO()
    async with aclosing(request.stream()) as chunks:
        async for chunk in chunks:
            body.write(chunk)
    return body


def media_type(request: Request) -> str:
    """The request's media type, without parameters; "" where it has none."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def parse_json(body: io.BytesIO) -> Any:
    """The JSON value of a body, which is let go. Raises `InvalidInput`."""
    try:
        content = orjson.loads(body.getvalue())
    except orjson.JSONDecodeError as error:
        raise InvalidInput(f"This is not JSON: {error}", where="") from None
    body.close()  # before there is a third copy
    return content
