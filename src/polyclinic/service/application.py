"""The base of every service: health, readiness, metrics, problems, request ids and body limits."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Literal, TypeVar

from fastapi import FastAPI
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from polyclinic import NOTICE, __version__
from polyclinic.core.problem import Problem
from polyclinic.service.problems import BodyTooLarge, answer_problems, documented
from polyclinic.service.telemetry import Metrics, Observed

Result = TypeVar("Result")
Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


class Health(BaseModel):
    """The process is alive."""

    status: Literal["alive"] = "alive"


class Readiness(BaseModel):
    """The service can answer.

    `warnings` tell what it had to fall back from; `services` the state of those behind it, by name.
    """

    status: Literal["ready"] = "ready"
    warnings: list[str] = []
    services: dict[str, str] = {}


class Service(FastAPI):
    """A FastAPI application whose OpenAPI document knows the problem document."""

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document (version 3.1)."""
        document = super().openapi()
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        schemas["Problem"] = Problem.model_json_schema()
        return document


def create_app(
    name: str,
    *,
    ready: Callable[[], Awaitable[Readiness]],
    metrics: Metrics,
    max_body_bytes: int,
    lifespan: Lifespan,
    scrape: Callable[[], Awaitable[bytes]] | None = None,
    own_document: bool = True,
) -> Service:
    """A service with nothing in it but what all have in common.

    `ready` raises `Unavailable` while the service cannot answer. `scrape` gives the text of
    `/metrics` where that is more than the service's own; `own_document` says whether
    `/openapi.json` is the service's own.
    """
    app = Service(
        title=f"Polyclinic {name}",
        version=__version__,
        description=NOTICE,
        openapi_url="/openapi.json" if own_document else None,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.add_middleware(BodyLimit, max_bytes=max_body_bytes)
    app.add_middleware(Observed, metrics=metrics)
    answer_problems(app)

    @app.get("/healthz", tags=["operation"], summary="Is the process alive?")
    async def healthz() -> Health:
        return Health()

    @app.get("/readyz", tags=["operation"], summary="Can it answer?", responses=documented(503))
    async def readyz() -> Readiness:
        return await ready()

    @app.get(
        "/metrics",
        tags=["operation"],
        summary="Prometheus metrics",
        response_class=Response,
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    )
    async def read_metrics() -> Response:
        text = await scrape() if scrape else metrics.text()
        return Response(text, headers={"Content-Type": CONTENT_TYPE_LATEST})

    return app


class BodyLimit:
    """Refuses a body over `max_bytes`: at once by its declared length, else while it streams in."""

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self.app = app
        self.max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        declared = int(Headers(scope=scope).get("content-length", 0))
        received = 0

        async def limited() -> Message:
            nonlocal received
            if declared > self.max_bytes:
                raise BodyTooLarge(self.max_bytes)
            message = await receive()
            received += len(message.get("body", b""))
            if received > self.max_bytes:
                raise BodyTooLarge(self.max_bytes)
            return message

        await self.app(scope, limited, send)


async def while_connected(
    request: Request, work: Awaitable[Result], body_read: asyncio.Event | None = None
) -> Result:
    """The result of `work`, which is cancelled when the caller leaves.

    The caller is watched from `body_read` on, or at once where the body has been read already.
    Raises `ClientDisconnect` when the caller left.
    """
    task = asyncio.ensure_future(work)
    left = asyncio.ensure_future(_left(request, body_read))
    try:
        await asyncio.wait({task, left}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientDisconnect
        return task.result()
    finally:
        task.cancel()
        left.cancel()


async def _left(request: Request, body_read: asyncio.Event | None) -> None:
    if body_read is not None:
        await body_read.wait()
    while (await request.receive())["type"] != "http.disconnect":
        pass
