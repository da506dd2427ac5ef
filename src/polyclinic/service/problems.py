"""Every error, whoever met it, as a problem document (RFC 9457)."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from polyclinic.core.errors import InputTooLarge, InvalidInput, PolyclinicError
from polyclinic.core.problem import Problem

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 1
#: What a server writes down for a caller that left before the answer (nginx's convention).
CALLER_LEFT = 499


class BodyTooLarge(HTTPException):
    """A request's body passes the limit; FastAPI lets only its own kind through while it reads."""

    def __init__(self, max_bytes: int) -> None:
        super().__init__(413)
        self.error = InputTooLarge(
            f"A request's body may have at most {max_bytes} bytes.",
            where="body",
            remedy="Send less at once, or have the operator raise POLYCLINIC_MAX_UPLOAD_BYTES.",
        )


def problem_response(error: PolyclinicError) -> Response:
    """The answer that tells `error`; one to try again soon says so in `Retry-After`."""
    headers = {"Retry-After": str(RETRY_AFTER_S)} if error.status == 503 else None
    return _response(error.problem(), headers)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """FastAPI's `responses` for an operation that answers problems with these statuses."""
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {MEDIA_TYPE: {"schema": schema}},
        }
        for status in statuses
    }


def answer_problems(app: FastAPI) -> None:
    """Have `app` answer each error that its operations raise by its problem document."""

    @app.exception_handler(PolyclinicError)
    def typed(_: Request, error: PolyclinicError) -> Response:
        return problem_response(error)

    @app.exception_handler(RequestValidationError)
    def invalid(_: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        return problem_response(InvalidInput(first["msg"], where=place(first["loc"])))

    @app.exception_handler(BodyTooLarge)
    def too_large(_: Request, error: BodyTooLarge) -> Response:
        return problem_response(error.error)

    @app.exception_handler(HTTPException)
    def http(_: Request, error: HTTPException) -> Response:
        title = HTTPStatus(error.status_code).phrase
        problem = Problem(
            type="about:blank", title=title, status=error.status_code, detail=error.detail
        )
        return _response(problem, error.headers)

    @app.exception_handler(ClientDisconnect)
    def left(_: Request, __: ClientDisconnect) -> Response:
        return Response(status_code=CALLER_LEFT)


def place(location: Sequence[str | int]) -> str:
    """Where in a request: `query explain`, or in a body the JSON pointer (RFC 6901) `/images/0`."""
    kind, *path = location
    if kind == "body":
        return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in path)
    return " ".join(str(part) for part in location)


def _response(problem: Problem, headers: Any = None) -> Response:
    return Response(
        problem.model_dump_json(exclude_none=True),
        status_code=problem.status,
        headers=headers,
        media_type=MEDIA_TYPE,
    )
